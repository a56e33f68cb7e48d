"""The places that can hold an installation: its event store and its read models."""

from __future__ import annotations

from typing import Any

from domain.storage.base import Backend, Database, Recorder
from domain.storage.location import BackendName, Location

__all__ = ["Database", "open_database", "recorder_of"]


def open_database(location: Location) -> Database:
    """Opens a place without creating anything there."""
    return _backend(location.backend).open(location)


def recorder_of(database: Database) -> Recorder:
    """The adapter of the event store in an opened database."""
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
