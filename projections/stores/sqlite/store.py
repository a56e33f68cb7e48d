"""The read models in the SQLite file of the event store."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from datetime import datetime
from functools import cache
from importlib import resources
from threading import Event
from typing import Any, Final

from typing_extensions import override

from domain.appointment import current_fold_version
from domain.errors import NotInstalled
from domain.identifiers import Generation
from domain.storage.sqlite.database import SQLiteDatabase, run_script
from domain.storage.sqlite.recorder import EVENT_STORE_SQL, migrate
from domain.storage.tables_version import TABLES_VERSION, check_tables_version
from projections.rows import Side
from projections.stores.base import FollowerSign
from projections.stores.catalogue import Catalogue, GenerationInfo, GenerationState, Pointer, no_pointer
from projections.stores.relational import RelationalStore, Row
from projections.stores.sqlite.queries import QUERIES
from projections.stores.sqlite.unit_of_work import SQLiteUnitOfWork
from projections.stores.sqlite.views import VIEWS_SQL, move_views

_FOLDER: Final = resources.files("projections.stores.sqlite")
_HEALTH_SQL: Final = (_FOLDER / "health.sql").read_text("utf-8")
MIGRATION_SQL: Final = (_FOLDER / "migration.sql").read_text("utf-8") + _HEALTH_SQL
_CATALOGUE_SQL: Final = (_FOLDER / "catalogue.sql").read_text("utf-8")
GENERATION_SQL: Final = (_FOLDER / "generation.sql").read_text("utf-8")
KEYS_SQL: Final = (_FOLDER / "keys.sql").read_text("utf-8")


class SQLiteStore(RelationalStore):
    """The read models in an SQLite file."""

    queries = QUERIES

    def __init__(self, database: SQLiteDatabase) -> None:
        super().__init__(database.place)
        self._database = database

    @override
    def create(self) -> None:
        self._database.run_script(installation_sql())

    @override
    def migrate(self) -> None:
        with self._database.writing() as cursor:
            migrate(cursor)
            has_read_models = cursor.execute("SELECT 1 FROM sqlite_schema WHERE name = 'serving'").fetchone()
            if has_read_models and cursor.execute("SELECT 1 FROM serving WHERE tables_version = 1").fetchone():
                run_script(cursor, MIGRATION_SQL)
                move_views(cursor)

    @override
    def catalogue(self) -> Catalogue:
        with self._database.snapshot() as cursor:
            [tables_version] = cursor.execute("SELECT MAX(tables_version) FROM serving").fetchone()
            if tables_version is None:
                raise NotInstalled(
                    f"{self._database.path} holds no read models; create them with: appointments init",
                    place=self._database.place,
                )
            check_tables_version(tables_version)
            cursor.execute("SELECT fold_version, generation, previous FROM serving")
            pointers = {version: Pointer(serving, previous) for version, serving, previous in cursor}
            cursor.execute("SELECT number, fold_version, position, state, created_at FROM generation ORDER BY number")
            infos = tuple(
                GenerationInfo(number, fold, position, GenerationState(state), datetime.fromisoformat(created_at))
                for number, fold, position, state, created_at in cursor
            )
            return Catalogue(pointers, infos)

    @override
    @contextmanager
    def unit_of_work(self, generation: Generation | None = None) -> Iterator[SQLiteUnitOfWork]:
        """Takes the write lock of the file."""
        with self._database.writing() as cursor:
            row = cursor.execute(
                """
                SELECT generation.number, generation.position, (SELECT MAX(tables_version) FROM serving)
                FROM generation
                LEFT JOIN serving ON serving.fold_version = :fold_version
                WHERE generation.number = COALESCE(:generation, serving.generation)
                """,
                {"generation": generation, "fold_version": current_fold_version()},
            ).fetchone()
            if row is None:
                raise no_pointer([version for (version,) in cursor.execute("SELECT fold_version FROM serving")])
            check_tables_version(row[2])
            yield SQLiteUnitOfWork(cursor, *row[:2])

    @override
    def sizes(self) -> dict[str, int]:
        with self._database.reading() as cursor:
            cursor.execute(
                """
                SELECT tbl_name, SUM(pgsize)
                FROM dbstat
                JOIN sqlite_schema USING (name)
                GROUP BY tbl_name
                ORDER BY tbl_name
                """
            )
            return dict(cursor.fetchall())

    @override
    def sign(self, sign: FollowerSign) -> None:
        row = asdict(sign) | {"started_at": sign.started_at.isoformat(), "seen_at": sign.seen_at.isoformat()}
        with self._database.writing() as cursor:
            cursor.execute("DELETE FROM follower WHERE julianday(seen_at) < julianday('now', '-1 day')")
            cursor.execute(
                """
                INSERT INTO follower (name, fold_version, started_at, seen_at, position, blocked_at)
                VALUES (:name, :fold_version, :started_at, :seen_at, :position, :blocked_at)
                ON CONFLICT (name) DO UPDATE SET
                    fold_version = excluded.fold_version,
                    started_at = excluded.started_at,
                    seen_at = excluded.seen_at,
                    position = excluded.position,
                    blocked_at = excluded.blocked_at
                """,
                row,
            )

    @override
    def followers(self) -> list[FollowerSign]:
        with self._database.reading() as cursor:
            cursor.execute(
                """
                SELECT name, fold_version, started_at, seen_at, position, blocked_at
                FROM follower
                ORDER BY seen_at DESC, name
                """
            )
            return [
                FollowerSign(
                    name=name, fold_version=fold_version, started_at=datetime.fromisoformat(started_at),
                    seen_at=datetime.fromisoformat(seen_at), position=position, blocked_at=blocked_at,
                )
                for name, fold_version, started_at, seen_at, position, blocked_at in cursor
            ]  # fmt: skip

    @override
    def waiter(self) -> AbstractContextManager[Callable[[Event, float], None]]:
        return self._database.waiter()

    @override
    def fetch(self, query: str, parameters: Mapping[str, Any], *, side: Side, generation: Generation) -> list[Row]:
        with self._database.reading() as cursor:
            return cursor.execute(_statement(query, side, generation), parameters).fetchall()

    @override
    def scanning(
        self, query: str, parameters: Mapping[str, Any], *, side: Side, generation: Generation
    ) -> AbstractContextManager[Iterator[Row]]:
        return self._database.scanning(_statement(query, side, generation), parameters)

    @override
    def array(self, texts: Sequence[str]) -> str:
        return json.dumps(texts)


@cache
def _statement(query: str, side: Side, generation: Generation) -> str:
    return query.format(side=side, generation=generation)


def installation_sql() -> str:
    """The SQL that creates everything in an SQLite file, the event store first."""
    script = EVENT_STORE_SQL + _CATALOGUE_SQL + _HEALTH_SQL + GENERATION_SQL + KEYS_SQL + VIEWS_SQL
    return script.format(generation=1, fold_version=current_fold_version(), tables_version=TABLES_VERSION)
