"""The read models in the SQLite file of the event store."""

from __future__ import annotations

from typing import Final

from projections.stores.generations import Backend
from projections.stores.sqlite.erasing import SQLiteErasing
from projections.stores.sqlite.generations import SQLiteGenerations
from projections.stores.sqlite.health import SQLiteHealth
from projections.stores.sqlite.store import SQLiteStore

BACKEND: Final = Backend(SQLiteStore, SQLiteGenerations, SQLiteHealth, SQLiteErasing)
