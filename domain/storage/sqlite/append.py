"""One atomic append in an SQLite file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from domain.envelope import Envelope
from domain.identifiers import EventId
from domain.storage.base import AppendTransaction, Refused, StoredEnvelope, arrival_now


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
        self._cursor.executemany(
            """
            INSERT INTO quarantine
                (code, reason, source, line, received_at, content, length, sha256, event_id, appointment_id, count)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)
            ON CONFLICT (sha256, code) DO UPDATE SET count = count + 1
            """,
            [_quarantine_row(one) for one in refused],
        )

    @override
    def replace(self, number: int, refused: Refused | None) -> None:
        row = self._cursor.execute("SELECT count FROM quarantine WHERE number = ?", (number,)).fetchone()
        self._cursor.execute("DELETE FROM quarantine WHERE number = ?", (number,))
        if row is not None and refused is not None:
            self._cursor.execute(
                """
                INSERT INTO quarantine
                    (code, reason, source, line, received_at, content, length, sha256, event_id, appointment_id,
                     count, number)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (sha256, code) DO UPDATE SET count = count + excluded.count
                """,
                (*_quarantine_row(refused), row[0], number),
            )


def _quarantine_row(refused: Refused) -> tuple[Any, ...]:
    return (
        refused.code,
        refused.reason,
        refused.source,
        refused.line,
        refused.received_at.isoformat(),
        refused.content,
        refused.length,
        refused.sha256,
        refused.event_id,
        refused.appointment_id,
    )
