"""One atomic append in an SQLite file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from typing_extensions import override

from domain.envelope import Envelope
from domain.identifiers import EventId
from domain.storage.base import AppendTransaction, OutboxCursor, Refused, StoredEnvelope, arrival_now
from domain.storage.sqlite import quarantine


class SQLiteAppend(AppendTransaction):
    """An append through a cursor in a transaction that has the write lock."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor

    @override
    def stored(self, event_ids: Sequence[EventId]) -> dict[EventId, StoredEnvelope]:
        self._cursor.execute(
            """
            SELECT rowid, originator_version, originator_id, topic, state
            FROM stored_events
            WHERE originator_version IN (SELECT value FROM json_each(:event_ids))
            """,
            {"event_ids": json.dumps(event_ids)},
        )
        return {row[1]: StoredEnvelope(*row) for row in self._cursor}

    @override
    def insert(self, envelopes: Sequence[Envelope], topic: str) -> None:
        arrived_at = arrival_now().isoformat(timespec="milliseconds")  # one of the whole batch, not of each row
        self._cursor.executemany(
            """
            INSERT INTO stored_events (originator_id, originator_version, topic, state, arrived_at)
            VALUES (?, ?, ?, ?, ?)
            """,
            [(envelope.snapshot.id, envelope.event_id, topic, envelope.text, arrived_at) for envelope in envelopes],
        )

    @override
    def quarantine(self, refused: Sequence[Refused]) -> None:
        quarantine.insert(self._cursor, refused)

    @override
    def replace(self, number: int, refused: Refused | None) -> None:
        quarantine.replace(self._cursor, number, refused)

    @override
    def advance(self, cursor: OutboxCursor) -> None:
        self._cursor.execute(
            """
            INSERT INTO outbox (source, query_sha256, last_id, pulled_at)
            VALUES (:source, :query_sha256, :last_id, strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'))
            ON CONFLICT (source, query_sha256) DO UPDATE SET
                last_id = excluded.last_id,
                pulled_at = excluded.pulled_at
            """,
            cursor._asdict(),
        )
