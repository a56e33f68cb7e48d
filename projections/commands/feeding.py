"""Commands that bring envelopes in and the read models up to date."""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack
from functools import partial
from threading import Event
from types import FrameType
from typing import Annotated

import typer

from domain.event_store import AppendReport, EventStore
from domain.identifiers import Position
from domain.input import Input, open_input
from domain.items import ITEM_BYTES_MAX
from projections.commands.options import Db, Json, Schema
from projections.projector import Projector
from projections.sample import sample_envelopes
from projections.terminal import complain, print_json, progress_bars


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
        store = stack.enter_context(EventStore.open(db, schema=schema))
        report = _append(store, inputs, item_bytes_max)
        if not no_project:
            projector = stack.enter_context(Projector.open(db, schema=schema))
            _catch_up(projector, report.position)
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
        if strict:
            raise typer.Exit(1)


def _append(store: EventStore, inputs: list[Input], item_bytes_max: int) -> AppendReport:
    sizes = [one.size for one in inputs]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    with progress_bars() as bars:

        def show(report: AppendReport) -> None:
            if bars is None:
                return
            if total is None:
                bars.show("append", report.read, None)
            else:
                bars.show("append", sum(one.bytes_read for one in inputs), total, unit="bytes")

        show(AppendReport())
        return store.append_files(inputs, item_bytes_max=item_bytes_max, progress=show)


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
    with Projector.open(db, schema=schema) as projector:
        if follow:
            _follow(projector)
        position = _catch_up(projector)
    if as_json:
        print_json({"position": position})
    else:
        print(f"projected up to position {position:,}")  # noqa: T201


def _follow(projector: Projector) -> None:
    """Follows until SIGINT or SIGTERM, then ends in good order."""
    stop = Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        complain("following; end with Ctrl-C")
        projector.follow(stop)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def sample(
    events: Annotated[int, typer.Option("--events", min=0, metavar="N", help="How many envelopes.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="The same seed gives the same envelopes.")] = 0,
) -> None:
    """Prints realistic envelopes as JSON Lines, the same for the same seed."""
    out = sys.stdout.buffer
    for envelope in sample_envelopes(events, seed=seed):
        out.write(envelope.encode() + b"\n")
    out.flush()
