"""One unchanging view of history and of a generation on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from psycopg import Cursor
from typing_extensions import override

from domain.identifiers import AppointmentId, Generation, Position
from domain.storage.base import StoredEnvelope
from domain.storage.postgres.database import PostgresDatabase, Row
from projections.rows import AppointmentRow, Rows, ScheduleRow, Side
from projections.stores.generations import TABLES, Partition, Snapshot

_PORTION_ROWS: Final = 1000

APPOINTMENTS_AT: Final = """
    SELECT DISTINCT originator_id
    FROM {schema}.stored_events
    WHERE notification_id = ANY(%(positions)b::bigint[])
    ORDER BY originator_id
"""

_PARTITION_STREAMS: Final = """
    SELECT notification_id, originator_version, originator_id, topic, state
    FROM {schema}.stored_events
    WHERE originator_id >= COALESCE(%(first)s::text, '')
    AND (%(until)s::text IS NULL OR originator_id < %(until)s::text)
    AND notification_id + 0 <= %(upto)s -- not by its index: the range of ids is the smaller part
    ORDER BY originator_id, originator_version
"""

STREAMS_OF: Final = """
    SELECT notification_id, originator_version, originator_id, topic, state
    FROM {schema}.stored_events
    WHERE originator_id = ANY(%(appointment_ids)b::text[])
    AND notification_id <= %(upto)s
    ORDER BY originator_id, originator_version
"""

_MARKED_LATER: Final = """
    SELECT DISTINCT originator_id
    FROM {schema}.stored_events
    WHERE originator_version < 0
    AND notification_id > %(position)s
"""

_APPOINTMENT_ROWS: Final = """
    SELECT appointment_id, position, body
    FROM {schema}.appointment_{generation}
    WHERE appointment_id = ANY(%(appointment_ids)b::text[])
"""

_SCHEDULE_ROWS: Final = """
    SELECT
        row.{side}_id, row.appointment_id, row.position, row.counterpart_id, row.status, row.appointment_type,
        row.subphase_id, row.starts_at, row.ends_at, row.is_deleted, row.body
    FROM unnest(%(owner_ids)b::text[], %(appointment_ids)b::text[]) AS wanted (owner_id, appointment_id)
    JOIN {schema}.{side}_schedule_{generation} AS row
        ON row.{side}_id = wanted.owner_id
        AND row.appointment_id = wanted.appointment_id
"""

_ALL_APPOINTMENTS: Final = "SELECT appointment_id, position, body FROM {schema}.appointment_{generation}"

_ALL_SCHEDULE_ROWS: Final = """
    SELECT
        {side}_id, appointment_id, position, counterpart_id, status, appointment_type, subphase_id, starts_at,
        ends_at, is_deleted, body
    FROM {schema}.{side}_schedule_{generation}
"""


class PostgresSnapshot(Snapshot):
    """A view through one REPEATABLE READ transaction."""

    def __init__(
        self,
        database: PostgresDatabase,
        cursor: Cursor[Row],
        generation: Generation,
        position: Position,
        head: Position,
    ) -> None:
        self._database = database
        self._cursor = cursor
        self._generation = generation
        self.position = position
        self.head = head

    @override
    def share(self) -> str:
        """Exports the snapshot of this transaction, which may be idle from now on."""
        self._cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        [[token]] = self._cursor.execute("SELECT pg_export_snapshot()").fetchall()
        return str(token)

    @override
    def streams(self, partition: Partition) -> Iterator[StoredEnvelope]:
        return streams_of_partition(self._cursor, self._database, partition)

    @override
    def rows(self, keys: Rows) -> Rows:
        found = Rows([], [], [])
        appointment_ids: list[str] = [row.appointment_id for row in keys.appointments]
        rows = self._fetch(_APPOINTMENT_ROWS, {"appointment_ids": appointment_ids})
        found.appointments.extend(AppointmentRow(*row) for row in rows)
        for side in Side:
            owner_ids = [row.owner_id for row in keys.of(side)]
            appointment_ids = [row.appointment_id for row in keys.of(side)]
            parameters = {"owner_ids": owner_ids, "appointment_ids": appointment_ids}
            found.of(side).extend(ScheduleRow(*row) for row in self._fetch(_SCHEDULE_ROWS, parameters, side=side))
        return found

    @override
    def counts(self) -> tuple[int, int, int]:
        first, second, third = (
            self._fetch("SELECT COUNT(*) FROM {schema}.{table}", {}, table=f"{table}_{self._generation}")[0][0]
            for table in TABLES
        )
        return first, second, third

    @override
    def everything(self) -> Iterator[Rows]:
        for portion in self._portions(_ALL_APPOINTMENTS):
            yield Rows([AppointmentRow(*row) for row in portion], [], [])
        for side in Side:
            for portion in self._portions(_ALL_SCHEDULE_ROWS, side=side):
                rows = Rows([], [], [])
                rows.of(side).extend(ScheduleRow(*row) for row in portion)
                yield rows

    @override
    def marked_later(self) -> frozenset[AppointmentId]:
        return frozenset(row[0] for row in self._fetch(_MARKED_LATER, {"position": self.position}))

    @override
    def appointments_at(self, positions: Sequence[Position]) -> list[AppointmentId]:
        return [row[0] for row in self._fetch(APPOINTMENTS_AT, {"positions": list(positions)})]

    @override
    def streams_of(self, appointment_ids: Sequence[AppointmentId]) -> Iterator[StoredEnvelope]:
        parameters = {"appointment_ids": list(appointment_ids), "upto": self.position}
        return (StoredEnvelope(*row) for row in self._fetch(STREAMS_OF, parameters))

    def _fetch(self, template: str, parameters: dict[str, Any], **names: object) -> list[Row]:
        names.setdefault("generation", self._generation)
        return self._cursor.execute(self._database.statement(template, **names), parameters).fetchall()

    def _portions(self, template: str, **names: object) -> Iterator[list[Row]]:
        statement = self._database.statement(template, generation=self._generation, **names)
        with self._cursor.connection.cursor("everything", binary=True) as cursor:
            cursor.execute(statement)
            while portion := cursor.fetchmany(_PORTION_ROWS):
                yield portion


def streams_of_partition(
    cursor: Cursor[Row], database: PostgresDatabase, partition: Partition
) -> Iterator[StoredEnvelope]:
    """Streams through a cursor on the server, so that memory does not grow with the partition."""
    parameters = {"first": partition.first, "until": partition.until, "upto": partition.upto}
    with cursor.connection.cursor("streams", binary=True) as streaming:
        streaming.itersize = _PORTION_ROWS
        streaming.execute(database.statement(_PARTITION_STREAMS), parameters)
        for row in streaming:
            yield StoredEnvelope(*row)
