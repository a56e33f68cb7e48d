"""The read models in each kind of database: `store_of` queries and projects, `generations_of` rebuilds."""

from __future__ import annotations

from typing import Any

from domain.storage import Database
from domain.storage.location import BackendName
from projections.stores.base import Store
from projections.stores.generations import Backend, Generations


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
