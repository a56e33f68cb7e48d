"""Finds byte strings in what is stored in a PostgreSQL schema."""

from __future__ import annotations

from typing import Any, Final

from domain.identifiers import Position
from domain.storage.forgotten import SEARCHED_MAX, Needles
from domain.storage.postgres.database import PostgresDatabase

_SEARCH: Final = """
    SELECT notification_id, originator_version, originator_id, topic, state
    FROM {schema}.stored_events
    WHERE notification_id > %(after)s
    AND (position(%(id)b::bytea IN state) > 0 OR position(%(escape)b::bytea IN state) > 0)
    ORDER BY notification_id
    LIMIT %(limit)s
"""

_SEARCH_QUARANTINE: Final = """
    SELECT number, count, code, reason, source, line, received_at, content, length, sha256, event_id, appointment_id
    FROM {schema}.quarantine
    WHERE position(%(id)b::bytea IN content) > 0
    OR position(%(escape)b::bytea IN content) > 0
    OR position(%(id)b::bytea IN convert_to(reason, 'UTF8')) > 0
    ORDER BY number
"""


def search(database: PostgresDatabase, needles: Needles, *, after: Position) -> tuple[bytes, dict[str, Any]]:
    """Builds the statement and the parameters of `Recorder.search`."""
    return database.statement(_SEARCH), needles._asdict() | {"after": after, "limit": SEARCHED_MAX}


def search_quarantine(database: PostgresDatabase, needles: Needles) -> tuple[bytes, dict[str, Any]]:
    """Builds the statement and the parameters of `Recorder.search_quarantine`."""
    return database.statement(_SEARCH_QUARANTINE), needles._asdict()
