"""Every row and every position that the read models must hold, worked out by `tests/support/reference.py`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from domain import EventStore
from domain.appointment import appointment_of
from domain.identifiers import Position
from domain.storage import open_database
from domain.storage.location import locate
from domain.topics import has_envelope
from projections import Appointments
from projections.rows import ScheduleRow, Side, appointment_from, folded_from, milliseconds_of
from projections.stores import generations_of, store_of
from tests.support.reference import as_plain, expected_appointment, histories

Row = dict[str, Any]
Key = tuple[str, ...]


def rows_held(url: str, schema: str | None = None) -> dict[Key, Row]:
    """All rows of the serving generation by table and key."""
    database = open_database(locate(url, schema=schema))
    held: dict[Key, Row] = {}
    try:
        with generations_of(database).snapshot(store_of(database).catalogue().serving) as snapshot:
            for rows in snapshot.everything():
                for one in rows.appointments:
                    held["appointment", one.appointment_id] = one._asdict()
                for side in Side:
                    for row in rows.of(side):
                        held[side, row.owner_id, row.appointment_id] = row._asdict()
            assert snapshot.counts() == tuple(
                sum(key[0] == table for key in held) for table in ("appointment", *Side)
            )
    finally:
        database.close()
    return held


def without_positions(rows: dict[Key, Row]) -> dict[Key, Row]:
    """The same rows; positions alone depend on the order of arrival."""
    return {key: {name: value for name, value in row.items() if name != "position"} for key, row in rows.items()}


def check_read_models(url: str, schema: str | None, arrived: Iterable[dict[str, Any]]) -> None:
    """Asserts that the read models hold exactly the rows of all envelopes that arrived, each at its position."""
    held = {key: _decoded(row) for key, row in rows_held(url, schema).items()}
    with Appointments.open(url, schema=schema) as appointments:
        events = appointments.events
        assert held == _expected_rows(events, arrived)


def _decoded(row: Row) -> Row:
    if row["body"] is None:
        return row
    is_schedule = "owner_id" in row
    appointment = appointment_from(row["body"]) if is_schedule else appointment_of(folded_from(row["body"]))
    return {**row, "body": as_plain(appointment)}


def _expected_rows(events: EventStore, arrived: Iterable[dict[str, Any]]) -> dict[Key, Row]:
    expected: dict[Key, Row] = {}
    for appointment_id, stream in histories(arrived).items():
        stored = events.stream(appointment_id)
        envelopes = [one.event_id for one in stored if one.event_id > 0 and has_envelope(one)]
        assert envelopes == [one["id"] for one in stream]
        position = max(one.position for one in stored)
        appointment = expected_appointment(stream)
        expected["appointment", appointment_id] = {
            "appointment_id": appointment_id,
            "position": position,
            "body": appointment,
        }
        for side in Side:
            for owner_id in {one["eventData"]["appointment"][f"{side}Id"] for one in stream}:
                row = dict.fromkeys(ScheduleRow._fields)
                row |= {"owner_id": owner_id, "appointment_id": appointment_id, "position": position}
                if owner_id == appointment[f"{side}_id"]:
                    row |= _shown(side, appointment)
                expected[side, owner_id, appointment_id] = row
    return expected | _left_by_markers(events, expected)


def _left_by_markers(events: EventStore, expected: dict[Key, Row]) -> dict[Key, Row]:
    """The tombstones of those whom no envelope names any more, each at the last marker that asks for it."""
    tombstones: dict[Key, Row] = {}
    for stored in events.recorder.read(after=Position(0), upto=events.head(), limit=10_000):
        if stored.event_id > 0:
            continue
        marker = json.loads(stored.text)
        for side, owners in ((Side.TALENT, marker["talents"]), (Side.COACH, marker["coaches"])):
            for owner_id in owners:
                key = (side, owner_id, stored.appointment_id)
                if key not in expected:
                    named = {"owner_id": owner_id, "appointment_id": stored.appointment_id}
                    tombstones[key] = {**dict.fromkeys(ScheduleRow._fields), **named, "position": stored.position}
    return tombstones


def _shown(side: Side, appointment: Row) -> Row:
    start, end = appointment["start_date"], appointment["end_date"]
    starts_at = None if start is None else milliseconds_of(start)
    ends_at = starts_at if start is None or end is None else milliseconds_of(max(start, end))
    return {
        "counterpart_id": appointment["coach_id" if side == "talent" else "talent_id"],
        "status": appointment["status"],
        "appointment_type": appointment["appointment_type"],
        "subphase_id": appointment["subphase_id"],
        "starts_at": starts_at,
        "ends_at": ends_at,
        "is_deleted": appointment["deleted_at"] is not None,
        "body": appointment,
    }
