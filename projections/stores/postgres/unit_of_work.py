"""A projector's unit of work on PostgreSQL: what a batch reads and writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from psycopg import Cursor
from typing_extensions import override

from domain.identifiers import AppointmentId, Generation, Position
from domain.storage.base import StoredEnvelope
from domain.storage.postgres.database import PostgresDatabase, Row
from domain.storage.postgres.recorder import reading
from projections.rows import AppointmentRow, Rows, Side
from projections.stores.base import UnitOfWork
from projections.stores.generations import TABLES
from projections.stores.postgres.snapshot import STREAMS_OF

_APPOINTMENTS: Final = """
    SELECT appointment_id, position, body
    FROM {schema}.appointment_{generation}
    WHERE appointment_id = ANY(%(appointment_ids)b::text[])
"""

_UPSERT_APPOINTMENTS: Final = """
    INSERT INTO {schema}.appointment_{generation} (appointment_id, position, body)
    SELECT * FROM unnest(%(c0)b::text[], %(c1)b::bigint[], %(c2)b::text[])
    ON CONFLICT (appointment_id) DO UPDATE SET position = excluded.position, body = excluded.body
"""

_UPSERT_SCHEDULE: Final = """
    INSERT INTO {schema}.{side}_schedule_{generation} (
        {side}_id, appointment_id, position, counterpart_id, status, appointment_type, subphase_id, starts_at,
        ends_at, is_deleted, body
    )
    SELECT * FROM unnest(
        %(c0)b::text[], %(c1)b::text[], %(c2)b::bigint[], %(c3)b::text[], %(c4)b::text[], %(c5)b::text[],
        %(c6)b::text[], %(c7)b::bigint[], %(c8)b::bigint[], %(c9)b::boolean[], %(c10)b::text[]
    )
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

_REMOVE: Final = """
    DELETE FROM {schema}.{table}
    WHERE appointment_id = ANY(%(appointment_ids)b::text[])
"""

_MOVE: Final = """
    UPDATE {schema}.generation
    SET position = %(position)s, projected_at = clock_timestamp()
    WHERE number = {generation}
"""


class PostgresUnitOfWork(UnitOfWork):
    """A unit of work in a transaction that holds the lock of its generation's row."""

    batch_events = 4_000

    def __init__(
        self,
        database: PostgresDatabase,
        cursor: Cursor[Row],
        generation: Generation,
        position: Position,
    ) -> None:
        self._database = database
        self._cursor = cursor
        self.generation = generation
        self.position = position

    @override
    def read(self, *, upto: Position, limit: int) -> list[StoredEnvelope]:
        self._cursor.execute(*reading(self._database, after=self.position, upto=upto, limit=limit))
        return [StoredEnvelope(*row) for row in self._cursor]

    @override
    def appointments(self, appointment_ids: Sequence[AppointmentId]) -> list[AppointmentRow]:
        statement = self._database.statement(_APPOINTMENTS, generation=self.generation)
        self._cursor.execute(statement, {"appointment_ids": list(appointment_ids)})
        return [AppointmentRow(*row) for row in self._cursor]

    @override
    def streams_of(self, appointment_ids: Sequence[AppointmentId], *, upto: Position) -> list[StoredEnvelope]:
        parameters = {"appointment_ids": list(appointment_ids), "upto": upto}
        self._cursor.execute(self._database.statement(STREAMS_OF), parameters)
        return [StoredEnvelope(*row) for row in self._cursor]

    @override
    def remove(self, appointment_ids: Sequence[AppointmentId]) -> None:
        for table in TABLES:
            statement = self._database.statement(_REMOVE, table=f"{table}_{self.generation}")
            self._cursor.execute(statement, {"appointment_ids": list(appointment_ids)})

    @override
    def write(self, rows: Rows, position: Position) -> None:
        self._upsert(_UPSERT_APPOINTMENTS, rows.appointments)
        for side in Side:
            self._upsert(_UPSERT_SCHEDULE, rows.of(side), side=side)
        self._cursor.execute(self._database.statement(_MOVE, generation=self.generation), {"position": position})
        self.position = position

    def _upsert(self, template: str, rows: Sequence[Row], **names: object) -> None:
        if not rows:
            return
        columns = {f"c{number}": list(column) for number, column in enumerate(zip(*rows, strict=True))}
        self._cursor.execute(self._database.statement(template, generation=self.generation, **names), columns)
