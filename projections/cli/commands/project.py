"""`appointments project`: brings the read models up to the event store, once or for as long as it runs."""

from __future__ import annotations

from functools import partial
from threading import Event
from typing import Annotated

import typer

from domain.errors import StorageError
from domain.identifiers import Position
from projections.appointments import Appointments
from projections.cli.exits import PartlyDone
from projections.cli.interruption import told
from projections.cli.options import Db, Json, Schema
from projections.cli.terminal import complain, print_json, progress_bars
from projections.projector import Projector


def project(
    db: Db = None,
    schema: Schema = None,
    as_json: Json = False,
    follow: Annotated[bool, typer.Option("--follow", help="Keep running, and project what is appended.")] = False,
) -> None:
    """Catches the read models up with the event store; with --follow, keeps following it."""
    with Appointments.open(db, schema=schema) as appointments:
        projector = appointments.projector
        position = _follow(projector) if follow else _catch_up(projector)
    if as_json:
        print_json({"position": position})
    else:
        print(f"projected up to position {position:,}")  # noqa: T201


def catch_up_after(done: str, appointments: Appointments, *, upto: Position | None = None) -> None:
    """Catches the read models up after other work.

    Raises:
        PartlyDone: it failed; the message begins with what was `done` before.
    """
    try:
        _catch_up(appointments.projector, upto)
    except StorageError as error:
        raise PartlyDone(f"{done}, but the read models were not caught up: {error}", error) from error


def _catch_up(projector: Projector, upto: Position | None = None) -> Position:
    with progress_bars() as bars:
        show = None if bars is None else partial(bars.show, "project")
        return projector.catch_up(upto=upto, progress=show)


def _follow(projector: Projector) -> Position:
    """Follows until a signal ends it between two batches; returns the position reached."""
    stop = Event()
    with told(stop.set):
        complain("following; end with Ctrl-C")
        projector.follow(stop)
    return projector.catch_up(upto=Position(0))
