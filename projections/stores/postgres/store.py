"""The read models in the PostgreSQL schema of the event store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from datetime import UTC
from importlib import resources
from threading import Event
from typing import Any, Final

from psycopg import Cursor, sql
from typing_extensions import override

from domain.appointment import current_fold_version
from domain.errors import NotInstalled
from domain.identifiers import Generation
from domain.storage.postgres.database import CREATE_SCHEMA, PostgresDatabase, Row
from domain.storage.postgres.recorder import EVENT_STORE_MIGRATION_SQL, EVENT_STORE_SQL
from domain.storage.tables_version import TABLES_VERSION, check_tables_version
from projections.rows import Side
from projections.stores.base import FollowerSign
from projections.stores.catalogue import Catalogue, GenerationInfo, GenerationState, Pointer, no_pointer
from projections.stores.postgres.queries import QUERIES
from projections.stores.postgres.unit_of_work import PostgresUnitOfWork
from projections.stores.relational import RelationalStore

_FOLDER: Final = resources.files("projections.stores.postgres")
_HEALTH_SQL: Final = (_FOLDER / "health.sql").read_text("utf-8")
MIGRATION_SQL: Final = (_FOLDER / "migration.sql").read_text("utf-8") + _HEALTH_SQL
_CATALOGUE_SQL: Final = (_FOLDER / "catalogue.sql").read_text("utf-8")
GENERATION_SQL: Final = (_FOLDER / "generation.sql").read_text("utf-8")
KEYS_SQL: Final = (_FOLDER / "keys.sql").read_text("utf-8")
_VIEWS_SQL: Final = (_FOLDER / "views.sql").read_text("utf-8")
INSTALLATION_SQL: Final = EVENT_STORE_SQL + _CATALOGUE_SQL + _HEALTH_SQL + GENERATION_SQL + KEYS_SQL + _VIEWS_SQL

_CATALOGUE: Final = """
    SELECT
        generation.number, generation.fold_version, generation.position, generation.state, generation.created_at,
        serving.fold_version, serving.generation, serving.previous
    FROM {schema}.generation
    LEFT JOIN {schema}.serving ON serving.generation = generation.number
    ORDER BY generation.number
"""

_HAS_READ_MODELS: Final = """
    SELECT EXISTS (
        SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE relname = 'serving' AND nspname = %(schema)s
    )
"""

_TABLES_VERSION: Final = "SELECT MAX(tables_version) FROM {schema}.serving"

_VERSIONS: Final = "SELECT fold_version FROM {schema}.serving"

_SERVING_HELD: Final = """
    SELECT generation, tables_version FROM {schema}.serving WHERE fold_version = %(fold_version)s FOR SHARE
"""

_GENERATION_LOCKED: Final = """
    SELECT number, position FROM {schema}.generation WHERE number = %(generation)s FOR UPDATE
"""

_NOTIFY: Final = 'NOTIFY "{channel}"'


_SIZES: Final = """
    SELECT relname, pg_total_relation_size(pg_class.oid)
    FROM pg_class
    JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = %(schema)s
    AND relkind = 'r'
    ORDER BY relname
"""

_SIGN: Final = """
    INSERT INTO {schema}.follower (name, fold_version, started_at, seen_at, position, blocked_at)
    VALUES (%(name)s, %(fold_version)s, %(started_at)s, %(seen_at)s, %(position)s, %(blocked_at)s)
    ON CONFLICT (name) DO UPDATE SET
        fold_version = excluded.fold_version,
        started_at = excluded.started_at,
        seen_at = excluded.seen_at,
        position = excluded.position,
        blocked_at = excluded.blocked_at
"""

_FORGET_OLD_SIGNS: Final = "DELETE FROM {schema}.follower WHERE seen_at < now() - interval '1 day'"

_FOLLOWERS: Final = """
    SELECT name, fold_version, started_at, seen_at, position, blocked_at
    FROM {schema}.follower
    ORDER BY seen_at DESC, name
"""


class PostgresStore(RelationalStore):
    """The read models in a PostgreSQL schema."""

    queries = QUERIES

    def __init__(self, database: PostgresDatabase) -> None:
        super().__init__(database.place)
        self._database = database
        self._channel = f"{database.schema}_projected"

    @override
    def create(self) -> None:
        self._database.run_script(INSTALLATION_SQL, **_installation_names())

    @override
    def migrate(self) -> None:
        [[has_read_models]] = self._database.fetch(
            self._database.statement(_HAS_READ_MODELS), {"schema": self._database.schema}
        )
        self._database.run_script(
            EVENT_STORE_SQL + EVENT_STORE_MIGRATION_SQL + (MIGRATION_SQL + _VIEWS_SQL) * has_read_models
        )

    @override
    def catalogue(self) -> Catalogue:
        [[tables_version]] = self._database.fetch(self._database.statement(_TABLES_VERSION))
        if tables_version is None:
            raise NotInstalled(
                f"the schema {self._database.schema} holds no read models; create them with: appointments init",
                place=self._database.place,
            )
        check_tables_version(tables_version)
        rows = self._database.fetch(self._database.statement(_CATALOGUE))
        pointers = {
            version: Pointer(serving, previous) for *_, version, serving, previous in rows if version is not None
        }
        infos = tuple(
            GenerationInfo(number, fold, position, GenerationState(state), created_at.astimezone(UTC))
            for number, fold, position, state, created_at, *_ in rows
        )
        return Catalogue(pointers, infos)

    @override
    @contextmanager
    def unit_of_work(self, generation: Generation | None = None) -> Iterator[PostgresUnitOfWork]:
        """Locks the row of the generation's position."""
        with self._database.writing() as cursor:
            if generation is None:
                generation = self._held(cursor)
            cursor.execute(self._database.statement(_GENERATION_LOCKED), {"generation": generation})
            [row] = cursor.fetchall()
            yield PostgresUnitOfWork(self._database, cursor, *row)
            cursor.execute(self._database.statement(_NOTIFY, channel=self._channel))

    def _held(self, cursor: Cursor[Row]) -> Generation:
        """The generation that serves, until the end of the transaction."""
        cursor.execute(self._database.statement(_SERVING_HELD), {"fold_version": current_fold_version()})
        rows = cursor.fetchall()
        if not rows:
            cursor.execute(self._database.statement(_VERSIONS))
            raise no_pointer([version for (version,) in cursor])
        [[generation, tables_version]] = rows
        check_tables_version(tables_version)
        return Generation(generation)

    @override
    def sizes(self) -> dict[str, int]:
        return dict(self._database.fetch(self._database.statement(_SIZES), {"schema": self._database.schema}))

    @override
    def sign(self, sign: FollowerSign) -> None:
        with self._database.writing() as cursor:
            cursor.execute(self._database.statement(_FORGET_OLD_SIGNS))
            cursor.execute(self._database.statement(_SIGN), asdict(sign))

    @override
    def followers(self) -> list[FollowerSign]:
        return [
            FollowerSign(
                name=name, fold_version=fold_version, started_at=started_at.astimezone(UTC),
                seen_at=seen_at.astimezone(UTC), position=position, blocked_at=blocked_at,
            )
            for name, fold_version, started_at, seen_at, position, blocked_at in self._database.fetch(
                self._database.statement(_FOLLOWERS)
            )
        ]  # fmt: skip

    @override
    def waiter(self) -> AbstractContextManager[Callable[[Event, float], None]]:
        return self._database.waiter(self._channel)

    @override
    def fetch(self, query: str, parameters: Mapping[str, Any], *, side: Side, generation: Generation) -> list[Row]:
        return self._database.fetch(self._database.statement(query, side=side, generation=generation), parameters)

    @override
    def scanning(
        self, query: str, parameters: Mapping[str, Any], *, side: Side, generation: Generation
    ) -> AbstractContextManager[Iterator[Row]]:
        return self._database.scanning(self._database.statement(query, side=side, generation=generation), parameters)

    @override
    def array(self, texts: Sequence[str]) -> list[str]:
        return list(texts)


def installation_sql(schema: str) -> str:
    """The SQL that creates everything in a schema of a PostgreSQL database, the event store first."""
    script = f"{CREATE_SCHEMA};\n\n{INSTALLATION_SQL}"
    return sql.SQL(script).format(schema=sql.Identifier(schema), **_installation_names()).as_string(None)


def _installation_names() -> dict[str, int]:
    return {"generation": 1, "fold_version": current_fold_version(), "tables_version": TABLES_VERSION}
