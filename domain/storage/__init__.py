"""The places that can hold an installation: its event store and its read models."""

from __future__ import annotations

from domain.storage.base import Database, Recorder
from domain.storage.location import Location

__all__ = ["Database", "open_database", "recorder_of"]


def open_database(location: Location) -> Database:
    """Opens a place without creating anything there."""
    match location.backend:
        case "memory":
            from domain.storage.memory.database import MemoryDatabase

            return MemoryDatabase(location.target)
        case "sqlite":
            from domain.storage.sqlite.database import SQLiteDatabase

            return SQLiteDatabase(location.target)
        case "postgresql":
            from domain.storage.postgres.database import PostgresDatabase

            return PostgresDatabase(location.target, schema=location.schema)


def recorder_of(database: Database) -> Recorder:
    """The adapter of the event store in an opened database."""
    from domain.storage.memory.database import MemoryDatabase
    from domain.storage.sqlite.database import SQLiteDatabase

    if isinstance(database, MemoryDatabase):
        from domain.storage.memory.recorder import MemoryRecorder

        return MemoryRecorder(database)
    if isinstance(database, SQLiteDatabase):
        from domain.storage.sqlite.recorder import SQLiteRecorder

        return SQLiteRecorder(database)
    from domain.storage.postgres.database import PostgresDatabase
    from domain.storage.postgres.recorder import PostgresRecorder

    assert isinstance(database, PostgresDatabase)  # noqa: S101 - there are three
    return PostgresRecorder(database)
