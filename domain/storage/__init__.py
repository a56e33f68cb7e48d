"""The places that can hold an installation: its event store and its read models."""

from __future__ import annotations

from typing import Protocol

from domain.storage.base import Recorder
from domain.storage.location import Location


class Database(Protocol):
    """An opened place. Each open asks for one close.

    Attributes:
        place: where it is, as a URL without a secret.
        timeout_seconds: how long a question may take that says nothing else.
    """

    place: str
    timeout_seconds: float

    def close(self) -> None:
        """Gives back every connection; harmless when repeated."""


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
