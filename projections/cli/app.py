"""The commands, and what each kind of error prints and which exit status it gives."""

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

from domain.errors import AppointmentsError
from projections.cli.commands.appointment import appointment
from projections.cli.commands.calendar_link import calendar_link
from projections.cli.commands.changes import changes
from projections.cli.commands.conflicts import conflicts
from projections.cli.commands.events import events
from projections.cli.commands.export import export
from projections.cli.commands.figures import figures
from projections.cli.commands.forget import forget, forgotten, scrub
from projections.cli.commands.generations import generations
from projections.cli.commands.history import history
from projections.cli.commands.ingest import ingest
from projections.cli.commands.init import init
from projections.cli.commands.owners import coaches, talents
from projections.cli.commands.project import project
from projections.cli.commands.pull import pull
from projections.cli.commands.quarantine import quarantine
from projections.cli.commands.rebuild import rebuild, rollback
from projections.cli.commands.sample import sample
from projections.cli.commands.schedule import coach, talent
from projections.cli.commands.serve import serve
from projections.cli.commands.status import status
from projections.cli.commands.verify import verify
from projections.cli.exits import EXIT_DEFECT, EXIT_UNUSABLE, exit_status_of, exit_status_of_output
from projections.cli.interruption import Interrupted, raised_as_interrupted
from projections.cli.terminal import complain, discard_output, prepare_output
from projections.cli.version import version_option

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Schedules of talents and coaches, made from the envelopes that are published for each appointment.",
)

COMPLETION: Final = "_APPOINTMENTS_COMPLETE"
"""The environment variable by which the shell's completion script asks for completions."""


COMMANDS: Final[Sequence[tuple[str, Callable[..., None], str]]] = (
    ("init", init, "init --db sqlite:///appointments.db"),
    ("ingest", ingest, "ingest envelopes.jsonl more.json.gz --strict"),
    ("pull", pull, 'pull "$OUTBOX" --query "$(cat outbox.sql)"'),
    ("talent", talent, "talent 06e6f647-6ed0-43c9-b323-85d8f3384f31 --upcoming"),
    ("coach", coach, "coach 50ad7fff-687a-4498-8a3a-662fda294ba1 --past"),
    ("talents", talents, "talents --limit 20"),
    ("coaches", coaches, "coaches --json"),
    ("appointment", appointment, "appointment cc62fba4-ac9a-4b71-b5b8-5ac030a5c145"),
    ("history", history, "history cc62fba4-ac9a-4b71-b5b8-5ac030a5c145"),
    ("changes", changes, "changes --talent 06e6f647-6ed0-43c9-b323-85d8f3384f31"),
    ("conflicts", conflicts, "conflicts --coach 50ad7fff-687a-4498-8a3a-662fda294ba1"),
    ("figures", figures, "figures --talent 06e6f647-6ed0-43c9-b323-85d8f3384f31"),
    ("project", project, "project --follow"),
    ("rebuild", rebuild, "rebuild --json"),
    ("rollback", rollback, "rollback"),
    ("verify", verify, "verify --sample 1000"),
    ("calendar-link", calendar_link, "calendar-link --talent talent-1"),
    ("serve", serve, "serve --intake --project"),
    ("forget", forget, "forget --talent talent-1 --yes"),
    ("scrub", scrub, "scrub --online"),
    ("status", status, "status --check --max-lag 1000"),
    ("export", export, "export --from-position 1001 > envelopes.jsonl"),
    ("sample", sample, "sample --events 1000 > envelopes.jsonl"),
)

for name, function, example in COMMANDS:
    app.command(name, epilog=f"Example: appointments {example}")(function)
app.add_typer(quarantine, name="quarantine")
app.add_typer(events, name="events")
app.add_typer(generations, name="generations")
app.add_typer(forgotten, name="forgotten")
app.callback()(version_option)


def main() -> None:
    """Runs the command line and exits with 0, a status of `projections.cli.exits`, or 128 plus a signal's number."""
    with raised_as_interrupted():
        exit_status = run(sys.argv[1:])
    sys.exit(exit_status)


def run(arguments: Sequence[str]) -> int:
    """Runs one command and returns its exit status; every error is one line on standard error."""
    try:
        return _run_to_the_end(arguments)
    except KeyboardInterrupt as error:
        interrupted = error if isinstance(error, Interrupted) else Interrupted(signal.SIGINT)
        try:
            sys.stdout.flush()
            complain("; ".join([f"{interrupted}, everything that was committed is safe", *_notes(error)]))
        except OSError:  # the terminal was closed
            discard_output()
        return interrupted.exit_status


def _run_to_the_end(arguments: Sequence[str]) -> int:
    try:
        prepare_output()
        exit_status = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # such as `| head`
        discard_output()
        return 0
    except OSError as error:
        discard_output()
        complain(str(error) if error.filename else f"cannot write the output: {error.strerror}")
        return exit_status_of_output(error)
    except Exception as error:
        if "APPOINTMENTS_TRACEBACK" in os.environ:
            raise
        complain(f"a defect of this program: {type(error).__name__}: {error}; APPOINTMENTS_TRACEBACK=1 shows more")
        return EXIT_DEFECT
    return exit_status


def _run(arguments: Sequence[str]) -> int:
    command = _with_whole_summaries(typer.main.get_command(app))
    if COMPLETION in os.environ:
        return shell_complete(command, {}, "appointments", COMPLETION, os.environ[COMPLETION])
    try:
        with command.make_context("appointments", list(arguments)) as context:
            command.invoke(context)
    except (typer.Exit, SystemExit) as error:  # SystemExit: printing or installing the completion
        return error.exit_code if isinstance(error, typer.Exit) else int(error.code or 0)
    except TyperException as error:
        message = error.format_message()
        if "\n" in message:  # a group such as `quarantine` without a command: its help
            print(message, file=sys.stderr)  # noqa: T201
        else:
            misused = getattr(getattr(error, "ctx", None), "command_path", "appointments")
            complain(f"{message.rstrip('.')}; see: {misused} --help")
        return EXIT_UNUSABLE
    except AppointmentsError as error:
        complain("; ".join([str(error), *_notes(error)]))
        return exit_status_of(error)
    return 0


def _with_whole_summaries(command: Any) -> Any:
    """Lets the list of commands show each command's whole first sentence, which typer would cut."""
    for one in getattr(command, "commands", {}).values():
        one.short_help = _with_whole_summaries(one).help
    return command


def _notes(error: BaseException) -> list[str]:
    return getattr(error, "__notes__", [])
