"""The read models in each kind of database: `store_of` queries and projects, `generations_of` rebuilds."""

from __future__ import annotations

from typing import Any

from domain.storage import Database
from domain.storage.location import BackendName
from projections.stores.base import Store
from projections.stores.erasing import Erasing
from projections.stores.generations import Backend, Generations
from projections.stores.health import Health
from projections.stores.links import Links


def store_of(database: Database) -> Store:
    """The read models in an opened database, to project to and to query."""
    return _backend(database.backend).store(database)


def generations_of(database: Database) -> Generations:
    """The generations of the read models in an opened database, to make, check and switch."""
    return _backend(database.backend).generations(database)


def _backend(name: BackendName) -> Backend[Any]:
    match name:
        case "memory":
            from projections.stores import memory

            return memory.BACKEND
        case "sqlite":
            from projections.stores import sqlite

            return sqlite.BACKEND
        case "postgresql":
            from projections.stores import postgres

            return postgres.BACKEND


def health_of(database: Database) -> Health:
    """What an opened database keeps of the installation's health."""
    return _backend(database.backend).health(database)


def links_of(database: Database) -> Links:
    """The links of calendar feeds in an opened database."""
    from domain.storage.memory.database import MemoryDatabase
    from domain.storage.sqlite.database import SQLiteDatabase

    if isinstance(database, MemoryDatabase):
        from projections.stores.memory.links import MemoryLinks

        return MemoryLinks(database)
    if isinstance(database, SQLiteDatabase):
        from projections.stores.sqlite.links import SQLiteLinks

        return SQLiteLinks(database)
    from domain.storage.postgres.database import PostgresDatabase
    from projections.stores.postgres.links import PostgresLinks

    assert isinstance(database, PostgresDatabase)  # noqa: S101 - there are three
    return PostgresLinks(database)


def erasing_of(database: Database) -> Erasing:
    """What erases a person from the read models in an opened database."""
    return _backend(database.backend).erasing(database)
