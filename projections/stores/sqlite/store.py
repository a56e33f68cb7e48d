"""The read models in the SQLite file of the event store."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from importlib import resources
from threading import Event
from typing import Any, Final

from typing_extensions import override

from domain.appointment import current_fold_version
from domain.errors import NotInstalled
from domain.identifiers import AppointmentId, Generation, Position
from domain.storage.base import TABLES_VERSION, StoredEnvelope, check_tables_version
from domain.storage.sqlite.database import SQLiteDatabase
from domain.storage.sqlite.recorder import EVENT_STORE_SQL
from projections.rows import ScheduleRow, Side
from projections.stores.base import (
    UNDATED_SORT_KEY,
    Catalogue,
    GenerationInfo,
    GenerationState,
    OwnerCounts,
    ScheduleChange,
    ScheduleQuery,
    Stamp,
    Store,
)
from projections.stores.sqlite.unit_of_work import SQLiteUnitOfWork

_FOLDER: Final = resources.files("projections.stores.sqlite")
MIGRATION_SQL: Final = (_FOLDER / "migration.sql").read_text("utf-8")
_CATALOGUE_SQL: Final = (_FOLDER / "catalogue.sql").read_text("utf-8")
GENERATION_SQL: Final = (_FOLDER / "generation.sql").read_text("utf-8")
KEYS_SQL: Final = (_FOLDER / "keys.sql").read_text("utf-8")

# Every question is the serving generation's stamp, joined with the answer of the generation that served when
# last asked. When the stamp names another generation the answer is empty, and the question is asked again.
_STAMP: Final = """
    SELECT
        serving.generation,
        generation.fold_version,
        generation.position,
        (SELECT COALESCE(MAX(rowid), 0) FROM stored_events),
        (SELECT epoch FROM event_store WHERE singleton = 1),
        serving.tables_version,
        answer.*
    FROM serving
    JOIN generation ON generation.number = serving.generation
    LEFT JOIN ({answer}) AS answer ON serving.generation = {generation}
"""

_NOTHING: Final = "SELECT NULL AS no_answer"

_SCHEDULE: Final = """
    SELECT body
    FROM (
        SELECT body, appointment_id, COALESCE(:direction * starts_at, :undated) AS sort_key
        FROM {side}_schedule_{generation}
        WHERE {side}_id = :owner_id
        AND body IS NOT NULL
        AND (:include_deleted OR NOT is_deleted)
        AND (:statuses IS NULL OR status IN (SELECT value FROM json_each(:statuses)))
        AND (:appointment_type IS NULL OR appointment_type = :appointment_type)
        AND (:subphase_id IS NULL OR subphase_id = :subphase_id)
        AND (:counterpart_id IS NULL OR counterpart_id = :counterpart_id)
        AND (:ends_after IS NULL OR ends_at > :ends_after OR starts_at >= :ends_after)
        AND (:starts_before IS NULL OR starts_at < :starts_before)
        AND (:past_before IS NULL OR (starts_at < :past_before AND ends_at <= :past_before))
    )
    WHERE :after_start IS NULL OR (sort_key, appointment_id) > (:after_start, :after_id)
    ORDER BY sort_key, appointment_id
    LIMIT :limit
"""

_APPOINTMENT: Final = "SELECT body FROM appointment_{generation} WHERE appointment_id = :appointment_id"

_OWNERS: Final = """
    SELECT
        {side}_id AS owner_id,
        SUM(status = 'PLANNED') AS planned,
        SUM(status = 'DONE') AS done,
        SUM(status = 'CANCELED') AS canceled
    FROM {side}_schedule_{generation}
    WHERE {side}_id > :after
    AND body IS NOT NULL
    AND NOT is_deleted
    GROUP BY {side}_id
    ORDER BY {side}_id
    LIMIT :limit
"""

_CHANGES: Final = """
    SELECT
        {side}_id, appointment_id, position, counterpart_id, status, appointment_type, subphase_id, starts_at,
        ends_at, is_deleted, body
    FROM {side}_schedule_{generation}
    WHERE {side}_id = :owner_id
    AND position > :after
"""

_STREAMS: Final = """
    SELECT event.rowid, event.originator_version, event.originator_id, event.topic, event.state
    FROM {side}_schedule_{generation} AS schedule
    JOIN stored_events AS event ON event.originator_id = schedule.appointment_id
    WHERE schedule.{side}_id = :owner_id
    AND event.rowid <= (SELECT position FROM generation WHERE number = {generation})
"""


class SQLiteStore(Store):
    """The read models in an SQLite file."""

    def __init__(self, database: SQLiteDatabase) -> None:
        self._database = database
        self._serving_generation: Generation | None = None

    @override
    def create(self) -> None:
        self._database.run_script(installation_sql())

    @override
    def migrate(self) -> None:
        with self._database.reading() as cursor:
            has_read_models = cursor.execute("SELECT 1 FROM sqlite_schema WHERE name = 'serving'").fetchone()
        self._database.run_script(EVENT_STORE_SQL + (MIGRATION_SQL if has_read_models else ""))

    @override
    def catalogue(self) -> Catalogue:
        with self._database.snapshot() as cursor:
            row = cursor.execute("SELECT generation, previous, tables_version FROM serving").fetchone()
            if row is None:
                raise NotInstalled(
                    f"{self._database.path} holds no read models; create them with: appointments init",
                    place=self._database.place,
                )
            check_tables_version(row[2])
            cursor.execute("SELECT number, fold_version, position, state, created_at FROM generation ORDER BY number")
            infos = tuple(
                GenerationInfo(number, fold, position, GenerationState(state), datetime.fromisoformat(created_at))
                for number, fold, position, state, created_at in cursor
            )
            return Catalogue(row[0], row[1], infos)

    @override
    @contextmanager
    def unit_of_work(self, generation: Generation | None = None) -> Iterator[SQLiteUnitOfWork]:
        """Takes the write lock of the file."""
        with self._database.writing() as cursor:
            row = cursor.execute(
                """
                SELECT generation.number, generation.fold_version, generation.position, serving.tables_version
                FROM serving
                JOIN generation ON generation.number = COALESCE(?, serving.generation)
                """,
                (generation,),
            ).fetchone()
            check_tables_version(row[3])
            yield SQLiteUnitOfWork(cursor, *row[:3])

    @override
    def stamp(self) -> Stamp:
        stamp, _ = self._ask(_NOTHING, {})
        return stamp

    @override
    def schedule(self, query: ScheduleQuery) -> tuple[Stamp, list[str]]:
        parameters = {
            "owner_id": query.owner_id,
            "direction": query.direction,
            "undated": UNDATED_SORT_KEY,
            "include_deleted": query.include_deleted,
            "statuses": None if query.statuses is None else json.dumps(sorted(query.statuses)),
            "appointment_type": query.appointment_type,
            "subphase_id": query.subphase_id,
            "counterpart_id": query.counterpart_id,
            "ends_after": query.ends_after,
            "starts_before": query.starts_before,
            "past_before": query.past_before,
            "after_start": query.after and query.after.start,
            "after_id": query.after and query.after.appointment_id,
            "limit": -1 if query.limit is None else query.limit,
        }
        stamp, rows = self._ask(_SCHEDULE, parameters, side=query.side)
        return stamp, [row[0] for row in rows]

    @override
    def appointment(self, appointment_id: AppointmentId) -> tuple[Stamp, str | None]:
        stamp, rows = self._ask(_APPOINTMENT, {"appointment_id": appointment_id})
        return stamp, rows[0][0] if rows else None

    @override
    def owners(self, side: Side, *, after: str | None, limit: int | None) -> tuple[Stamp, list[OwnerCounts]]:
        parameters = {"after": after or "", "limit": -1 if limit is None else limit}
        stamp, rows = self._ask(_OWNERS, parameters, side=side)
        return stamp, [OwnerCounts(*row) for row in rows]

    @override
    def changes(self, side: Side, owner_id: str, *, after: Position) -> tuple[Stamp, list[ScheduleChange]]:
        stamp, rows = self._ask(_CHANGES, {"owner_id": owner_id, "after": after}, side=side)
        changed = [ScheduleChange(row[1], row[2], ScheduleRow(*row)) for row in rows]
        return stamp, sorted(changed, key=lambda change: (change.position, change.appointment_id))

    @override
    def streams(self, side: Side, owner_id: str) -> tuple[Stamp, list[StoredEnvelope]]:
        stamp, rows = self._ask(_STREAMS, {"owner_id": owner_id}, side=side)
        return stamp, [StoredEnvelope(*row) for row in rows]

    @override
    def appointments_count(self) -> int:
        _, [[count]] = self._ask("SELECT COUNT(*) FROM appointment_{generation}", {})
        return int(count)

    @override
    @contextmanager
    def waiter(self) -> Iterator[Callable[[Event, float], None]]:
        with self._database.waiter() as wait:
            yield wait

    def _ask(
        self, answer: str, parameters: Mapping[str, Any], *, side: Side = Side.TALENT
    ) -> tuple[Stamp, list[tuple[Any, ...]]]:
        """The stamp and the rows of an answer, both of the generation that serves."""
        while True:
            generation = self._serving_generation or self._serving()
            statement = _question(answer, side, generation)
            try:
                with self._database.reading() as cursor:
                    rows = cursor.execute(statement, parameters).fetchall()
            except NotInstalled:
                rows = []
            if rows:
                check_tables_version(rows[0][5])
            if rows and rows[0][0] == generation:
                return Stamp(*rows[0][:5]), [row[6:] for row in rows if row[6] is not None]
            serving = self._serving()
            if not rows and serving == generation:
                raise NotInstalled(
                    f"a table of generation {generation} is missing; run: appointments rebuild",
                    place=self._database.place,
                )

    def _serving(self) -> Generation:
        """Reads which generation serves and caches it: no table is named before the pointer was read."""
        serving = self.catalogue().serving
        self._serving_generation = serving
        return serving


@cache
def _question(answer: str, side: Side, generation: Generation) -> str:
    return _STAMP.format(answer=answer, generation=generation).format(side=side, generation=generation)


def installation_sql() -> str:
    """The SQL that creates everything in an SQLite file, the event store first."""
    script = EVENT_STORE_SQL + _CATALOGUE_SQL + GENERATION_SQL + KEYS_SQL
    return script.format(generation=1, fold_version=current_fold_version(), tables_version=TABLES_VERSION)
