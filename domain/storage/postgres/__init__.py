"""An installation in one schema of a PostgreSQL database: connections, and the event store's table."""

from __future__ import annotations

from typing import Final

from domain.storage.backend import Backend
from domain.storage.postgres.database import PostgresDatabase
from domain.storage.postgres.recorder import PostgresRecorder

BACKEND: Final = Backend(lambda location: PostgresDatabase(location.target, schema=location.schema), PostgresRecorder)
