"""`appointments ingest`: appends the envelopes of files and catches the read models up."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from typing import Annotated

import typer

from domain.errors import StorageError
from domain.event_store import AppendReport, EventStore
from domain.input.files import Input, open_input
from domain.input.items import ITEM_BYTES_MAX
from projections.appointments import Appointments
from projections.cli.commands.project import catch_up_after
from projections.cli.exits import EXIT_FOUND, PartlyDone
from projections.cli.options import Db, Json, LogLevel, QuietLogFormat, Schema
from projections.cli.telling import Show, progress_told
from projections.cli.terminal import complain, print_json
from projections.logs import LogEvent, tell


def ingest(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE...]", help="JSON, JSON Lines, each also as .gz; - is stdin.")
    ] = None,
    db: Db = None,
    schema: Schema = None,
    as_json: Json = False,
    no_project: Annotated[
        bool, typer.Option("--no-project", help="Only append; leave the read models alone.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 if anything was quarantined.")] = False,
    item_bytes_max: Annotated[
        int, typer.Option("--item-bytes-max", min=1024, help="Larger items are quarantined as too_large.")
    ] = ITEM_BYTES_MAX,
    log_format: QuietLogFormat = None,
    log_level: LogLevel = "info",
) -> None:
    """Reads envelopes from files, appends them, and catches the read models up."""
    with ExitStack() as stack:
        inputs = [stack.enter_context(open_input(path)) for path in files or ["-"]]
        appointments = stack.enter_context(Appointments.open(db, schema=schema))
        telling = partial(progress_told, log_format, log_level)
        with telling() as show:
            report = _append(appointments.events, inputs, item_bytes_max, show)
        try:
            if not no_project:
                catch_up_after("everything was appended", appointments, upto=report.position, telling=telling)
        finally:
            print_report(report, as_json)
    if strict and report.quarantined:
        raise typer.Exit(EXIT_FOUND)


def _append(store: EventStore, inputs: list[Input], item_bytes_max: int, show: Show) -> AppendReport:
    committed = AppendReport()
    began = time.monotonic()
    sizes = [one.size for one in inputs]
    total = None if None in sizes else sum(size or 0 for size in sizes)

    def note(report: AppendReport) -> None:
        nonlocal committed
        committed = report
        if total is None:
            show("append", report.read, None)
        else:
            show("append", sum(one.bytes_read for one in inputs), total, unit="bytes")

    note(committed)
    try:
        report = store.append_files(inputs, item_bytes_max=item_bytes_max, progress=note)
    except StorageError as error:
        if committed.read:
            raise PartlyDone("; ".join([str(error), *error.__notes__]), error) from error
        raise
    tell(LogEvent.APPENDED, **asdict(report), seconds=time.monotonic() - began)
    return report


def print_report(report: AppendReport, as_json: bool) -> None:
    """Prints what became of what was read, as one line or as one JSON document."""
    if as_json:
        print_json(report.to_json())
    else:
        print(  # noqa: T201
            f"read {report.read:,}: {report.appended:,} appended, {report.duplicates:,} duplicates, "
            f"{report.ignored:,} ignored, {report.quarantined:,} quarantined; position {report.position:,}"
            + (f"; {report.masked:,} masked, of forgotten persons" if report.masked else "")
        )
    if report.quarantined:
        items = "item was" if report.quarantined == 1 else "items were"
        complain(f"{report.quarantined:,} {items} quarantined; see: appointments quarantine list")
