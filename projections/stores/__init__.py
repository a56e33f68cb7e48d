"""The adapters of the read models: memory, SQLite and PostgreSQL, behind one contract in two halves."""

from __future__ import annotations

from domain.storage import Database
from projections.stores.base import Store
from projections.stores.generations import Generations


def store_of(database: Database) -> Store:
    """The adapter of the read models in an opened database."""
    from domain.storage.memory.database import MemoryDatabase
    from domain.storage.sqlite.database import SQLiteDatabase

    if isinstance(database, MemoryDatabase):
        from projections.stores.memory.store import MemoryStore

        return MemoryStore(database)
    if isinstance(database, SQLiteDatabase):
        from projections.stores.sqlite.store import SQLiteStore

        return SQLiteStore(database)
    from domain.storage.postgres.database import PostgresDatabase
    from projections.stores.postgres.store import PostgresStore

    assert isinstance(database, PostgresDatabase)  # noqa: S101 - there are three
    return PostgresStore(database)


def generations_of(database: Database) -> Generations:
    """What makes generations of the read models in an opened database."""
    from domain.storage.memory.database import MemoryDatabase
    from domain.storage.sqlite.database import SQLiteDatabase

    if isinstance(database, MemoryDatabase):
        from projections.stores.memory.generations import MemoryGenerations

        return MemoryGenerations(database)
    if isinstance(database, SQLiteDatabase):
        from projections.stores.sqlite.generations import SQLiteGenerations

        return SQLiteGenerations(database)
    from domain.storage.postgres.database import PostgresDatabase
    from projections.stores.postgres.generations import PostgresGenerations

    assert isinstance(database, PostgresDatabase)  # noqa: S101 - there are three
    return PostgresGenerations(database)
