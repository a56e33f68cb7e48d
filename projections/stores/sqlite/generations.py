"""Making and switching generations in an SQLite file."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Final

from typing_extensions import override

from domain.appointment import current_fold_version
from domain.errors import RebuildRunning, StorageError
from domain.identifiers import AppointmentId, Generation, Position
from domain.storage.sqlite.database import SQLiteDatabase, create_private_file
from domain.storage.tables_version import TABLES_VERSION
from projections.rows import Side
from projections.stores.catalogue import GenerationState
from projections.stores.generations import (
    TABLES,
    Fold,
    Generations,
    Loaded,
    Partition,
    Portion,
    Switch,
    quantiles,
    sample_positions,
)
from projections.stores.sqlite.snapshot import SQLiteSnapshot, appointments_at, streams_of_partition
from projections.stores.sqlite.store import GENERATION_SQL, KEYS_SQL
from projections.stores.sqlite.unit_of_work import SQLiteUnitOfWork
from projections.stores.sqlite.views import move_views
from projections.stores.tally import Sum, Tally, sum_of_values

_PAUSE_RATIO: Final = 0.5
"""After each partition the file is left to others for this part of the time the partition held it."""

_PORTION_ROWS: Final = 10_000

_EVENT_IDS: Final = """
    SELECT originator_version
    FROM stored_events
    WHERE +rowid <= ? -- not by its number: the index of envelope ids has both, and no texts
"""

_BOOLEANS: Final = {0: False, 1: True}
"""What rows hold for SQLite's numbers; any other is a difference."""

_READ_APPOINTMENTS: Final = """
    SELECT appointment_id, position, body
    FROM appointment_{generation}
    WHERE rowid > ? AND rowid <= ?
"""

_READ_SCHEDULE: Final = """
    SELECT
        {side}_id, appointment_id, position, counterpart_id, status, appointment_type, subphase_id, starts_at,
        ends_at, is_deleted, body
    FROM {side}_schedule_{generation}
    WHERE rowid > ? AND rowid <= ?
"""

_INSERT_APPOINTMENT: Final = "INSERT INTO appointment_{generation} (appointment_id, position, body) VALUES (?, ?, ?)"

_INSERT_SCHEDULE: Final = """
    INSERT INTO {side}_schedule_{generation} (
        {side}_id, appointment_id, position, counterpart_id, status, appointment_type, subphase_id, starts_at,
        ends_at, is_deleted, body
    )
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

_SWITCH: Final = """
    INSERT INTO serving (fold_version, generation, tables_version)
    SELECT fold_version, number, :tables_version
    FROM generation
    WHERE number = :next
    ON CONFLICT (fold_version) DO UPDATE SET previous = serving.generation, generation = excluded.generation
    WHERE serving.generation <> excluded.generation
"""


class SQLiteGenerations(Generations):
    """The generations in an SQLite file."""

    partition_events = 4_000  # loading one holds the file

    def __init__(self, database: SQLiteDatabase) -> None:
        self._database = database

    @override
    @contextmanager
    def rebuilding(self) -> Iterator[Callable[[], None]]:
        """Locks an empty SQLite file beside the database."""
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

    @override
    def boundaries(self, count: int, upto: Position) -> list[AppointmentId]:
        with self._database.snapshot() as cursor:
            return quantiles(appointments_at(cursor, sample_positions(count, upto)), count)

    @override
    def begin(self, partitions: Sequence[Partition]) -> Generation:
        with self._database.writing() as cursor:
            [number] = cursor.execute("SELECT MAX(number) + 1 FROM generation").fetchone()
            cursor.execute(
                "INSERT INTO generation (number, fold_version, position, state, created_at) VALUES (?, ?, 0, ?, ?)",
                (number, current_fold_version(), GenerationState.BUILDING, datetime.now(UTC).isoformat()),
            )
            for statement in GENERATION_SQL.format(generation=number).split(";\n"):
                cursor.execute(statement)
            cursor.executemany(
                """
                INSERT INTO rebuild_partition (generation, number, first, until, upto, is_loaded)
                VALUES (?, ?, ?, ?, ?, 0)
                """,
                [(number, one.number, one.first, one.until, one.upto) for one in partitions],
            )
            return Generation(number)

    @override
    def upto(self, generation: Generation) -> Position | None:
        with self._database.reading() as cursor:
            [upto] = cursor.execute(
                "SELECT MAX(upto) FROM rebuild_partition WHERE generation = ?", (generation,)
            ).fetchone()
            return None if upto is None else Position(upto)

    @override
    def partitions(self, generation: Generation) -> list[Partition]:
        with self._database.reading() as cursor:
            cursor.execute(
                """
                SELECT number, first, until, upto
                FROM rebuild_partition
                WHERE generation = ? AND NOT is_loaded
                ORDER BY number
                """,
                (generation,),
            )
            return [Partition(*row) for row in cursor]

    @override
    def load(self, generation: Generation, partition: Partition, fold: Fold) -> Loaded:
        """Folds before it takes the write lock, and leaves the file to others for a while afterwards."""
        began = time.perf_counter()
        with self._database.snapshot() as cursor:
            folded = fold(streams_of_partition(cursor, partition))
            rows = folded.rows
            sums = [sum_of_values(one) for one in (rows.appointments, rows.talents, rows.coaches)]
            tally = Tally(folded.envelopes, folded.texts, *sums)
        folded_at = time.perf_counter()
        with self._database.writing() as cursor:
            cursor.execute(
                """
                UPDATE rebuild_partition
                SET is_loaded = 1, tally = ?
                WHERE generation = ? AND number = ? AND NOT is_loaded
                """,
                (tally.to_json(), generation, partition.number),
            )
            if cursor.rowcount == 1:
                cursor.executemany(_INSERT_APPOINTMENT.format(generation=generation), rows.appointments)
                for side in Side:
                    cursor.executemany(_INSERT_SCHEDULE.format(side=side, generation=generation), rows.of(side))
        loaded_at = time.perf_counter()
        time.sleep((loaded_at - folded_at) * _PAUSE_RATIO)
        return Loaded(folded.envelopes.size, len(rows.appointments), folded_at - began, loaded_at - folded_at)

    @override
    def tallies(self, generation: Generation) -> list[tuple[Partition, Tally]]:
        with self._database.reading() as cursor:
            cursor.execute(
                """
                SELECT number, first, until, upto, tally
                FROM rebuild_partition
                WHERE generation = ? AND tally IS NOT NULL
                ORDER BY number
                """,
                (generation,),
            )
            return [(Partition(*partition), Tally.from_json(tally)) for *partition, tally in cursor]

    @override
    def envelopes(self, upto: Position) -> Sum:
        count = total = 0  # SQLite's own SUM would overflow
        with self._database.snapshot() as cursor:
            for [event_id] in cursor.execute(_EVENT_IDS, (upto,)):
                count, total = count + 1, total + event_id
        return Sum.of(count, total)

    @override
    def portions(self, generation: Generation) -> list[Portion]:
        found = []
        with self._database.snapshot() as cursor:
            for table in TABLES:
                cursor.execute(f"SELECT COALESCE(MAX(rowid), 0) FROM {table}_{generation}")  # noqa: S608
                [last] = cursor.fetchone()
                found += [Portion(table, at, at + _PORTION_ROWS) for at in range(0, last, _PORTION_ROWS)]
        return found

    @override
    def read_back(self, generation: Generation, portion: Portion) -> Sum:
        with self._database.snapshot() as cursor:
            places = (portion.first, portion.until)
            if portion.table == TABLES[0]:
                return sum_of_values(cursor.execute(_READ_APPOINTMENTS.format(generation=generation), places))
            side = portion.table.removesuffix("_schedule")
            cursor.execute(_READ_SCHEDULE.format(side=side, generation=generation), places)
            return sum_of_values((*row[:9], _BOOLEANS.get(row[9], row[9]), row[10]) for row in cursor)

    @override
    def make_keys(self, generation: Generation) -> None:
        """Makes each key in a transaction of its own, so that appends come in between."""
        for statement in KEYS_SQL.format(generation=generation).split(";\n"):
            with self._database.writing() as cursor:
                cursor.execute(statement)

    @override
    def finish(self, generation: Generation, position: Position) -> None:
        with self._database.writing() as cursor:
            cursor.execute(
                """
                UPDATE generation
                SET position = MAX(position, ?), projected_at = strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')
                WHERE number = ?
                """,
                (position, generation),
            )

    @override
    @contextmanager
    def switching(self, generation: Generation) -> Iterator[Switch]:
        """Holds the write lock of the file."""
        with self._database.writing() as cursor:
            row = cursor.execute(
                """
                SELECT next.number, next.position, COALESCE(now.position, next.position)
                FROM generation AS next
                LEFT JOIN serving ON serving.fold_version = next.fold_version
                LEFT JOIN generation AS now ON now.number = serving.generation
                WHERE next.number = ?
                """,
                (generation,),
            ).fetchone()
            yield Switch(SQLiteUnitOfWork(cursor, *row[:2]), row[2])
            cursor.execute(_SWITCH, {"next": generation, "tables_version": TABLES_VERSION})
            move_views(cursor)
            cursor.execute("UPDATE generation SET state = ? WHERE number = ?", (GenerationState.READY, generation))

    @override
    def retire(self, fold_version: int) -> None:
        with self._database.writing() as cursor:
            cursor.execute("DELETE FROM serving WHERE fold_version = ?", (fold_version,))
            cursor.execute(
                "UPDATE generation SET state = ? WHERE fold_version = ? AND state <> ?",
                (GenerationState.RETIRED, fold_version, GenerationState.DROPPED),
            )

    @override
    def drop(self, generation: Generation) -> bool:
        """Always drops: readers of a file hold nobody up."""
        with self._database.writing() as cursor:
            for table in TABLES:
                cursor.execute(f"DROP TABLE IF EXISTS {table}_{generation}")
            cursor.execute("DELETE FROM rebuild_partition WHERE generation = ?", (generation,))
            cursor.execute("UPDATE generation SET state = ? WHERE number = ?", (GenerationState.DROPPED, generation))
        return True

    @override
    @contextmanager
    def snapshot(self, generation: Generation, *, token: str | None = None) -> Iterator[SQLiteSnapshot]:
        with self._database.snapshot() as cursor:
            [position, state, head] = cursor.execute(
                """
                SELECT position, state, (SELECT COALESCE(MAX(rowid), 0) FROM stored_events)
                FROM generation
                WHERE number = ?
                """,
                (generation,),
            ).fetchone()
            snapshot = SQLiteSnapshot(cursor, generation, position, head, GenerationState(state))
            if token not in (None, snapshot.share()):
                raise StorageError(f"generation {generation} changed while it was checked; run it again")
            yield snapshot
