"""The adapters of the read models: memory, SQLite and PostgreSQL, behind one contract in two halves."""

from __future__ import annotations

from domain.databases import Database
from projections.stores.base import Store
from projections.stores.building import Builder


def store_of(database: Database) -> Store:
    """The adapter of the read models in an opened database."""
    from domain.databases.memory import MemoryDatabase
    from domain.databases.sqlite import SQLiteDatabase

    if isinstance(database, MemoryDatabase):
        from projections.stores.memory import MemoryStore

        return MemoryStore(database)
    if isinstance(database, SQLiteDatabase):
        from projections.stores.sqlite import SQLiteStore

        return SQLiteStore(database)
    from domain.databases.postgres import PostgresDatabase
    from projections.stores.postgres import PostgresStore

    assert isinstance(database, PostgresDatabase)  # noqa: S101 - there are three
    return PostgresStore(database)


def builder_of(database: Database) -> Builder:
    """What makes generations of the read models in an opened database."""
    from domain.databases.memory import MemoryDatabase
    from domain.databases.sqlite import SQLiteDatabase

    if isinstance(database, MemoryDatabase):
        from projections.stores.memory_building import MemoryBuilder

        return MemoryBuilder(database)
    if isinstance(database, SQLiteDatabase):
        from projections.stores.sqlite_building import SQLiteBuilder

        return SQLiteBuilder(database)
    from domain.databases.postgres import PostgresDatabase
    from projections.stores.postgres_building import PostgresBuilder

    assert isinstance(database, PostgresDatabase)  # noqa: S101 - there are three
    return PostgresBuilder(database)
