"""Making and switching generations on PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

import psycopg
from psycopg import Cursor
from typing_extensions import override

from domain.appointment import current_fold_version
from domain.errors import RebuildRunning, StorageUnavailable
from domain.identifiers import AppointmentId, Generation, Position
from domain.storage.postgres.database import PostgresDatabase, Row
from domain.storage.postgres.scripts import statements_of
from domain.storage.tables_version import TABLES_VERSION
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
from projections.stores.postgres.reading_back import envelopes, load_rows, portions, read_back, tallies
from projections.stores.postgres.snapshot import APPOINTMENTS_AT, PostgresSnapshot, streams_of_partition
from projections.stores.postgres.store import GENERATION_SQL, KEYS_SQL
from projections.stores.postgres.unit_of_work import PostgresUnitOfWork
from projections.stores.tally import Sum, Tally

_REBUILDING: Final = "SELECT singleton FROM {schema}.rebuilding FOR UPDATE NOWAIT"

_BEGIN: Final = """
    INSERT INTO {schema}.generation (number, fold_version, position, state, created_at)
    SELECT MAX(number) + 1, %(fold_version)s, 0, %(state)s, %(now)s FROM {schema}.generation
    RETURNING number
"""

_INSERT_PARTITION: Final = """
    INSERT INTO {schema}.rebuild_partition (generation, number, first, until, upto, is_loaded)
    VALUES (%(generation)s, %(number)s, %(first)s, %(until)s, %(upto)s, false)
"""

_UPTO: Final = "SELECT MAX(upto) FROM {schema}.rebuild_partition WHERE generation = %(generation)s"

_PARTITIONS: Final = """
    SELECT number, first, until, upto
    FROM {schema}.rebuild_partition
    WHERE generation = %(generation)s
    AND NOT is_loaded
    ORDER BY number
"""

_TAKE_PARTITION: Final = """
    UPDATE {schema}.rebuild_partition
    SET is_loaded = true
    WHERE generation = %(generation)s
    AND number = %(number)s
    AND NOT is_loaded
"""

# The functions of the views for people who ask in SQL.
_SHOW_GENERATIONS: Final = "SELECT {schema}.show_generations()"

_FINISH: Final = """
    UPDATE {schema}.generation
    SET position = GREATEST(position, %(position)s), projected_at = clock_timestamp()
    WHERE number = %(generation)s
"""

# The whole table: a row lock would wait for as long as projectors come, because each new FOR SHARE overtakes a
# waiting FOR UPDATE. A lock on the table is queued for, and plain SELECTs, the questions and pg_dump, pass it by.
_LOCK_SERVING: Final = "LOCK TABLE {schema}.serving IN EXCLUSIVE MODE"

_SERVING: Final = """
    SELECT serving.generation
    FROM {schema}.serving
    JOIN {schema}.generation USING (fold_version)
    WHERE generation.number = %(next)s
"""

_GENERATIONS_LOCKED: Final = """
    SELECT number, position
    FROM {schema}.generation
    WHERE number = ANY(%(numbers)b::bigint[])
    ORDER BY number
    FOR UPDATE
"""

_SWITCH: Final = """
    INSERT INTO {schema}.serving (fold_version, generation, tables_version)
    SELECT fold_version, number, %(tables_version)s
    FROM {schema}.generation
    WHERE number = %(next)s
    ON CONFLICT (fold_version) DO UPDATE SET previous = serving.generation, generation = excluded.generation
    WHERE serving.generation <> excluded.generation
"""

_NOTIFY: Final = "SELECT pg_notify(%(channel)s, '')"

_SET_STATE: Final = "UPDATE {schema}.generation SET state = %(state)s WHERE number = %(generation)s"

_DELETE_POINTER: Final = "DELETE FROM {schema}.serving WHERE fold_version = %(fold_version)s"

_RETIRE: Final = """
    UPDATE {schema}.generation SET state = 'retired' WHERE fold_version = %(fold_version)s AND state <> 'dropped'
"""

_DELETE_PARTITIONS: Final = "DELETE FROM {schema}.rebuild_partition WHERE generation = %(generation)s"

# Questions to the cached generation queue behind the drop for so long. It is longer than the second
# after which PostgreSQL's autovacuum gives way.
_DROP_PATIENCE: Final = "SET LOCAL lock_timeout = '2s'"

_DROP: Final = "DROP TABLE IF EXISTS {schema}.{table}"

_POSITION: Final = """
    SELECT position, (SELECT COALESCE(MAX(notification_id), 0) FROM {schema}.stored_events)
    FROM {schema}.generation
    WHERE number = %(generation)s
"""


class PostgresGenerations(Generations):
    """The generations in a PostgreSQL schema."""

    partition_events = 10_000

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    @override
    @contextmanager
    def rebuilding(self) -> Iterator[Callable[[], None]]:
        """Locks a row, on a connection of its own that may be idle for as long as the rebuild takes."""
        with self._database.holding() as cursor:
            try:
                cursor.execute(self._database.statement(_REBUILDING))
            except psycopg.errors.LockNotAvailable as error:
                raise RebuildRunning("another rebuild of this installation is under way") from error

            def check_held() -> None:
                cursor.execute("")

            yield check_held

    @override
    def boundaries(self, count: int, upto: Position) -> list[AppointmentId]:
        positions = sample_positions(count, upto)
        rows = self._database.fetch(self._database.statement(APPOINTMENTS_AT), {"positions": positions})
        return quantiles([row[0] for row in rows], count)

    @override
    def begin(self, partitions: Sequence[Partition]) -> Generation:
        with self._database.writing() as cursor:
            parameters = {
                "fold_version": current_fold_version(),
                "state": GenerationState.BUILDING.value,
                "now": datetime.now(UTC),
            }
            [[number]] = cursor.execute(self._database.statement(_BEGIN), parameters).fetchall()
            for statement in statements_of(GENERATION_SQL):
                cursor.execute(self._database.statement(statement, generation=number))
            cursor.execute(self._database.statement(_SHOW_GENERATIONS))
            cursor.executemany(
                self._database.statement(_INSERT_PARTITION),
                [
                    {
                        "generation": number,
                        "number": one.number,
                        "first": one.first,
                        "until": one.until,
                        "upto": one.upto,
                    }
                    for one in partitions
                ],
            )
            return Generation(number)

    @override
    def upto(self, generation: Generation) -> Position | None:
        [[upto]] = self._database.fetch(self._database.statement(_UPTO), {"generation": generation})
        return None if upto is None else Position(upto)

    @override
    def partitions(self, generation: Generation) -> list[Partition]:
        rows = self._database.fetch(self._database.statement(_PARTITIONS), {"generation": generation})
        return [Partition(*row) for row in rows]

    @override
    def load(self, generation: Generation, partition: Partition, fold: Fold) -> Loaded:
        began = time.perf_counter()
        with self._database.writing() as cursor:
            parameters = {"generation": generation, "number": partition.number}
            cursor.execute(self._database.statement(_TAKE_PARTITION), parameters)
            if cursor.rowcount == 0:
                return Loaded(0, 0, 0.0, 0.0)
            folded = fold(streams_of_partition(cursor, self._database, partition))
            folded_at = time.perf_counter()
            load_rows(self._database, cursor, generation, partition.number, folded)
        events, appointments = folded.envelopes.size, len(folded.rows.appointments)
        return Loaded(events, appointments, folded_at - began, time.perf_counter() - folded_at)

    @override
    def tallies(self, generation: Generation) -> list[tuple[Partition, Tally]]:
        return tallies(self._database, generation)

    @override
    def envelopes(self, upto: Position) -> Sum:
        return envelopes(self._database, upto)

    @override
    def portions(self, generation: Generation) -> list[Portion]:
        return portions(self._database, generation)

    @override
    def read_back(self, generation: Generation, portion: Portion) -> Sum:
        return read_back(self._database, generation, portion)

    @override
    def make_keys(self, generation: Generation) -> None:
        """Runs ANALYZE afterwards, so that the planner knows what the tables hold."""
        self._database.run_script(KEYS_SQL, generation=generation)
        with self._database.writing() as cursor:
            for table in TABLES:
                cursor.execute(self._database.statement("ANALYZE {schema}.{table}", table=f"{table}_{generation}"))

    @override
    def finish(self, generation: Generation, position: Position) -> None:
        with self._database.writing() as cursor:
            parameters = {"generation": generation, "position": position}
            cursor.execute(self._database.statement(_FINISH), parameters)

    @override
    @contextmanager
    def switching(self, generation: Generation) -> Iterator[Switch]:
        """Locks the pointer for itself, where a unit of work locks it in share mode.

        Everybody takes the pointer first and rows of `generation` after it, so nobody waits in a circle.
        """
        with self._database.writing() as cursor:
            cursor.execute(self._database.statement(_LOCK_SERVING))
            cursor.execute(self._database.statement(_SERVING), {"next": generation})
            numbers = [generation, *(serving for (serving,) in cursor)]
            cursor.execute(self._database.statement(_GENERATIONS_LOCKED), {"numbers": numbers})
            positions = dict(cursor.fetchall())
            work = PostgresUnitOfWork(self._database, cursor, generation, positions[generation])
            yield Switch(work, positions[numbers[-1]])
            parameters = {"next": generation, "tables_version": TABLES_VERSION}
            cursor.execute(self._database.statement(_SWITCH), parameters)
            self._set_state(cursor, generation, GenerationState.READY)
            # The position may have risen: whoever waits for one looks again.
            cursor.execute(self._database.statement(_NOTIFY), {"channel": f"{self._database.schema}_projected"})

    @override
    def retire(self, fold_version: int) -> None:
        with self._database.writing() as cursor:
            cursor.execute(self._database.statement(_LOCK_SERVING))
            cursor.execute(self._database.statement(_DELETE_POINTER), {"fold_version": fold_version})
            cursor.execute(self._database.statement(_RETIRE), {"fold_version": fold_version})

    @override
    def drop(self, generation: Generation) -> bool:
        with self._database.writing() as cursor:
            cursor.execute(self._database.statement(_DELETE_PARTITIONS), {"generation": generation})
            self._set_state(cursor, generation, GenerationState.RETIRED)
            cursor.execute(self._database.statement(_SHOW_GENERATIONS))
        try:
            with self._database.writing() as cursor:
                cursor.execute(self._database.statement(_DROP_PATIENCE))
                for table in TABLES:
                    cursor.execute(self._database.statement(_DROP, table=f"{table}_{generation}"))
                self._set_state(cursor, generation, GenerationState.DROPPED)
        except StorageUnavailable as error:
            if isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
                return False
            raise
        return True

    @override
    @contextmanager
    def snapshot(self, generation: Generation, *, token: str | None = None) -> Iterator[PostgresSnapshot]:
        with self._database.snapshot(token) as cursor:
            cursor.execute(self._database.statement(_POSITION), {"generation": generation})
            [[position, head]] = cursor.fetchall()
            yield PostgresSnapshot(self._database, cursor, generation, position, head)

    def _set_state(self, cursor: Cursor[Row], generation: Generation, state: GenerationState) -> None:
        parameters = {"generation": generation, "state": state.value}
        cursor.execute(self._database.statement(_SET_STATE), parameters)
