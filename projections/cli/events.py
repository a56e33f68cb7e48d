"""Commands that bring envelopes in and the read models up to date."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from functools import partial
from threading import Event
from typing import Annotated

import typer

from domain.errors import StorageError
from domain.event_store import AppendReport, EventStore
from domain.identifiers import Position
from domain.input.files import Input, open_input
from domain.input.items import ITEM_BYTES_MAX
from projections.appointments import Appointments
from projections.cli.exits import EXIT_FOUND, PartlyDone
from projections.cli.interruption import told
from projections.cli.options import Db, Json, Schema
from projections.cli.sample import sample_envelopes
from projections.cli.terminal import complain, print_json, progress_bars
from projections.projector import Projector


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
) -> None:
    """Reads envelopes from files, appends them, and catches the read models up."""
    with ExitStack() as stack:
        inputs = [stack.enter_context(open_input(path)) for path in files or ["-"]]
        store = stack.enter_context(Appointments.open(db, schema=schema)).events
        report = _append(store, inputs, item_bytes_max)
        try:
            if not no_project:
                catch_up_after("everything was appended", report.position, db, schema)
        finally:
            _print_report(report, as_json)
    if strict and report.quarantined:
        raise typer.Exit(EXIT_FOUND)


def _print_report(report: AppendReport, as_json: bool) -> None:
    if as_json:
        print_json({name: getattr(report, name) for name in AppendReport.__slots__})
    else:
        print(  # noqa: T201
            f"read {report.read:,}: {report.appended:,} appended, {report.duplicates:,} duplicates, "
            f"{report.ignored:,} ignored, {report.quarantined:,} quarantined; position {report.position:,}"
        )
    if report.quarantined:
        items = "item was" if report.quarantined == 1 else "items were"
        complain(f"{report.quarantined:,} {items} quarantined; see: appointments quarantine list")


def catch_up_after(done: str, upto: Position | None, db: str | None, schema: str | None) -> None:
    """Catches the read models up after other work, of which is said that it was done when this fails."""
    try:
        with Appointments.open(db, schema=schema) as appointments:
            projector = appointments.projector
            _catch_up(projector, upto)
    except StorageError as error:
        raise PartlyDone(f"{done}, but the read models were not caught up: {error}", error) from error


def _append(store: EventStore, inputs: list[Input], item_bytes_max: int) -> AppendReport:
    committed = AppendReport()
    sizes = [one.size for one in inputs]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    with progress_bars() as bars:

        def show(report: AppendReport) -> None:
            nonlocal committed
            committed = report
            if bars is None:
                return
            if total is None:
                bars.show("append", report.read, None)
            else:
                bars.show("append", sum(one.bytes_read for one in inputs), total, unit="bytes")

        show(committed)
        try:
            return store.append_files(inputs, item_bytes_max=item_bytes_max, progress=show)
        except StorageError as error:
            if committed.read:
                raise PartlyDone("; ".join([str(error), *error.__notes__]), error) from error
            raise


def _catch_up(projector: Projector, upto: Position | None = None) -> Position:
    with progress_bars() as bars:
        show = None if bars is None else partial(bars.show, "project")
        return projector.catch_up(upto=upto, progress=show)


def project(
    db: Db = None,
    schema: Schema = None,
    as_json: Json = False,
    follow: Annotated[bool, typer.Option("--follow", help="Stay, and project what is appended.")] = False,
) -> None:
    """Catches the read models up with the event store; with --follow, stays and follows it."""
    with Appointments.open(db, schema=schema) as appointments:
        projector = appointments.projector
        position = _follow(projector) if follow else _catch_up(projector)
    if as_json:
        print_json({"position": position})
    else:
        print(f"projected up to position {position:,}")  # noqa: T201


def _follow(projector: Projector) -> Position:
    """Follows until a signal asks for the end, then ends in good order; returns the position reached."""
    stop = Event()
    with told(stop.set):
        complain("following; end with Ctrl-C")
        projector.follow(stop)
    return projector.catch_up(upto=Position(0))


def sample(
    events: Annotated[int, typer.Option("--events", min=0, metavar="N", help="How many envelopes.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="The same seed gives the same envelopes.")] = 0,
) -> None:
    """Prints realistic envelopes as JSON Lines, the same for the same seed."""
    out = sys.stdout.buffer
    for envelope in sample_envelopes(events, seed=seed):
        out.write(envelope.encode() + b"\n")
    out.flush()
