"""Finds byte strings in what is stored in an SQLite file."""

from __future__ import annotations

import sqlite3
from typing import Final

from domain.identifiers import Position
from domain.storage.base import QuarantinedItem, StoredEnvelope
from domain.storage.forgotten import SEARCHED_MAX, Needles
from domain.storage.sqlite.quarantine import item_of

_SEARCH: Final = """
    SELECT rowid, originator_version, originator_id, topic, state
    FROM stored_events
    WHERE rowid > :after
    AND (instr(state, :id) OR instr(state, :escape))
    ORDER BY rowid
    LIMIT :limit
"""

_SEARCH_QUARANTINE: Final = """
    SELECT number, count, code, reason, source, line, received_at, content, length, sha256, event_id, appointment_id
    FROM quarantine
    WHERE instr(content, :id)
    OR instr(content, :escape)
    OR instr(CAST(reason AS BLOB), :id)
    ORDER BY number
"""


def search(cursor: sqlite3.Cursor, needles: Needles, *, after: Position) -> list[StoredEnvelope]:
    """The events of `Recorder.search`, through a cursor."""
    cursor.execute(_SEARCH, needles._asdict() | {"after": after, "limit": SEARCHED_MAX})
    return [StoredEnvelope(*row) for row in cursor]


def search_quarantine(cursor: sqlite3.Cursor, needles: Needles) -> list[QuarantinedItem]:
    """The items of `Recorder.search_quarantine`, through a cursor."""
    cursor.execute(_SEARCH_QUARANTINE, needles._asdict())
    return [item_of(row) for row in cursor]
