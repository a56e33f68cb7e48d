"""`appointments quarantine`: lists, shows, retries and discards what could not be accepted."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Group
from rich.text import Text

from domain.errors import StorageError, UsageError
from domain.quarantine import Quarantine, RetryReport
from domain.storage.base import QuarantinedItem
from projections.appointments import Appointments
from projections.cli.commands.project import catch_up_after
from projections.cli.exits import EXIT_FOUND, PartlyDone
from projections.cli.explanation import explain, place_of
from projections.cli.options import Db, Json, Schema
from projections.cli.terminal import complain, console, plain_table, print_bytes, print_json, show, text

quarantine = typer.Typer(
    no_args_is_help=True, help="Shows, retries or discards the items that could not be accepted."
)


@quarantine.command("list", epilog="Example: appointments quarantine list --json")
def quarantine_list(db: Db = None, schema: Schema = None, as_json: Json = False) -> None:
    """Lists the quarantined items."""
    with Appointments.open(db, schema=schema) as appointments:
        items = list(appointments.events.quarantine.list())
    if as_json:
        print_json({"quarantined": [quarantined_json(item) for item in items]})
        return
    table = plain_table("number #", "item")
    table.show_header = False
    for item in items:
        heading = Text.assemble((item.refused.code, "yellow"), "  ", text(place_of(item), "dim"))
        table.add_row(str(item.number), Group(heading, text(item.refused.reason)))
    show(console(), table if items else "Nothing is quarantined.")


def quarantined_json(item: QuarantinedItem) -> dict[str, object]:
    """One item of `quarantine list --json`."""
    refused = item.refused
    return {
        "number": item.number,
        "code": refused.code,
        "reason": refused.reason,
        "source": refused.source,
        "line": refused.line,
        "received_at": refused.received_at,
        "event_id": refused.event_id,
        "appointment_id": refused.appointment_id,
        "count": item.count,
    }


Number = Annotated[int, typer.Argument(metavar="N", min=1)]


@quarantine.command("show", epilog="Example: appointments quarantine show 1 --raw")
def quarantine_show(
    number: Number,
    db: Db = None,
    schema: Schema = None,
    as_json: Json = False,
    raw: Annotated[bool, typer.Option("--raw", help="Print only the kept bytes, unchanged.")] = False,
) -> None:
    """Shows one item: the reason, the place, and for a conflict both contents."""
    if as_json and raw:
        raise UsageError("--json and --raw exclude each other; leave one out")
    with Appointments.open(db, schema=schema) as appointments:
        events = appointments.events
        item = events.quarantine.show(number)
        explanation = explain(item, events)
    if raw:
        print_bytes(item.refused.content)
    elif as_json:
        print_json({**quarantined_json(item), "length": item.refused.length, "sha256": item.refused.sha256})
    else:
        out = console()
        for line in explanation:
            out.print(text(line), soft_wrap=True)


@quarantine.command("retry", epilog="Example: appointments quarantine retry 1 2")
def quarantine_retry(
    numbers: Annotated[
        list[int] | None, typer.Argument(metavar="[N...]", help="Which items; all if none is given.")
    ] = None,
    db: Db = None,
    schema: Schema = None,
    as_json: Json = False,
) -> None:
    """Appends and projects the items that are acceptable now; the others stay, with their new reason."""
    with Appointments.open(db, schema=schema) as appointments:
        report = _retried(appointments.events.quarantine, numbers, as_json)
        try:
            if report.accepted:
                items = "item was" if report.accepted == 1 else "items were"
                catch_up_after(f"{report.accepted:,} {items} appended", appointments)
        finally:
            _print_retried(report, as_json)


def _retried(quarantine: Quarantine, numbers: list[int] | None, as_json: bool) -> RetryReport:
    """Retries the items; when an error stops it, prints what had been committed until then."""
    committed = RetryReport()

    def note(report: RetryReport) -> None:
        nonlocal committed
        committed = report

    try:
        return quarantine.retry(numbers or None, progress=note)
    except BaseException as error:
        if committed == RetryReport():
            raise
        _print_retried(committed, as_json)
        if isinstance(error, StorageError):
            raise PartlyDone(f"{error}; the rest was not retried", error) from error
        raise


def _print_retried(report: RetryReport, as_json: bool) -> None:
    if as_json:
        print_json({"accepted": report.accepted, "kept": report.kept})
    else:
        print(f"{report.accepted:,} accepted, {report.kept:,} still quarantined")  # noqa: T201


def _confirmed(question: str) -> bool:
    """Asks on standard error, since standard output is for the result."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)  # noqa: T201
    answer = sys.stdin.readline() if sys.stdin else ""
    if not answer:
        print(file=sys.stderr)  # noqa: T201
        raise UsageError("no answer; use --yes to discard without a question")
    return answer.strip().lower() in ("y", "yes")


@quarantine.command("discard", epilog="Example: appointments quarantine discard 3 --yes")
def quarantine_discard(
    numbers: Annotated[list[int], typer.Argument(metavar="N...")],
    db: Db = None,
    schema: Schema = None,
    as_json: Json = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Deletes items permanently, after a confirmation."""
    with Appointments.open(db, schema=schema) as appointments:
        items = appointments.events.quarantine
        for number in numbers:
            items.show(number)
        if not yes and not _confirmed(f"Delete {len(set(numbers))} quarantined items permanently?"):
            complain("nothing was discarded")
            raise typer.Exit(EXIT_FOUND)
        discarded = items.discard(numbers)
    if as_json:
        print_json({"discarded": discarded})
    else:
        print(f"{discarded:,} discarded")  # noqa: T201
