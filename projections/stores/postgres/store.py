"""The read models in the PostgreSQL schema of the event store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC
from importlib import resources
from threading import Event
from typing import Any, Final

from psycopg import sql
from typing_extensions import override

from domain.appointment import current_fold_version
from domain.errors import NotInstalled
from domain.identifiers import AppointmentId, Generation, Position
from domain.storage.base import TABLES_VERSION, StoredEnvelope, check_tables_version
from domain.storage.postgres.database import CREATE_SCHEMA, PostgresDatabase, Row
from domain.storage.postgres.recorder import EVENT_STORE_SQL
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
from projections.stores.postgres.unit_of_work import PostgresUnitOfWork

_FOLDER: Final = resources.files("projections.stores.postgres")
MIGRATION_SQL: Final = (_FOLDER / "migration.sql").read_text("utf-8")
_CATALOGUE_SQL: Final = (_FOLDER / "catalogue.sql").read_text("utf-8")
GENERATION_SQL: Final = (_FOLDER / "generation.sql").read_text("utf-8")
KEYS_SQL: Final = (_FOLDER / "keys.sql").read_text("utf-8")
INSTALLATION_SQL: Final = EVENT_STORE_SQL + _CATALOGUE_SQL + GENERATION_SQL + KEYS_SQL

# Every question is the serving generation's stamp, joined with the answer of the generation that served when
# last asked. When the stamp names another generation the answer is empty, and the question is asked again.
_STAMP: Final = """
    SELECT
        serving.generation,
        generation.fold_version,
        generation.position,
        (SELECT COALESCE(MAX(notification_id), 0) FROM {schema}.stored_events),
        (SELECT epoch FROM {schema}.event_store WHERE singleton = 1),
        serving.tables_version,
        answer.*
    FROM {schema}.serving
    JOIN {schema}.generation ON generation.number = serving.generation
    LEFT JOIN (ANSWER) AS answer ON serving.generation = {generation}
"""

_NOTHING: Final = "SELECT NULL AS no_answer"

_SCHEDULE: Final = """
    SELECT body
    FROM (
        SELECT body, appointment_id, COALESCE(%(direction)s::bigint * starts_at, %(undated)s::bigint) AS sort_key
        FROM {schema}.{side}_schedule_{generation}
        WHERE {side}_id = %(owner_id)s
        AND body IS NOT NULL
        AND (%(include_deleted)s::boolean OR NOT is_deleted)
        AND (%(statuses)s::text[] IS NULL OR status = ANY(%(statuses)s::text[]))
        AND (%(appointment_type)s::text IS NULL OR appointment_type = %(appointment_type)s::text)
        AND (%(subphase_id)s::text IS NULL OR subphase_id = %(subphase_id)s::text)
        AND (%(counterpart_id)s::text IS NULL OR counterpart_id = %(counterpart_id)s::text)
        AND (
            %(ends_after)s::bigint IS NULL
            OR ends_at > %(ends_after)s::bigint
            OR starts_at >= %(ends_after)s::bigint
        )
        AND (%(starts_before)s::bigint IS NULL OR starts_at < %(starts_before)s::bigint)
        AND (
            %(past_before)s::bigint IS NULL
            OR (starts_at < %(past_before)s::bigint AND ends_at <= %(past_before)s::bigint)
        )
    ) AS selected
    WHERE %(after_start)s::bigint IS NULL
    OR (sort_key, appointment_id) > (%(after_start)s::bigint, %(after_id)s::text)
    ORDER BY sort_key, appointment_id
    LIMIT %(limit)s
"""

_APPOINTMENT: Final = """
    SELECT body FROM {schema}.appointment_{generation} WHERE appointment_id = %(appointment_id)s
"""

_OWNERS: Final = """
    SELECT
        {side}_id AS owner_id,
        COUNT(*) FILTER (WHERE status = 'PLANNED') AS planned,
        COUNT(*) FILTER (WHERE status = 'DONE') AS done,
        COUNT(*) FILTER (WHERE status = 'CANCELED') AS canceled
    FROM {schema}.{side}_schedule_{generation}
    WHERE {side}_id > %(after)s
    AND body IS NOT NULL
    AND NOT is_deleted
    GROUP BY {side}_id
    ORDER BY {side}_id
    LIMIT %(limit)s
"""

_CHANGES: Final = """
    SELECT
        {side}_id, appointment_id, position, counterpart_id, status, appointment_type, subphase_id, starts_at,
        ends_at, is_deleted, body
    FROM {schema}.{side}_schedule_{generation}
    WHERE {side}_id = %(owner_id)s
    AND position > %(after)s
"""

# OFFSET 0 forces a nested loop, stream by stream, whatever the planner's statistics say. The
# library's column has the collation of the database, and an index serves only comparisons under its own.
_STREAMS: Final = """
    SELECT event.notification_id, event.originator_version, event.originator_id, event.topic, event.state
    FROM {schema}.{side}_schedule_{generation} AS schedule
    CROSS JOIN LATERAL (
        SELECT notification_id, originator_version, originator_id, topic, state
        FROM {schema}.stored_events
        WHERE originator_id = schedule.appointment_id COLLATE "default"
        OFFSET 0
    ) AS event
    WHERE schedule.{side}_id = %(owner_id)s
    AND event.notification_id <= (SELECT position FROM {schema}.generation WHERE number = {generation})
"""

_COUNT: Final = "SELECT COUNT(*) AS count FROM {schema}.appointment_{generation}"

_CATALOGUE: Final = """
    SELECT
        serving.generation, serving.previous, serving.tables_version,
        generation.number, generation.fold_version, generation.position, generation.state, generation.created_at
    FROM {schema}.serving
    CROSS JOIN {schema}.generation
    ORDER BY generation.number
"""

_HAS_READ_MODELS: Final = """
    SELECT EXISTS (
        SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE relname = 'serving' AND nspname = %(schema)s
    )
"""

_SERVING_HELD: Final = "SELECT generation, tables_version FROM {schema}.serving FOR SHARE"

_GENERATION_LOCKED: Final = """
    SELECT number, fold_version, position FROM {schema}.generation WHERE number = %(generation)s FOR UPDATE
"""

_NOTIFY: Final = 'NOTIFY "{channel}"'


class PostgresStore(Store):
    """The read models in a PostgreSQL schema."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self._serving_generation: Generation | None = None
        self._channel = f"{database.schema}_projected"

    @override
    def create(self) -> None:
        self._database.run_script(INSTALLATION_SQL, **_installation_names())

    @override
    def migrate(self) -> None:
        [[has_read_models]] = self._database.fetch(
            self._database.statement(_HAS_READ_MODELS), {"schema": self._database.schema}
        )
        self._database.run_script(EVENT_STORE_SQL + (MIGRATION_SQL if has_read_models else ""))

    @override
    def catalogue(self) -> Catalogue:
        rows = self._database.fetch(self._database.statement(_CATALOGUE))
        if not rows:
            raise NotInstalled(
                f"the schema {self._database.schema} holds no read models; create them with: appointments init",
                place=self._database.place,
            )
        serving, previous, tables_version = rows[0][:3]
        check_tables_version(tables_version)
        infos = tuple(
            GenerationInfo(number, fold, position, GenerationState(state), created_at.astimezone(UTC))
            for number, fold, position, state, created_at in (row[3:] for row in rows)
        )
        return Catalogue(serving, previous, infos)

    @override
    @contextmanager
    def unit_of_work(self, generation: Generation | None = None) -> Iterator[PostgresUnitOfWork]:
        """Locks the row of the generation's position."""
        with self._database.writing() as cursor:
            if generation is None:
                [[generation, tables_version]] = cursor.execute(self._database.statement(_SERVING_HELD)).fetchall()
                check_tables_version(tables_version)
            cursor.execute(self._database.statement(_GENERATION_LOCKED), {"generation": generation})
            [row] = cursor.fetchall()
            yield PostgresUnitOfWork(self._database, cursor, *row)
            cursor.execute(self._database.statement(_NOTIFY, channel=self._channel))

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
            "statuses": None if query.statuses is None else sorted(query.statuses),
            "appointment_type": query.appointment_type,
            "subphase_id": query.subphase_id,
            "counterpart_id": query.counterpart_id,
            "ends_after": query.ends_after,
            "starts_before": query.starts_before,
            "past_before": query.past_before,
            "after_start": query.after and query.after.start,
            "after_id": query.after and query.after.appointment_id,
            "limit": query.limit,
        }
        stamp, rows = self._ask(_SCHEDULE, parameters, side=query.side)
        return stamp, [row[0] for row in rows]

    @override
    def appointment(self, appointment_id: AppointmentId) -> tuple[Stamp, str | None]:
        stamp, rows = self._ask(_APPOINTMENT, {"appointment_id": appointment_id})
        return stamp, rows[0][0] if rows else None

    @override
    def owners(self, side: Side, *, after: str | None, limit: int | None) -> tuple[Stamp, list[OwnerCounts]]:
        stamp, rows = self._ask(_OWNERS, {"after": after or "", "limit": limit}, side=side)
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
        _, [[count]] = self._ask(_COUNT, {})
        return int(count)

    @override
    @contextmanager
    def waiter(self) -> Iterator[Callable[[Event, float], None]]:
        with self._database.waiter(self._channel) as wait:
            yield wait

    def _ask(
        self, answer: str, parameters: Mapping[str, Any], *, side: Side = Side.TALENT
    ) -> tuple[Stamp, list[Row]]:
        """The stamp and the rows of an answer, both of the generation that serves."""
        question = _STAMP.replace("ANSWER", answer)
        while True:
            generation = self._serving_generation or self._serving()
            try:
                rows = self._database.fetch(
                    self._database.statement(question, side=side, generation=generation), parameters
                )
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


def installation_sql(schema: str) -> str:
    """The SQL that creates everything in a schema of a PostgreSQL database, the event store first."""
    script = f"{CREATE_SCHEMA};\n\n{INSTALLATION_SQL}"
    return sql.SQL(script).format(schema=sql.Identifier(schema), **_installation_names()).as_string(None)


def _installation_names() -> dict[str, int]:
    return {"generation": 1, "fold_version": current_fold_version(), "tables_version": TABLES_VERSION}
