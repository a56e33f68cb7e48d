"""One atomic append on PostgreSQL, under the lock that keeps the order of events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from psycopg import Cursor
from typing_extensions import override

from domain.envelope import Envelope
from domain.identifiers import AppointmentId, EventId, Position
from domain.storage.base import AppendTransaction, OutboxCursor, Outcomes, Refused, Rewritten, StoredEnvelope
from domain.storage.postgres.database import LOCK_SECONDS_MAX, PostgresDatabase, Row
from domain.storage.postgres.quarantine import PostgresQuarantine

_LOCK: Final = """
    SET LOCAL lock_timeout = '{seconds}s';
    LOCK TABLE {schema}.stored_events IN EXCLUSIVE MODE;
    NOTIFY "{channel}"
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


def lock_and_notify(cursor: Cursor[Row], database: PostgresDatabase, channel: str) -> None:
    """Keeps every other append out until this one commits, so that no reader can overtake it; then wakes readers."""
    cursor.execute(database.statement(_LOCK, seconds=LOCK_SECONDS_MAX, channel=channel), binary=False)


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

    def __init__(self, database: PostgresDatabase, cursor: Cursor[Row]) -> None:
        self._database = database
        self._cursor = cursor
        self._quarantine = PostgresQuarantine(database)

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

    def _fetch(self, template: str, parameters: dict[str, Any]) -> list[Row]:
        return self._cursor.execute(self._database.statement(template), parameters).fetchall()
