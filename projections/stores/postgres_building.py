"""Making and switching generations on PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import psycopg
from psycopg import Cursor

from domain.appointment import FOLD_VERSION
from domain.databases.postgres import PostgresDatabase, Row, statements_of
from domain.errors import RebuildRunning
from domain.identifiers import AppointmentId, Generation, Position
from domain.recorders.base import StoredEnvelope
from projections.schedule import AppointmentRow, Rows, ScheduleRow, Side
from projections.stores.base import GenerationState
from projections.stores.building import Fold, Loaded, Piece, quantiles, sample_positions
from projections.stores.postgres import GENERATION_SQL, KEYS_SQL, PostgresTurn

_PORTION_ROWS: Final = 1000

_TABLES: Final = ("appointment", "talent_schedule", "coach_schedule")

_REBUILDING: Final = "SELECT singleton FROM {schema}.rebuilding FOR UPDATE NOWAIT"

_APPOINTMENTS_AT: Final = """
    SELECT DISTINCT originator_id
    FROM {schema}.stored_events
    WHERE notification_id = ANY(%(positions)b::bigint[])
    ORDER BY originator_id
"""

_BEGIN: Final = """
    INSERT INTO {schema}.generation (number, fold_version, position, state, created_at)
    SELECT MAX(number) + 1, %(fold_version)s, 0, %(state)s, %(now)s FROM {schema}.generation
    RETURNING number
"""

_INSERT_PIECE: Final = """
    INSERT INTO {schema}.piece (generation, number, first, until, upto, is_loaded)
    VALUES (%(generation)s, %(number)s, %(first)s, %(until)s, %(upto)s, false)
"""

_UPTO: Final = "SELECT MAX(upto) FROM {schema}.piece WHERE generation = %(generation)s"

_PIECES: Final = """
    SELECT number, first, until, upto
    FROM {schema}.piece
    WHERE generation = %(generation)s
    AND NOT is_loaded
    ORDER BY number
"""

_TAKE_PIECE: Final = """
    UPDATE {schema}.piece
    SET is_loaded = true
    WHERE generation = %(generation)s
    AND number = %(number)s
    AND NOT is_loaded
"""

_PIECE_STREAMS: Final = """
    SELECT notification_id, originator_version, originator_id, topic, state
    FROM {schema}.stored_events
    WHERE originator_id >= COALESCE(%(first)s::text, '')
    AND (%(until)s::text IS NULL OR originator_id < %(until)s::text)
    AND notification_id + 0 <= %(upto)s -- not by its index: the range of ids is the smaller part
    ORDER BY originator_id, originator_version
"""

_STREAMS_OF: Final = """
    SELECT notification_id, originator_version, originator_id, topic, state
    FROM {schema}.stored_events
    WHERE originator_id = ANY(%(appointment_ids)b::text[])
    AND notification_id <= %(upto)s
    ORDER BY originator_id, originator_version
"""

_COPY_APPOINTMENTS: Final = """
    COPY {schema}.appointment_{generation} (appointment_id, position, body) FROM STDIN (FORMAT BINARY)
"""

_COPY_SCHEDULE: Final = """
    COPY {schema}.{side}_schedule_{generation} (
        {side}_id, appointment_id, position, counterpart_id, status, appointment_type, subphase_id, starts_at,
        ends_at, is_deleted, body
    )
    FROM STDIN (FORMAT BINARY)
"""

_APPOINTMENT_TYPES: Final = ("text", "int8", "text")

_SCHEDULE_TYPES: Final = (
    "text", "text", "int8", "text", "text", "text", "text", "int8", "int8", "bool", "text",
)  # fmt: skip

_FINISH: Final = """
    UPDATE {schema}.generation
    SET position = GREATEST(position, %(position)s)
    WHERE number = %(generation)s
"""

_SERVING_LOCKED: Final = "SELECT generation FROM {schema}.serving FOR UPDATE"

_GENERATIONS_LOCKED: Final = """
    SELECT number, fold_version, position
    FROM {schema}.generation
    WHERE number = ANY(%(numbers)b::bigint[])
    ORDER BY number
    FOR UPDATE
"""

_SWITCH: Final = """
    UPDATE {schema}.serving
    SET previous = generation, generation = %(next)s
    WHERE generation <> %(next)s
"""

_NOTIFY: Final = "SELECT pg_notify(%(channel)s, '')"

_SET_STATE: Final = "UPDATE {schema}.generation SET state = %(state)s WHERE number = %(generation)s"

_POSITION: Final = """
    SELECT position, (SELECT COALESCE(MAX(notification_id), 0) FROM {schema}.stored_events)
    FROM {schema}.generation
    WHERE number = %(generation)s
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


class PostgresBuilder:
    """See `Builder`."""

    piece_events = 10_000

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    @contextmanager
    def rebuilding(self) -> Iterator[Callable[[], None]]:
        """See `Builder.rebuilding`; the lock is a row, held by a connection that may be idle for as long."""
        with self._database.holding() as cursor:
            try:
                cursor.execute(self._database.statement(_REBUILDING))
            except psycopg.errors.LockNotAvailable as error:
                raise RebuildRunning("another rebuild of this installation is under way") from error

            def check_held() -> None:
                cursor.execute("")

            yield check_held

    def boundaries(self, count: int, upto: Position) -> list[AppointmentId]:
        """See `Builder.boundaries`."""
        positions = sample_positions(count, upto)
        rows = self._database.fetch(self._database.statement(_APPOINTMENTS_AT), {"positions": positions})
        return quantiles([row[0] for row in rows], count)

    def begin(self, pieces: Sequence[Piece]) -> Generation:
        """See `Builder.begin`."""
        with self._database.writing() as cursor:
            parameters = {
                "fold_version": FOLD_VERSION,
                "state": GenerationState.BUILDING.value,
                "now": datetime.now(UTC),
            }
            [[number]] = cursor.execute(self._database.statement(_BEGIN), parameters).fetchall()
            for statement in statements_of(GENERATION_SQL):
                cursor.execute(self._database.statement(statement, generation=number))
            cursor.executemany(
                self._database.statement(_INSERT_PIECE),
                [
                    {
                        "generation": number,
                        "number": one.number,
                        "first": one.first,
                        "until": one.until,
                        "upto": one.upto,
                    }
                    for one in pieces
                ],
            )
            return Generation(number)

    def upto(self, generation: Generation) -> Position | None:
        """See `Builder.upto`."""
        [[upto]] = self._database.fetch(self._database.statement(_UPTO), {"generation": generation})
        return None if upto is None else Position(upto)

    def pieces(self, generation: Generation) -> list[Piece]:
        """See `Builder.pieces`."""
        rows = self._database.fetch(self._database.statement(_PIECES), {"generation": generation})
        return [Piece(*row) for row in rows]

    def load(self, generation: Generation, piece: Piece, fold: Fold) -> Loaded:
        """See `Builder.load`."""
        began = time.perf_counter()
        with self._database.writing() as cursor:
            parameters = {"generation": generation, "number": piece.number}
            cursor.execute(self._database.statement(_TAKE_PIECE), parameters)
            if cursor.rowcount == 0:
                return Loaded(0, 0, 0.0, 0.0)
            rows, events = fold(_streams(cursor, self._database, piece, piece.upto))
            folded = time.perf_counter()
            self._copy(cursor, _COPY_APPOINTMENTS, _APPOINTMENT_TYPES, rows.appointments, generation=generation)
            for side in Side:
                self._copy(cursor, _COPY_SCHEDULE, _SCHEDULE_TYPES, rows.of(side), generation=generation, side=side)
        return Loaded(events, len(rows.appointments), folded - began, time.perf_counter() - folded)

    def make_keys(self, generation: Generation) -> None:
        """See `Builder.make_keys`; then the planner learns what the tables hold."""
        self._database.run_script(KEYS_SQL, generation=generation)
        with self._database.writing() as cursor:
            for table in _TABLES:
                cursor.execute(self._database.statement("ANALYZE {schema}.{table}", table=f"{table}_{generation}"))

    def finish(self, generation: Generation, position: Position) -> None:
        """See `Builder.finish`."""
        with self._database.writing() as cursor:
            parameters = {"generation": generation, "position": position}
            cursor.execute(self._database.statement(_FINISH), parameters)

    @contextmanager
    def switching(self, generation: Generation) -> Iterator[PostgresSwitchTurn]:
        """See `Builder.switching`; every projector's turn holds the pointer in share mode, this one alone."""
        with self._database.writing() as cursor:
            [[serving]] = cursor.execute(self._database.statement(_SERVING_LOCKED)).fetchall()
            cursor.execute(self._database.statement(_GENERATIONS_LOCKED), {"numbers": [serving, generation]})
            rows = {row[0]: row for row in cursor}
            turn = PostgresSwitchTurn(self._database, cursor, *rows[generation])
            turn.serving_position = rows[serving][2]
            yield turn
            cursor.execute(self._database.statement(_SWITCH), {"next": generation})
            parameters = {"generation": generation, "state": GenerationState.READY.value}
            cursor.execute(self._database.statement(_SET_STATE), parameters)
            # The position may have risen: whoever waits for one looks again.
            cursor.execute(self._database.statement(_NOTIFY), {"channel": f"{self._database.schema}_projected"})

    def drop(self, generation: Generation) -> None:
        """See `Builder.drop`."""
        with self._database.writing() as cursor:
            for table in _TABLES:
                cursor.execute(
                    self._database.statement("DROP TABLE IF EXISTS {schema}.{table}", table=f"{table}_{generation}")
                )
            cursor.execute(
                self._database.statement("DELETE FROM {schema}.piece WHERE generation = %(generation)s"),
                {"generation": generation},
            )
            parameters = {"generation": generation, "state": GenerationState.DROPPED.value}
            cursor.execute(self._database.statement(_SET_STATE), parameters)

    @contextmanager
    def snapshot(self, generation: Generation, *, token: str | None = None) -> Iterator[PostgresSnapshot]:
        """See `Builder.snapshot`."""
        with self._database.snapshot(token) as cursor:
            cursor.execute(self._database.statement(_POSITION), {"generation": generation})
            [[position, head]] = cursor.fetchall()
            yield PostgresSnapshot(self._database, cursor, generation, position, head)

    def _copy(
        self, cursor: Cursor[Row], template: str, types: Sequence[str], rows: Sequence[Row], **names: object
    ) -> None:
        with cursor.copy(self._database.statement(template, **names)) as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)


class PostgresSwitchTurn(PostgresTurn):
    """See `SwitchTurn`."""

    serving_position = Position(0)


class PostgresSnapshot:
    """See `Snapshot`."""

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

    def share(self) -> str:
        """See `Snapshot.share`; it holds for as long as this transaction, which may be idle meanwhile."""
        self._cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        [[token]] = self._cursor.execute("SELECT pg_export_snapshot()").fetchall()
        return str(token)

    def streams(self, piece: Piece) -> Iterator[StoredEnvelope]:
        """See `Snapshot.streams`."""
        return _streams(self._cursor, self._database, piece, self.position)

    def rows(self, keys: Rows) -> Rows:
        """See `Snapshot.rows`."""
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

    def counts(self) -> tuple[int, int, int]:
        """See `Snapshot.counts`."""
        first, second, third = (
            self._fetch("SELECT COUNT(*) FROM {schema}.{table}", {}, table=f"{table}_{self._generation}")[0][0]
            for table in _TABLES
        )
        return first, second, third

    def everything(self) -> Iterator[Rows]:
        """See `Snapshot.everything`."""
        for portion in self._portions(_ALL_APPOINTMENTS):
            yield Rows([AppointmentRow(*row) for row in portion], [], [])
        for side in Side:
            for portion in self._portions(_ALL_SCHEDULE_ROWS, side=side):
                rows = Rows([], [], [])
                rows.of(side).extend(ScheduleRow(*row) for row in portion)
                yield rows

    def appointments_at(self, positions: Sequence[Position]) -> list[AppointmentId]:
        """See `Snapshot.appointments_at`."""
        return [row[0] for row in self._fetch(_APPOINTMENTS_AT, {"positions": list(positions)})]

    def streams_of(self, appointment_ids: Sequence[AppointmentId]) -> Iterator[StoredEnvelope]:
        """See `Snapshot.streams_of`."""
        parameters = {"appointment_ids": list(appointment_ids), "upto": self.position}
        return (StoredEnvelope(*row) for row in self._fetch(_STREAMS_OF, parameters))

    def _fetch(self, template: str, parameters: dict[str, Any], **names: object) -> list[Row]:
        names.setdefault("generation", self._generation)
        return self._cursor.execute(self._database.statement(template, **names), parameters).fetchall()

    def _portions(self, template: str, **names: object) -> Iterator[list[Row]]:
        statement = self._database.statement(template, generation=self._generation, **names)
        with self._cursor.connection.cursor("everything", binary=True) as cursor:
            cursor.execute(statement)
            while portion := cursor.fetchmany(_PORTION_ROWS):
                yield portion


def _streams(
    cursor: Cursor[Row], database: PostgresDatabase, piece: Piece, upto: Position
) -> Iterator[StoredEnvelope]:
    """Streams through a cursor on the server, so that memory does not grow with the piece."""
    parameters = {"first": piece.first, "until": piece.until, "upto": upto}
    with cursor.connection.cursor("streams", binary=True) as streaming:
        streaming.itersize = _PORTION_ROWS
        streaming.execute(database.statement(_PIECE_STREAMS), parameters)
        for row in streaming:
            yield StoredEnvelope(*row)
