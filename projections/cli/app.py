"""The command line: which commands there are, and what a failure of each kind prints and returns."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

import typer
import typer.main
from typer.completion import shell_complete
from typer.exceptions import TyperException

from domain.errors import AppointmentsError, InputUnreadable, StorageError, UsageError
from projections.cli import about, events, generations, operations, schedules
from projections.cli.exits import EXIT_FOUND, EXIT_UNUSABLE, PartlyDone
from projections.cli.interruption import Interrupted, raised_as_interrupted
from projections.cli.terminal import complain, discard_output, prepare_output
from projections.rows import Side

UNUSABLE: Final = (UsageError, StorageError, InputUnreadable)

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Appointment schedules of talents and coaches, projected from published envelopes.",
)

COMPLETION: Final = "_APPOINTMENTS_COMPLETE"
"""The variable in which the shell's completion script asks."""


COMMANDS: Final[Sequence[tuple[str, Callable[..., None], str]]] = (
    ("init", operations.init, "init --db sqlite:///appointments.db"),
    ("ingest", events.ingest, "ingest envelopes.jsonl more.json.gz --strict"),
    ("talent", schedules.schedule_command(Side.TALENT), "talent 06e6f647-6ed0-43c9-b323-85d8f3384f31 --upcoming"),
    ("coach", schedules.schedule_command(Side.COACH), "coach 50ad7fff-687a-4498-8a3a-662fda294ba1 --past"),
    ("talents", schedules.talents, "talents --limit 20"),
    ("coaches", schedules.coaches, "coaches --json"),
    ("appointment", schedules.appointment, "appointment cc62fba4-ac9a-4b71-b5b8-5ac030a5c145"),
    ("history", schedules.history, "history cc62fba4-ac9a-4b71-b5b8-5ac030a5c145"),
    ("changes", schedules.changes, "changes --talent 06e6f647-6ed0-43c9-b323-85d8f3384f31"),
    ("conflicts", schedules.conflicts, "conflicts --coach 50ad7fff-687a-4498-8a3a-662fda294ba1"),
    ("figures", schedules.figures, "figures --talent 06e6f647-6ed0-43c9-b323-85d8f3384f31"),
    ("project", events.project, "project --follow"),
    ("rebuild", generations.rebuild, "rebuild --json"),
    ("rollback", generations.rollback, "rollback"),
    ("verify", generations.verify, "verify --sample 1000"),
    ("status", operations.status, "status --check --max-lag 1000"),
    ("sample", events.sample, "sample --events 1000 > envelopes.jsonl"),
)

for name, function, example in COMMANDS:
    app.command(name, epilog=f"Example: appointments {example}")(function)
app.add_typer(operations.quarantine, name="quarantine")
app.callback()(about.before_the_command)


def main() -> None:
    """Runs the command line; the exit status is 0, or as `exits` says, or 128 and the number of a signal."""
    with raised_as_interrupted():
        status = run(sys.argv[1:])
    sys.exit(status)


def run(arguments: Sequence[str]) -> int:
    """Runs one command and returns the exit status; every failure is one line on standard error."""
    try:
        return _run_to_the_end(arguments)
    except KeyboardInterrupt as error:
        interrupted = error if isinstance(error, Interrupted) else Interrupted(signal.SIGINT)
        try:
            sys.stdout.flush()
            complain("; ".join([f"{interrupted}, everything that was committed is safe", *_notes(error)]))
        except OSError:  # the terminal is gone
            discard_output()
        return interrupted.exit_status


def _run_to_the_end(arguments: Sequence[str]) -> int:
    try:
        prepare_output()
        status = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # nobody reads on
        discard_output()
        return 0
    except OSError as error:
        discard_output()
        complain(str(error) if error.filename else f"cannot write the output: {error.strerror}")
        return EXIT_UNUSABLE
    except Exception as error:
        if "APPOINTMENTS_TRACEBACK" in os.environ:
            raise
        complain(f"a defect of this program: {type(error).__name__}: {error}; APPOINTMENTS_TRACEBACK=1 shows more")
        return EXIT_UNUSABLE
    return status


def _run(arguments: Sequence[str]) -> int:
    command = _with_whole_summaries(typer.main.get_command(app))
    if COMPLETION in os.environ:
        return shell_complete(command, {}, "appointments", COMPLETION, os.environ[COMPLETION])
    try:
        with command.make_context("appointments", list(arguments)) as context:
            command.invoke(context)
    except (typer.Exit, SystemExit) as error:  # what shows or installs the completion ends by the second
        return error.exit_code if isinstance(error, typer.Exit) else int(error.code or 0)
    except TyperException as error:
        message = error.format_message()
        if "\n" in message:  # a command of several, and none is named: this is the help
            print(message, file=sys.stderr)  # noqa: T201
        else:
            misused = getattr(getattr(error, "ctx", None), "command_path", "appointments")
            complain(f"{message.rstrip('.')}; see: {misused} --help")
        return EXIT_UNUSABLE
    except AppointmentsError as error:
        complain("; ".join([str(error), *_notes(error)]))
        if isinstance(error, PartlyDone):
            return error.exit_status
        return EXIT_UNUSABLE if isinstance(error, UNUSABLE) else EXIT_FOUND
    return 0


def _with_whole_summaries(command: Any) -> Any:
    """A command whose list of commands says of each the whole first sentence, where it would cut it."""
    for one in getattr(command, "commands", {}).values():
        one.short_help = _with_whole_summaries(one).help
    return command


def _notes(error: BaseException) -> list[str]:
    return getattr(error, "__notes__", [])
