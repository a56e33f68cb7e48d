"""`appointments quarantine`: lists, shows, retries and discards what could not be accepted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated

import typer
from rich.console import Group
from rich.text import Text

from domain.envelope import RefusalCode
from domain.errors import StorageError, UsageError
from domain.quarantine import RetryReport
from domain.storage.base import QuarantinedItem
from projections.appointments import Appointments
from projections.cli.commands.project import catch_up_after
from projections.cli.exits import EXIT_FOUND, PartlyDone
from projections.cli.explanation import explain, place_of
from projections.cli.options import Db, Json, Schema, Zone, time_option
from projections.cli.telling import quietly
from projections.cli.terminal import (
    complain,
    confirmed,
    console,
    plain_table,
    print_bytes,
    print_json,
    show,
    text,
)
from projections.cli.timetable import clock
from projections.queries.times import zone_named

quarantine = typer.Typer(
    no_args_is_help=True, help="Shows, retries or discards the items that could not be accepted."
)


Code = Annotated[
    str | None, typer.Option("--code", metavar="CODE", help=f"Only those refused for this: {', '.join(RefusalCode)}.")
]
Source = Annotated[
    str | None, typer.Option("--source", metavar="FILE", help="Only those from this file; - is stdin.")
]
Since = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="Only those received at this time or later.")
]


@quarantine.command("list", epilog="Example: appointments quarantine list --code conflict --limit 20")
def quarantine_list(
    db: Db = None,
    schema: Schema = None,
    as_json: Json = False,
    code: Code = None,
    source: Source = None,
    since: Since = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, metavar="N", help="At most so many.")] = None,
    tz: Zone = None,
) -> None:
    """Lists the quarantined items by number."""
    received = time_option(since, zone_named(tz))
    with Appointments.open(db, schema=schema) as appointments:
        found = appointments.events.quarantine.list(code=code, source=source, since=received, limit=limit)
        items = [replace(item, refused=replace(item.refused, content=b"")) for item in found]
    if as_json:
        print_json({"quarantined": [quarantined_json(item) for item in items]})
        return
    table = plain_table("number #", "item")
    table.show_header = False
    for item in items:
        heading = Text.assemble((item.refused.code, "yellow"), "  ", text(place_of(item), "dim"))
        table.add_row(str(item.number), Group(heading, text(item.refused.reason)))
    show(console(), table if items else "Nothing is quarantined.")


@quarantine.command("counts", epilog="Example: appointments quarantine counts --since 2023-07-10")
def quarantine_counts(
    db: Db = None,
    schema: Schema = None,
    as_json: Json = False,
    code: Code = None,
    source: Source = None,
    since: Since = None,
    tz: Zone = None,
) -> None:
    """Counts the quarantined items by code and source."""
    zone = zone_named(tz)
    received = time_option(since, zone)
    with Appointments.open(db, schema=schema) as appointments:
        counts = appointments.events.quarantine.counts(code=code, source=source, since=received)
    if as_json:
        print_json({"counts": [one._asdict() for one in counts]})
        return
    table = plain_table("code", "source", "items #", "oldest")
    for one in counts:
        table.add_row(text(one.code, "yellow"), text(one.source), f"{one.items:,}", clock(one.oldest_at, zone))
    show(console(), table if counts else "Nothing is quarantined.")


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


@quarantine.command("retry", epilog="Example: appointments quarantine retry --code invalid_envelope")
def quarantine_retry(
    numbers: Annotated[
        list[int] | None, typer.Argument(metavar="[N...]", help="Which items; all if none is given.")
    ] = None,
    db: Db = None,
    schema: Schema = None,
    as_json: Json = False,
    code: Code = None,
    source: Source = None,
    since: Since = None,
    tz: Zone = None,
) -> None:
    """Appends and projects the items that are acceptable now; the others stay, with their new reason."""
    received = time_option(since, zone_named(tz))
    if numbers and (code, source, since) != (None, None, None):
        raise UsageError("numbers and filters exclude each other; leave one out")
    with Appointments.open(db, schema=schema) as appointments:
        items = appointments.events.quarantine
        total = len(numbers or items.numbers(code=code, source=source, since=received))
        retry = partial(items.retry, numbers or None, code=code, source=source, since=received)
        report = _retried(retry, total, as_json)
        try:
            if report.accepted:
                words = "item was" if report.accepted == 1 else "items were"
                catch_up_after(f"{report.accepted:,} {words} appended", appointments)
        finally:
            _print_retried(report, as_json)


def _retried(retry: Callable[..., RetryReport], total: int, as_json: bool) -> RetryReport:
    """Retries the items; when an error stops it, prints what had been committed until then."""
    committed = RetryReport()
    with quietly() as show:

        def note(report: RetryReport) -> None:
            nonlocal committed
            committed = report
            show("retry", report.accepted + report.kept, total, unit="items")

        try:
            return retry(progress=note)
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


@quarantine.command("discard", epilog="Example: appointments quarantine discard --code malformed_json --yes")
def quarantine_discard(
    numbers: Annotated[list[int] | None, typer.Argument(metavar="[N...]")] = None,
    db: Db = None,
    schema: Schema = None,
    as_json: Json = False,
    code: Code = None,
    source: Source = None,
    since: Since = None,
    tz: Zone = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Deletes items permanently, by number or by filter, after a confirmation."""
    received = time_option(since, zone_named(tz))
    if bool(numbers) == ((code, source, since) != (None, None, None)):
        raise UsageError("expected numbers, or a filter: --code, --source, --since; one of the two")
    with Appointments.open(db, schema=schema) as appointments:
        items = appointments.events.quarantine
        chosen = sorted(set(numbers or items.numbers(code=code, source=source, since=received)))
        for number in numbers or ():
            items.show(number)
        if chosen and not yes and not confirmed(f"Delete {len(chosen):,} quarantined items permanently?"):
            complain("nothing was discarded")
            raise typer.Exit(EXIT_FOUND)
        discarded = items.discard(chosen) if chosen else 0
    if as_json:
        print_json({"discarded": discarded})
    else:
        print(f"{discarded:,} discarded")  # noqa: T201
