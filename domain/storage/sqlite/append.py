"""One atomic append in an SQLite file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime

from typing_extensions import override

from domain.envelope import Envelope
from domain.identifiers import AppointmentId, EventId, Position
from domain.ledger import Ledger
from domain.receipt import Receipt
from domain.storage.arrivals import arrival_now
from domain.storage.base import (
    AppendTransaction,
    OutboxCursor,
    Outcomes,
    QuarantinedItem,
    Refused,
    Rewritten,
    StoredEnvelope,
)
from domain.storage.forgotten import Needles
from domain.storage.sqlite import ledger, quarantine, searching
from domain.storage.sqlite.ledger import SQLiteLedger
from domain.storage.user import user_of_system


class SQLiteAppend(AppendTransaction):
    """An append through a cursor in a transaction that has the write lock."""

    def __init__(self, cursor: sqlite3.Cursor, forgotten: SQLiteLedger) -> None:
        self.cursor = cursor
        self._cursor = cursor
        self._forgotten = forgotten

    @property
    @override
    def ledger(self) -> Ledger:
        return self._forgotten.of(self._cursor)

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
    def user(self) -> str:
        return user_of_system()

    @override
    def at(self, position: Position) -> StoredEnvelope | None:
        self._cursor.execute(
            """
            SELECT rowid, originator_version, originator_id, topic, state
            FROM stored_events
            WHERE rowid = :position
            """,
            {"position": position},
        )
        row = self._cursor.fetchone()
        return None if row is None else StoredEnvelope(*row)

    @override
    def stream(self, appointment_id: AppointmentId) -> list[StoredEnvelope]:
        self._cursor.execute(
            """
            SELECT rowid, originator_version, originator_id, topic, state
            FROM stored_events
            WHERE originator_id = :appointment_id
            ORDER BY originator_version
            """,
            {"appointment_id": appointment_id},
        )
        return [StoredEnvelope(*row) for row in self._cursor]

    @override
    def insert(self, envelopes: Sequence[Envelope], topic: str) -> None:
        self._insert([(one.snapshot.id, one.event_id, topic, one.text) for one in envelopes])

    @override
    def rewrite(self, events: Sequence[Rewritten]) -> None:
        self._cursor.executemany(
            """
            UPDATE stored_events
            SET topic = :topic, state = :text, arrived_at = COALESCE(:arrived_at, arrived_at)
            WHERE rowid = :position
            """,
            [one._asdict() | {"arrived_at": one.arrived_at and _column(one.arrived_at)} for one in events],
        )

    @override
    def mark(self, markers: Sequence[tuple[AppointmentId, bytes]], topic: str) -> None:
        self._cursor.execute("SELECT COALESCE(MIN(0, MIN(originator_version)), 0) FROM stored_events")
        [lowest] = self._cursor.fetchone()
        numbered = enumerate(markers, start=1)
        self._insert([(appointment_id, lowest - number, topic, text) for number, (appointment_id, text) in numbered])

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

    @override
    def count(self, outcomes: Outcomes) -> None:
        self._cursor.execute(
            """
            UPDATE outcome
            SET
                appended = appended + :appended,
                duplicates = duplicates + :duplicates,
                ignored = ignored + :ignored,
                quarantined = quarantined + :quarantined
            """,
            outcomes._asdict(),
        )

    @override
    def search(self, needles: Needles, *, after: Position) -> list[StoredEnvelope]:
        return searching.search(self._cursor, needles, after=after)

    @override
    def search_quarantine(self, needles: Needles) -> list[QuarantinedItem]:
        return searching.search_quarantine(self._cursor, needles)

    @override
    def forget(self, receipt: Receipt) -> int:
        return ledger.insert(self._cursor, receipt)

    @override
    def lift(self, receipt: Receipt) -> None:
        ledger.lift(self._cursor, receipt)

    def _insert(self, events: Sequence[tuple[str, int, str, bytes]]) -> None:
        arrived_at = _column(arrival_now())  # one of the whole batch, not of each row
        self._cursor.executemany(
            """
            INSERT INTO stored_events (originator_id, originator_version, topic, state, arrived_at)
            VALUES (?, ?, ?, ?, ?)
            """,
            [(*event, arrived_at) for event in events],
        )


def _column(arrived_at: datetime) -> str:
    return arrived_at.isoformat(timespec="milliseconds")
