"""The read models in the PostgreSQL schema of the event store."""

from __future__ import annotations

from typing import Final

from projections.stores.generations import Backend
from projections.stores.postgres.erasing import PostgresErasing
from projections.stores.postgres.generations import PostgresGenerations
from projections.stores.postgres.health import PostgresHealth
from projections.stores.postgres.store import PostgresStore

BACKEND: Final = Backend(PostgresStore, PostgresGenerations, PostgresHealth, PostgresErasing)
