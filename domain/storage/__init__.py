"""The places that can hold an installation: its event store and its read models."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Final, Protocol, Self

from domain.storage.base import Recorder
from domain.storage.location import Location, locate


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


class Installation:
    """An opened installation: what the event store, the projector and the schedules have in common.

    Safe to use from several threads, and as a context manager that closes it.

    Attributes:
        place: where it is, as a URL without a secret.
    """

    def __init__(self, database: Database) -> None:
        if not hasattr(database, "place"):
            raise TypeError(
                f"database: expected an opened database, found {type(database).__name__}; "
                f"to open one: {type(self).__name__}.open(url)"
            )
        self.place: Final = database.place
        self._closing = ExitStack()
        self._closing.callback(database.close)

    @classmethod
    def open(cls, url: str | None = None, *, schema: str | None = None) -> Self:
        """Opens the installation at a URL, without creating anything; the README lists the forms of a URL.

        Raises:
            UsageError: the URL or the schema is of no known form.
        """
        return cls(open_database(locate(url, schema=schema)))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self.place}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gives back every connection; harmless when repeated."""
        self._closing.close()
