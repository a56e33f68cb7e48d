"""Opens the database of an installation, whichever kind it is."""

from __future__ import annotations

from typing import Any

from domain.storage.backend import Backend
from domain.storage.base import Database, Recorder
from domain.storage.location import BackendName, Location

__all__ = ["Database", "open_database", "recorder_of"]


def open_database(location: Location) -> Database:
    """Opens the database at a location, without creating anything there."""
    return _backend(location.backend).open(location)


def recorder_of(database: Database) -> Recorder:
    """The event store's adapter in an open database."""
    return _backend(database.backend).recorder(database)


def _backend(name: BackendName) -> Backend[Any]:
    match name:
        case "memory":
            from domain.storage import memory

            return memory.BACKEND
        case "sqlite":
            from domain.storage import sqlite

            return sqlite.BACKEND
        case "postgresql":
            from domain.storage import postgres

            return postgres.BACKEND
