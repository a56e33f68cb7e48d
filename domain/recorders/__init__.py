"""The adapters of the event store: memory, SQLite and PostgreSQL, behind one contract."""

from __future__ import annotations

from domain.databases import Database
from domain.recorders.base import Recorder


def recorder_of(database: Database) -> Recorder:
    """The adapter of the event store in an opened database."""
    from domain.databases.memory import MemoryDatabase
    from domain.databases.sqlite import SQLiteDatabase

    if isinstance(database, MemoryDatabase):
        from domain.recorders.memory import MemoryRecorder

        return MemoryRecorder(database)
    if isinstance(database, SQLiteDatabase):
        from domain.recorders.sqlite import SQLiteRecorder

        return SQLiteRecorder(database)
    from domain.databases.postgres import PostgresDatabase
    from domain.recorders.postgres import PostgresRecorder

    assert isinstance(database, PostgresDatabase)  # noqa: S101 - there are three
    return PostgresRecorder(database)
