"""An installation in one SQLite file: connections, and the event store's table."""

from __future__ import annotations

from typing import Final

from domain.storage.backend import Backend
from domain.storage.sqlite.database import SQLiteDatabase
from domain.storage.sqlite.recorder import SQLiteRecorder

BACKEND: Final = Backend(lambda location: SQLiteDatabase(location.target), SQLiteRecorder)
