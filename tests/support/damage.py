"""How a test damages stored envelopes and the rows of a generation, on every backend."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any, NamedTuple

from domain.identifiers import AppointmentId, EventId, Generation, Position
from domain.storage import open_database
from domain.storage.location import locate
from domain.storage.memory.database import MemoryDatabase
from projections import Difference
from projections.rows import AppointmentRow, ScheduleRow, Side
from tests.conftest import Place
from tests.support.generations import (
    execute,
    held,
    read_models,
)


class At(NamedTuple):
    """Which row is damaged: its table, its appointment, and whose schedule it is in."""

    table: str
    appointment_id: str
    owner_id: str | None = None


def damage_stored(place: Place, event_id: int, text: bytes) -> None:
    """Changes the bytes of one stored envelope."""
    if place.backend == "memory":
        with closing(open_database(locate(place.url))) as database:
            assert isinstance(database, MemoryDatabase)
            position = database.contents.positions[EventId(event_id)]
            [event] = database.contents.events._stored_events[position - 1 : position]
            object.__setattr__(event, "state", text)
        return
    execute(place, "UPDATE stored_events SET state = ? WHERE originator_version = ?", text, event_id)


def owner_column(table: str) -> str:
    return {"talent_schedule": "talent_id", "coach_schedule": "coach_id"}[table]


def change(place: Place, at: At, *, generation: int = 1, **columns: object) -> None:
    """Changes columns of one row."""
    if place.backend == "memory":
        rows, key = _rows_in_memory(place, at, generation)
        rows[key] = rows[key]._replace(**columns)
        return
    where, keys = _where(at)
    changes = ", ".join(f"{name} = ?" for name in columns)
    execute(place, f"UPDATE {at.table}_{generation} SET {changes} WHERE {where}", *columns.values(), *keys)


def remove(place: Place, at: At, *, generation: int = 1) -> None:
    if place.backend == "memory":
        rows, key = _rows_in_memory(place, at, generation)
        del rows[key]
        return
    where, keys = _where(at)
    execute(place, f"DELETE FROM {at.table}_{generation} WHERE {where}", *keys)


def put(place: Place, at: At, *, generation: int = 1) -> None:
    """Puts one row too many: a tombstone, or an appointment without revisions."""
    row = (
        AppointmentRow(AppointmentId(at.appointment_id), Position(1), "{}")
        if at.owner_id is None
        else ScheduleRow(at.owner_id, AppointmentId(at.appointment_id), Position(1), *[None] * 8)
    )
    if place.backend == "memory":
        rows, key = _rows_in_memory(place, at, generation)
        rows[key] = row
        return
    names = (
        ["appointment_id", "position", "body"] if at.owner_id is None else [owner_column(at.table), *row._fields[1:]]
    )
    marks = ", ".join("?" for _ in names)
    execute(place, f"INSERT INTO {at.table}_{generation} ({', '.join(names)}) VALUES ({marks})", *row)


def _where(at: At) -> tuple[str, list[str]]:
    if at.owner_id is None:
        return "appointment_id = ?", [at.appointment_id]
    return f"appointment_id = ? AND {owner_column(at.table)} = ?", [at.appointment_id, at.owner_id]


def _rows_in_memory(place: Place, at: At, generation: int) -> tuple[dict[str, Any], str]:
    tables = read_models(place).generations[Generation(generation)]
    if at.owner_id is None:
        return tables.appointments, at.appointment_id
    side = Side.TALENT if at.table == "talent_schedule" else Side.COACH
    return tables.schedules[side].setdefault(at.owner_id, {}), at.appointment_id


def set_position(place: Place, found: int, *, generation: int = 1) -> None:
    if place.backend == "memory":
        object.__setattr__(read_models(place).generations[Generation(generation)].info, "position", found)
    else:
        execute(place, "UPDATE generation SET position = ? WHERE number = ?", found, generation)


def body_of(place: Place, at: At) -> dict[str, Any]:
    [body] = [
        row[-1]
        for row in held(place, 1)[at.table]
        if at.appointment_id in row[:2] and (at.owner_id is None or row[0] == at.owner_id)
    ]
    document: dict[str, Any] = json.loads(body)
    return document


def where(differences: list[Difference]) -> set[tuple[str, str | None, str | None, str]]:
    """The places of differences."""
    return {(one.table, one.appointment_id, one.owner_id, one.field) for one in differences}
