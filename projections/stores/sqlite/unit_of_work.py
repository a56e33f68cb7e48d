"""A projector's unit of work on SQLite: what a batch reads and writes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Final

from typing_extensions import override

from domain.identifiers import AppointmentId, Generation, Position
from domain.storage.base import StoredEnvelope
from domain.storage.sqlite.recorder import read_batch
from projections.rows import AppointmentRow, Rows, Side
from projections.stores.base import UnitOfWork
from projections.stores.generations import TABLES
from projections.stores.sqlite.snapshot import STREAMS_OF

_UPSERT_APPOINTMENT: Final = """
    INSERT INTO appointment_{generation} (appointment_id, position, body)
    VALUES (?, ?, ?)
    ON CONFLICT (appointment_id) DO UPDATE SET position = excluded.position, body = excluded.body
"""

_UPSERT_SCHEDULE: Final = """
    INSERT INTO {side}_schedule_{generation} (
        {side}_id, appointment_id, position, counterpart_id, status, appointment_type, subphase_id, starts_at,
        ends_at, is_deleted, body
    )
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT ({side}_id, appointment_id) DO UPDATE SET
        position = excluded.position,
        counterpart_id = excluded.counterpart_id,
        status = excluded.status,
        appointment_type = excluded.appointment_type,
        subphase_id = excluded.subphase_id,
        starts_at = excluded.starts_at,
        ends_at = excluded.ends_at,
        is_deleted = excluded.is_deleted,
        body = excluded.body
"""


class SQLiteUnitOfWork(UnitOfWork):
    """A unit of work in a transaction that holds the file's write lock."""

    batch_events = 1_000  # a unit of work holds the file

    def __init__(self, cursor: sqlite3.Cursor, generation: Generation, position: Position) -> None:
        self._cursor = cursor
        self.generation = generation
        self.position = position

    @override
    def read(self, *, upto: Position, limit: int) -> list[StoredEnvelope]:
        return read_batch(self._cursor, after=self.position, upto=upto, limit=limit)

    @override
    def appointments(self, appointment_ids: Sequence[AppointmentId]) -> list[AppointmentRow]:
        self._cursor.execute(
            f"""
            SELECT appointment_id, position, body
            FROM appointment_{self.generation}
            WHERE appointment_id IN (SELECT value FROM json_each(:appointment_ids))
            """,  # noqa: S608 - a number
            {"appointment_ids": json.dumps(appointment_ids)},
        )
        return [AppointmentRow(*row) for row in self._cursor]

    @override
    def streams_of(self, appointment_ids: Sequence[AppointmentId], *, upto: Position) -> list[StoredEnvelope]:
        self._cursor.execute(STREAMS_OF, {"appointment_ids": json.dumps(appointment_ids), "upto": upto})
        return [StoredEnvelope(*row) for row in self._cursor]

    @override
    def remove(self, appointment_ids: Sequence[AppointmentId]) -> None:
        for table in TABLES:
            self._cursor.execute(
                f"""
                DELETE FROM {table}_{self.generation}
                WHERE appointment_id IN (SELECT value FROM json_each(:appointment_ids))
                """,  # noqa: S608 - a number
                {"appointment_ids": json.dumps(appointment_ids)},
            )

    @override
    def write(self, rows: Rows, position: Position) -> None:
        self._cursor.executemany(_UPSERT_APPOINTMENT.format(generation=self.generation), rows.appointments)
        for side in Side:
            self._cursor.executemany(_UPSERT_SCHEDULE.format(side=side, generation=self.generation), rows.of(side))
        self._cursor.execute(
            """
            UPDATE generation
            SET position = :position, projected_at = strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')
            WHERE number = :generation
            """,
            {"position": position, "generation": self.generation},
        )
        self.position = position
