"""One unchanging view of history and of a generation on SQLite."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, Final

from typing_extensions import override

from domain.identifiers import AppointmentId, Generation, Position
from domain.storage.base import StoredEnvelope
from projections.rows import AppointmentRow, Rows, ScheduleRow, Side
from projections.stores.catalogue import GenerationState
from projections.stores.generations import TABLES, Partition, Snapshot

_PORTION_ROWS: Final = 1000

_PARTITION_STREAMS: Final = """
    SELECT rowid, originator_version, originator_id, topic, state
    FROM stored_events
    WHERE originator_id >= COALESCE(:first, '')
    AND (:until IS NULL OR originator_id < :until)
    AND +rowid <= :upto -- not by its index: the range of ids is the smaller part
    ORDER BY originator_id, originator_version
"""

STREAMS_OF: Final = """
    SELECT rowid, originator_version, originator_id, topic, state
    FROM stored_events
    WHERE originator_id IN (SELECT value FROM json_each(:appointment_ids))
    AND rowid <= :upto
    ORDER BY originator_id, originator_version
"""

_MARKED_LATER: Final = """
    SELECT DISTINCT originator_id
    FROM stored_events
    WHERE originator_version < 0
    AND rowid > :position
"""

_APPOINTMENTS: Final = """
    SELECT appointment_id, position, body
    FROM appointment_{generation}
    WHERE appointment_id IN (SELECT value FROM json_each(:keys))
"""

_SCHEDULE_ROWS: Final = """
    SELECT
        row.{side}_id, row.appointment_id, row.position, row.counterpart_id, row.status, row.appointment_type,
        row.subphase_id, row.starts_at, row.ends_at, row.is_deleted, row.body
    FROM json_each(:keys) AS wanted
    JOIN {side}_schedule_{generation} AS row
        ON row.{side}_id = wanted.value ->> 0
        AND row.appointment_id = wanted.value ->> 1
"""

_ALL_APPOINTMENTS: Final = "SELECT appointment_id, position, body FROM appointment_{generation}"

_ALL_SCHEDULE_ROWS: Final = """
    SELECT
        {side}_id, appointment_id, position, counterpart_id, status, appointment_type, subphase_id, starts_at,
        ends_at, is_deleted, body
    FROM {side}_schedule_{generation}
"""


class SQLiteSnapshot(Snapshot):
    """A view through one read transaction."""

    def __init__(
        self,
        cursor: sqlite3.Cursor,
        generation: Generation,
        position: Position,
        head: Position,
        state: GenerationState,
    ) -> None:
        self._cursor = cursor
        self._generation = generation
        self.position = position
        self.head = head
        self._state = state

    @override
    def share(self) -> str | None:
        """The position, while the generation is being built.

        SQLite shares no snapshot. But a generation that is being built changes only together with its position, and
        history up to a position only with a marker after it, which `marked_later` finds: apart from what is marked,
        every view at the same position is the same.
        """
        return str(self.position) if self._state is GenerationState.BUILDING else None

    @override
    def streams(self, partition: Partition) -> Iterator[StoredEnvelope]:
        return streams_of_partition(self._another_cursor(), partition)

    @override
    def rows(self, keys: Rows) -> Rows:
        found = Rows([], [], [])
        cursor = self._cursor
        ids = json.dumps([row.appointment_id for row in keys.appointments])
        cursor.execute(_APPOINTMENTS.format(generation=self._generation), {"keys": ids})
        found.appointments.extend(AppointmentRow(*row) for row in cursor)
        for side in Side:
            pairs = json.dumps([(row.owner_id, row.appointment_id) for row in keys.of(side)])
            cursor.execute(_SCHEDULE_ROWS.format(side=side, generation=self._generation), {"keys": pairs})
            found.of(side).extend(_schedule_row(row) for row in cursor)
        return found

    @override
    def counts(self) -> tuple[int, int, int]:
        first, second, third = (
            self._cursor.execute(f"SELECT COUNT(*) FROM {table}_{self._generation}").fetchone()[0]  # noqa: S608
            for table in TABLES
        )
        return first, second, third

    @override
    def everything(self) -> Iterator[Rows]:
        cursor = self._another_cursor()
        cursor.execute(_ALL_APPOINTMENTS.format(generation=self._generation))
        while portion := cursor.fetchmany(_PORTION_ROWS):
            yield Rows([AppointmentRow(*row) for row in portion], [], [])
        for side in Side:
            cursor.execute(_ALL_SCHEDULE_ROWS.format(side=side, generation=self._generation))
            while portion := cursor.fetchmany(_PORTION_ROWS):
                rows = Rows([], [], [])
                rows.of(side).extend(_schedule_row(row) for row in portion)
                yield rows

    @override
    def marked_later(self) -> frozenset[AppointmentId]:
        cursor = self._another_cursor()
        return frozenset(row[0] for row in cursor.execute(_MARKED_LATER, {"position": self.position}))

    @override
    def appointments_at(self, positions: Sequence[Position]) -> list[AppointmentId]:
        return appointments_at(self._cursor, positions)

    @override
    def streams_of(self, appointment_ids: Sequence[AppointmentId]) -> Iterator[StoredEnvelope]:
        cursor = self._another_cursor()
        cursor.execute(STREAMS_OF, {"appointment_ids": json.dumps(appointment_ids), "upto": self.position})
        return (StoredEnvelope(*row) for row in cursor)

    def _another_cursor(self) -> sqlite3.Cursor:
        return self._cursor.connection.cursor()


def streams_of_partition(cursor: sqlite3.Cursor, partition: Partition) -> Iterator[StoredEnvelope]:
    """The envelopes of a partition up to a position, stream by stream, each by event id."""
    cursor.execute(_PARTITION_STREAMS, {"first": partition.first, "until": partition.until, "upto": partition.upto})
    return (StoredEnvelope(*row) for row in cursor)


def _schedule_row(row: tuple[Any, ...]) -> ScheduleRow:
    is_deleted = None if row[9] is None else bool(row[9])
    return ScheduleRow._make((*row[:9], is_deleted, row[10]))


def appointments_at(cursor: sqlite3.Cursor, positions: Sequence[int]) -> list[AppointmentId]:
    """The distinct appointments of the envelopes at these positions, in order."""
    cursor.execute(
        """
        SELECT DISTINCT originator_id
        FROM stored_events
        WHERE rowid IN (SELECT value FROM json_each(:positions))
        ORDER BY originator_id
        """,
        {"positions": json.dumps(positions)},
    )
    return [AppointmentId(row[0]) for row in cursor]
