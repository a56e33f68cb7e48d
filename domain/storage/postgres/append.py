"""One atomic append on PostgreSQL, under the lock that keeps the order of events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from psycopg import Cursor
from typing_extensions import override

from domain.envelope import Envelope
from domain.identifiers import AppointmentId, EventId, Position
from domain.ledger import Ledger
from domain.receipt import Receipt
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
from domain.storage.postgres import searching
from domain.storage.postgres.database import LOCK_SECONDS_MAX, PostgresDatabase, Row
from domain.storage.postgres.ledger import PostgresLedger
from domain.storage.postgres.quarantine import PostgresQuarantine, item_of

_LOCK: Final = """
    SET LOCAL lock_timeout = '{seconds}s';
    LOCK TABLE {schema}.stored_events IN EXCLUSIVE MODE;
    NOTIFY "{channel}";
    SELECT secret, erasures FROM {schema}.event_store WHERE singleton = 1
"""

STORED: Final = """
    SELECT notification_id, originator_version, originator_id, topic, state
    FROM {schema}.stored_events
    WHERE originator_version = ANY(%(event_ids)b::bigint[])
"""

_AT: Final = """
    SELECT notification_id, originator_version, originator_id, topic, state
    FROM {schema}.stored_events
    WHERE notification_id = %(position)s
"""

_STREAM: Final = """
    SELECT notification_id, originator_version, originator_id, topic, state
    FROM {schema}.stored_events
    WHERE originator_id = %(appointment_id)s
    ORDER BY originator_version
"""

_REWRITE: Final = """
    UPDATE {schema}.stored_events
    SET topic = %(topic)s, state = %(text)s, arrived_at = COALESCE(%(arrived_at)s, arrived_at)
    WHERE notification_id = %(position)s
"""

_LOWEST: Final = "SELECT LEAST(0, MIN(originator_version)) FROM {schema}.stored_events"

_COPY: Final = """
    COPY {schema}.stored_events (originator_id, originator_version, topic, state) FROM STDIN (FORMAT BINARY)
"""

_ADVANCE: Final = """
    INSERT INTO {schema}.outbox (source, query_sha256, last_id, pulled_at)
    VALUES (%(source)s, %(query_sha256)s, %(last_id)s, now())
    ON CONFLICT (source, query_sha256) DO UPDATE SET
        last_id = excluded.last_id,
        pulled_at = excluded.pulled_at
"""


_COUNT: Final = """
    UPDATE {schema}.outcome
    SET
        appended = appended + %(appended)s,
        duplicates = duplicates + %(duplicates)s,
        ignored = ignored + %(ignored)s,
        quarantined = quarantined + %(quarantined)s
"""


def lock_and_notify(cursor: Cursor[Row], database: PostgresDatabase, channel: str) -> tuple[str, int]:
    """Keeps every other append out until this one commits, so that no reader can overtake it; then wakes readers.

    Returns the secret and the version of the ledger, without a question of its own.
    """
    cursor.execute(database.statement(_LOCK, seconds=LOCK_SECONDS_MAX, channel=channel), binary=False)
    while cursor.nextset():
        pass
    [[secret, version]] = cursor.fetchall()
    return secret, version


def copy_events(
    cursor: Cursor[Row], database: PostgresDatabase, events: Sequence[tuple[str, int, str, bytes]]
) -> None:
    """Inserts events in their order; the table's sequence gives the positions."""
    with cursor.copy(database.statement(_COPY)) as copy:
        copy.set_types(("text", "int8", "text", "bytea"))
        for event in events:
            copy.write_row(event)


class PostgresAppend(AppendTransaction):
    """An append through a cursor in a transaction that has the lock."""

    def __init__(
        self, database: PostgresDatabase, cursor: Cursor[Row], forgotten: PostgresLedger, state: tuple[str, int]
    ) -> None:
        self.cursor = cursor
        self._database = database
        self._cursor = cursor
        self._forgotten = forgotten
        self._state = state
        self._quarantine = PostgresQuarantine(database)

    @property
    @override
    def ledger(self) -> Ledger:
        return self._forgotten.of(self._cursor, *self._state)

    @override
    def stored(self, event_ids: Sequence[EventId]) -> dict[EventId, StoredEnvelope]:
        self._cursor.execute(self._database.statement(STORED), {"event_ids": list(event_ids)})
        return {row[1]: StoredEnvelope(*row) for row in self._cursor}

    @override
    def user(self) -> str:
        [[name]] = self._fetch("SELECT session_user::text", {})
        return str(name)

    @override
    def at(self, position: Position) -> StoredEnvelope | None:
        rows = self._fetch(_AT, {"position": position})
        return StoredEnvelope(*rows[0]) if rows else None

    @override
    def stream(self, appointment_id: AppointmentId) -> list[StoredEnvelope]:
        return [StoredEnvelope(*row) for row in self._fetch(_STREAM, {"appointment_id": appointment_id})]

    @override
    def insert(self, envelopes: Sequence[Envelope], topic: str) -> None:
        if envelopes:
            events = [(one.snapshot.id, one.event_id, topic, one.text) for one in envelopes]
            copy_events(self._cursor, self._database, events)

    @override
    def rewrite(self, events: Sequence[Rewritten]) -> None:
        if events:
            statement = self._database.statement(_REWRITE)
            self._cursor.executemany(statement, [one._asdict() for one in events])

    @override
    def mark(self, markers: Sequence[tuple[AppointmentId, bytes]], topic: str) -> None:
        [[lowest]] = self._fetch(_LOWEST, {})
        numbered = enumerate(markers, start=1)
        events = [(appointment_id, lowest - number, topic, text) for number, (appointment_id, text) in numbered]
        copy_events(self._cursor, self._database, events)

    @override
    def quarantine(self, refused: Sequence[Refused]) -> None:
        self._quarantine.insert(self._cursor, refused)

    @override
    def replace(self, number: int, refused: Refused | None) -> None:
        self._quarantine.replace(self._cursor, number, refused)

    @override
    def advance(self, cursor: OutboxCursor) -> None:
        self._cursor.execute(self._database.statement(_ADVANCE), cursor._asdict())

    @override
    def count(self, outcomes: Outcomes) -> None:
        self._cursor.execute(self._database.statement(_COUNT), outcomes._asdict())

    @override
    def search(self, needles: Needles, *, after: Position) -> list[StoredEnvelope]:
        self._cursor.execute(*searching.search(self._database, needles, after=after))
        return [StoredEnvelope(*row) for row in self._cursor]

    @override
    def search_quarantine(self, needles: Needles) -> list[QuarantinedItem]:
        self._cursor.execute(*searching.search_quarantine(self._database, needles))
        return [item_of(row) for row in self._cursor]

    @override
    def forget(self, receipt: Receipt) -> int:
        return self._forgotten.insert(self._cursor, receipt)

    @override
    def lift(self, receipt: Receipt) -> None:
        self._forgotten.lift(self._cursor, receipt)

    def _fetch(self, template: str, parameters: dict[str, Any]) -> list[Row]:
        return self._cursor.execute(self._database.statement(template), parameters).fetchall()
