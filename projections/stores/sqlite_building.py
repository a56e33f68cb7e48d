"""Making and switching generations in an SQLite file."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from domain.appointment import FOLD_VERSION
from domain.databases.sqlite import SQLiteDatabase, create_private_file
from domain.errors import RebuildRunning, StorageError
from domain.identifiers import AppointmentId, Generation, Position
from domain.recorders.base import StoredEnvelope
from projections.schedule import AppointmentRow, Rows, ScheduleRow, Side
from projections.stores.base import GenerationState
from projections.stores.building import Fold, Loaded, Piece, quantiles, sample_positions
from projections.stores.sqlite import GENERATION_SQL, KEYS_SQL, SQLiteTurn

_PAUSE_RATIO: Final = 0.5
"""After each piece the file is left to others for this part of the time the piece held it."""

_PORTION_ROWS: Final = 1000

_TABLES: Final = ("appointment", "talent_schedule", "coach_schedule")

_INSERT_APPOINTMENT: Final = "INSERT INTO appointment_{generation} (appointment_id, position, body) VALUES (?, ?, ?)"

_INSERT_SCHEDULE: Final = """
    INSERT INTO {side}_schedule_{generation} (
        {side}_id, appointment_id, position, counterpart_id, status, appointment_type, subphase_id, starts_at,
        ends_at, is_deleted, body
    )
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

_PIECE_STREAMS: Final = """
    SELECT rowid, originator_version, originator_id, topic, state
    FROM stored_events
    WHERE originator_id >= COALESCE(:first, '')
    AND (:until IS NULL OR originator_id < :until)
    AND +rowid <= :upto -- not by its index: the range of ids is the smaller part
    ORDER BY originator_id, originator_version
"""

_STREAMS_OF: Final = """
    SELECT rowid, originator_version, originator_id, topic, state
    FROM stored_events
    WHERE originator_id IN (SELECT value FROM json_each(:appointment_ids))
    AND rowid <= :upto
    ORDER BY originator_id, originator_version
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


class SQLiteBuilder:
    """See `Builder`."""

    piece_events = 4_000  # loading one holds the file

    def __init__(self, database: SQLiteDatabase) -> None:
        self._database = database

    @contextmanager
    def rebuilding(self) -> Iterator[Callable[[], None]]:
        """See `Builder.rebuilding`; the lock is one of SQLite's own, on an empty file beside the database."""
        path = f"{self._database.path}-rebuild"
        create_private_file(path)
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as lock:
            try:
                lock.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                    raise RebuildRunning(f"another rebuild of {self._database.path} is under way") from error
                raise StorageError(f"cannot lock {path}: {error}") from error
            yield lambda: None

    def boundaries(self, count: int, upto: Position) -> list[AppointmentId]:
        """See `Builder.boundaries`."""
        with self._database.snapshot() as cursor:
            return quantiles(_appointments_at(cursor, sample_positions(count, upto)), count)

    def begin(self, pieces: Sequence[Piece]) -> Generation:
        """See `Builder.begin`."""
        with self._database.writing() as cursor:
            [number] = cursor.execute("SELECT MAX(number) + 1 FROM generation").fetchone()
            cursor.execute(
                "INSERT INTO generation (number, fold_version, position, state, created_at) VALUES (?, ?, 0, ?, ?)",
                (number, FOLD_VERSION, GenerationState.BUILDING, datetime.now(UTC).isoformat()),
            )
            for statement in GENERATION_SQL.format(generation=number).split(";\n"):
                cursor.execute(statement)
            cursor.executemany(
                "INSERT INTO piece (generation, number, first, until, upto, is_loaded) VALUES (?, ?, ?, ?, ?, 0)",
                [(number, piece.number, piece.first, piece.until, piece.upto) for piece in pieces],
            )
            return Generation(number)

    def upto(self, generation: Generation) -> Position | None:
        """See `Builder.upto`."""
        with self._database.reading() as cursor:
            [upto] = cursor.execute("SELECT MAX(upto) FROM piece WHERE generation = ?", (generation,)).fetchone()
            return None if upto is None else Position(upto)

    def pieces(self, generation: Generation) -> list[Piece]:
        """See `Builder.pieces`."""
        with self._database.reading() as cursor:
            cursor.execute(
                """
                SELECT number, first, until, upto
                FROM piece
                WHERE generation = ? AND NOT is_loaded
                ORDER BY number
                """,
                (generation,),
            )
            return [Piece(*row) for row in cursor]

    def load(self, generation: Generation, piece: Piece, fold: Fold) -> Loaded:
        """See `Builder.load`; folds before it takes the file, and lets others have it for a while after."""
        began = time.perf_counter()
        with self._database.snapshot() as cursor:
            rows, events = fold(_streams(cursor, piece, piece.upto))
        folded = time.perf_counter()
        with self._database.writing() as cursor:
            cursor.execute(
                "UPDATE piece SET is_loaded = 1 WHERE generation = ? AND number = ? AND NOT is_loaded",
                (generation, piece.number),
            )
            if cursor.rowcount == 1:
                cursor.executemany(_INSERT_APPOINTMENT.format(generation=generation), rows.appointments)
                for side in Side:
                    cursor.executemany(_INSERT_SCHEDULE.format(side=side, generation=generation), rows.of(side))
        loaded = time.perf_counter()
        time.sleep((loaded - folded) * _PAUSE_RATIO)
        return Loaded(events, len(rows.appointments), folded - began, loaded - folded)

    def make_keys(self, generation: Generation) -> None:
        """See `Builder.make_keys`; each in a transaction of its own, so that appends come in between."""
        for statement in KEYS_SQL.format(generation=generation).split(";\n"):
            with self._database.writing() as cursor:
                cursor.execute(statement)

    def finish(self, generation: Generation, position: Position) -> None:
        """See `Builder.finish`."""
        with self._database.writing() as cursor:
            cursor.execute(
                "UPDATE generation SET position = MAX(position, ?) WHERE number = ?", (position, generation)
            )

    @contextmanager
    def switching(self, generation: Generation) -> Iterator[SQLiteSwitchTurn]:
        """See `Builder.switching`; the write lock of the file holds the pointer."""
        with self._database.writing() as cursor:
            row = cursor.execute(
                """
                SELECT next.number, next.fold_version, next.position, now.position
                FROM serving
                JOIN generation AS now ON now.number = serving.generation
                JOIN generation AS next ON next.number = ?
                """,
                (generation,),
            ).fetchone()
            turn = SQLiteSwitchTurn(cursor, *row[:3])
            turn.serving_position = row[3]
            yield turn
            cursor.execute(
                "UPDATE serving SET previous = generation, generation = :next WHERE generation <> :next",
                {"next": generation},
            )
            cursor.execute("UPDATE generation SET state = ? WHERE number = ?", (GenerationState.READY, generation))

    def drop(self, generation: Generation) -> None:
        """See `Builder.drop`."""
        with self._database.writing() as cursor:
            for table in _TABLES:
                cursor.execute(f"DROP TABLE IF EXISTS {table}_{generation}")
            cursor.execute("DELETE FROM piece WHERE generation = ?", (generation,))
            cursor.execute("UPDATE generation SET state = ? WHERE number = ?", (GenerationState.DROPPED, generation))

    @contextmanager
    def snapshot(self, generation: Generation, *, token: str | None = None) -> Iterator[SQLiteSnapshot]:
        """See `Builder.snapshot`."""
        del token  # this view is not shared
        with self._database.snapshot() as cursor:
            [position, head] = cursor.execute(
                """
                SELECT position, (SELECT COALESCE(MAX(rowid), 0) FROM stored_events)
                FROM generation
                WHERE number = ?
                """,
                (generation,),
            ).fetchone()
            yield SQLiteSnapshot(cursor, generation, position, head)


class SQLiteSwitchTurn(SQLiteTurn):
    """See `SwitchTurn`."""

    serving_position = Position(0)


class SQLiteSnapshot:
    """See `Snapshot`."""

    def __init__(self, cursor: sqlite3.Cursor, generation: Generation, position: Position, head: Position) -> None:
        self._cursor = cursor
        self._generation = generation
        self.position = position
        self.head = head

    def share(self) -> None:
        """See `Snapshot.share`."""

    def streams(self, piece: Piece) -> Iterator[StoredEnvelope]:
        """See `Snapshot.streams`."""
        return _streams(self._another_cursor(), piece, self.position)

    def rows(self, keys: Rows) -> Rows:
        """See `Snapshot.rows`."""
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

    def counts(self) -> tuple[int, int, int]:
        """See `Snapshot.counts`."""
        first, second, third = (
            self._cursor.execute(f"SELECT COUNT(*) FROM {table}_{self._generation}").fetchone()[0]  # noqa: S608
            for table in _TABLES
        )
        return first, second, third

    def everything(self) -> Iterator[Rows]:
        """See `Snapshot.everything`."""
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

    def appointments_at(self, positions: Sequence[Position]) -> list[AppointmentId]:
        """See `Snapshot.appointments_at`."""
        return _appointments_at(self._cursor, positions)

    def streams_of(self, appointment_ids: Sequence[AppointmentId]) -> Iterator[StoredEnvelope]:
        """See `Snapshot.streams_of`."""
        cursor = self._another_cursor()
        cursor.execute(_STREAMS_OF, {"appointment_ids": json.dumps(appointment_ids), "upto": self.position})
        return (StoredEnvelope(*row) for row in cursor)

    def _another_cursor(self) -> sqlite3.Cursor:
        return self._cursor.connection.cursor()


def _streams(cursor: sqlite3.Cursor, piece: Piece, upto: Position) -> Iterator[StoredEnvelope]:
    cursor.execute(_PIECE_STREAMS, {"first": piece.first, "until": piece.until, "upto": upto})
    return (StoredEnvelope(*row) for row in cursor)


def _appointments_at(cursor: sqlite3.Cursor, positions: Sequence[int]) -> list[AppointmentId]:
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


def _schedule_row(row: tuple[Any, ...]) -> ScheduleRow:
    schedule_row = ScheduleRow(*row)
    if schedule_row.is_deleted is None:
        return schedule_row
    return schedule_row._replace(is_deleted=bool(schedule_row.is_deleted))
