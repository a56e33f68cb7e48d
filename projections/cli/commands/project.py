"""`appointments project`: brings the read models up to the event store, once or for as long as it runs."""

from __future__ import annotations

from functools import partial
from threading import Event
from typing import Annotated

import typer

from domain.errors import NotAllowed, NotRebuilt, StorageError, StorageUnavailable, UsageError
from domain.identifiers import Position
from projections.appointments import Appointments
from projections.cli.exits import PartlyDone
from projections.cli.interruption import told
from projections.cli.options import Db, Json, LogLevel, Patience, QuietLogFormat, Schema
from projections.cli.telling import Telling, level_of, progress_told, quietly
from projections.cli.terminal import complain, print_json
from projections.logs import LogFormat, logging_to_standard_error
from projections.projector import Projector


def project(
    db: Db = None,
    schema: Schema = None,
    as_json: Json = False,
    follow: Annotated[bool, typer.Option("--follow", help="Keep running, and project what is appended.")] = False,
    patience: Patience = None,
    log_format: QuietLogFormat = None,
    log_level: LogLevel = "info",
) -> None:
    """Catches the read models up with the event store; with --follow, keeps following it."""
    if patience is not None and not follow:
        raise UsageError("--patience has no meaning without --follow")
    with Appointments.open(db, schema=schema) as appointments:
        projector = appointments.projector
        if follow:
            log_format = log_format or LogFormat.TEXT
            with logging_to_standard_error(log_format, level=level_of(log_level)):
                position: Position | None = _follow(projector, patience, is_text=log_format is LogFormat.TEXT)
        else:
            position = _catch_up(projector, partial(progress_told, log_format, log_level))
    if as_json:
        print_json({"position": position})
    else:
        print("nothing was projected" if position is None else f"projected up to position {position:,}")  # noqa: T201


def catch_up_after(
    done: str, appointments: Appointments, *, upto: Position | None = None, telling: Telling = quietly
) -> None:
    """Catches the read models up after other work.

    Raises:
        PartlyDone: it failed; the message begins with what was `done` before.
    """
    try:
        _catch_up(appointments.projector, telling, upto)
    except StorageError as error:
        raise PartlyDone(f"{done}, but the read models were not caught up: {error}", error) from error


def _catch_up(projector: Projector, telling: Telling, upto: Position | None = None) -> Position:
    with telling() as show:
        return projector.catch_up(upto=upto, progress=partial(show, "project"))


def _follow(projector: Projector, patience: float | None, *, is_text: bool) -> Position | None:
    """Follows until a signal ends it between two batches; returns the position reached, None for none.

    Raises:
        PartlyDone: the database was away, or not rebuilt, for longer than the patience; or a right was taken away.
    """
    stop = Event()
    with told(stop.set):
        if is_text:
            complain("following; end with Ctrl-C")
        try:
            return projector.follow(stop, patience=patience)
        except (StorageUnavailable, NotRebuilt, NotAllowed) as error:
            raise PartlyDone(f"the follower ends: {error}", error) from error
