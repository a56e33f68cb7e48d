"""The event store in one SQLite file, in the table that the library reads."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from importlib import resources
from threading import Event
from typing import Final

from typing_extensions import override

from domain.errors import NotInstalled
from domain.identifiers import AppointmentId, EventId, Position
from domain.storage.arrivals import arrival_of
from domain.storage.base import (
    READ_BYTES_MAX,
    Outcomes,
    QuarantinedItem,
    Recorder,
    StoredEnvelope,
    with_arrivals,
)
from domain.storage.forgotten import Needles
from domain.storage.sqlite import searching
from domain.storage.sqlite.append import SQLiteAppend
from domain.storage.sqlite.database import SQLiteDatabase, create_private_file, run_script
from domain.storage.sqlite.ledger import SQLiteLedger
from domain.storage.sqlite.quarantine import SQLiteQuarantine
from domain.storage.tables_version import check_tables_version

EVENT_STORE_SQL: Final = (resources.files("domain.storage.sqlite") / "event_store.sql").read_text("utf-8")


# SQLite cannot add a column whose default is a time, so the table is recreated. The rows keep their
# positions, and their times of arrival stay unknown.
_SET_ASIDE_SQL: Final = """
    DROP INDEX stored_events_event_id;
    ALTER TABLE stored_events RENAME TO stored_events_1;
"""
_BRING_OVER_SQL: Final = """
    INSERT INTO stored_events (rowid, originator_id, originator_version, topic, state, arrived_at)
    SELECT rowid, originator_id, originator_version, topic, state, NULL
    FROM stored_events_1
    ORDER BY rowid;
    DROP TABLE stored_events_1;
    UPDATE outcome SET appended = (SELECT COUNT(*) FROM stored_events);
"""


def migrate(cursor: sqlite3.Cursor) -> None:
    """Upgrades tables of version 1 in the transaction of the cursor; harmless when they are newer."""
    columns = [name for (name,) in cursor.execute("SELECT name FROM pragma_table_info('stored_events')")]
    if "arrived_at" not in columns:
        run_script(cursor, _SET_ASIDE_SQL + EVENT_STORE_SQL + _BRING_OVER_SQL)


def read_batch(cursor: sqlite3.Cursor, *, after: Position, upto: Position, limit: int) -> list[StoredEnvelope]:
    """The envelopes of `Recorder.read`, through a cursor."""
    cursor.execute(
        """
        SELECT rowid, originator_version, originator_id, topic, state
        FROM stored_events
        WHERE rowid > :after AND rowid <= :upto
        ORDER BY rowid
        LIMIT :limit
        """,
        {"after": after, "upto": upto, "limit": limit},
    )
    envelopes: list[StoredEnvelope] = []
    size = 0
    for row in cursor:
        size += len(row[4])
        if envelopes and size > READ_BYTES_MAX:
            break
        envelopes.append(StoredEnvelope(*row))
    return envelopes


class SQLiteRecorder(Recorder):
    """The event store and the quarantine in an SQLite file."""

    def __init__(self, database: SQLiteDatabase) -> None:
        self._database = database
        self.quarantine = SQLiteQuarantine(database)
        self.ledger = SQLiteLedger(database)

    @override
    def create(self) -> None:
        create_private_file(self._database.path)
        self._database.run_script(EVENT_STORE_SQL)

    @override
    def check(self) -> None:
        """Treats tables without a row for their version as version 1."""
        version = self._tables_version()
        if version is None:
            self.head()  # raises when there is no event store at all
            version = self._tables_version()  # another process may have made one between the two questions
        check_tables_version(version or 1)

    @override
    def epoch(self) -> str:
        with self._database.reading() as cursor:
            [epoch] = cursor.execute("SELECT epoch FROM event_store WHERE singleton = 1").fetchone()
            return str(epoch)

    @override
    def renew_epoch(self) -> None:
        with self._database.writing() as cursor:
            cursor.execute("UPDATE event_store SET epoch = lower(hex(randomblob(16)))")

    @override
    @contextmanager
    def appending(self) -> Iterator[SQLiteAppend]:
        with self._database.writing() as cursor:
            yield SQLiteAppend(cursor, self.ledger)

    @override
    def read(self, *, after: Position, upto: Position, limit: int) -> list[StoredEnvelope]:
        with self._database.reading() as cursor:
            return read_batch(cursor, after=after, upto=upto, limit=limit)

    @override
    def stream(self, appointment_id: AppointmentId) -> list[StoredEnvelope]:
        with self._database.reading() as cursor:
            cursor.execute(
                """
                SELECT rowid, originator_version, originator_id, topic, state, arrived_at
                FROM stored_events
                WHERE originator_id = :appointment_id
                ORDER BY originator_version
                """,
                {"appointment_id": appointment_id},
            )
            return list(with_arrivals(cursor))

    @override
    def envelope(self, event_id: EventId) -> StoredEnvelope | None:
        with self._database.reading() as cursor:
            return SQLiteAppend(cursor, self.ledger).stored([event_id]).get(event_id)

    @override
    def search(self, needles: Needles, *, after: Position) -> list[StoredEnvelope]:
        with self._database.reading() as cursor:
            return searching.search(cursor, needles, after=after)

    @override
    def search_quarantine(self, needles: Needles) -> list[QuarantinedItem]:
        with self._database.reading() as cursor:
            return searching.search_quarantine(cursor, needles)

    @override
    def head(self) -> Position:
        with self._database.reading() as cursor:
            [head] = cursor.execute("SELECT COALESCE(MAX(rowid), 0) FROM stored_events").fetchone()
            return Position(head)

    @override
    def arrival_after(self, position: Position) -> datetime | None:
        with self._database.reading() as cursor:
            cursor.execute("SELECT arrived_at FROM stored_events WHERE rowid > ? ORDER BY rowid LIMIT 1", (position,))
            row = cursor.fetchone()
        return None if row is None else arrival_of(row[0])

    @override
    def waiter(self) -> AbstractContextManager[Callable[[Event, float], None]]:
        return self._database.waiter()

    @override
    def envelopes_count(self) -> int:
        """Is the head without the markers: nothing is deleted and one writer writes, so positions have no gaps."""
        with self._database.reading() as cursor:
            cursor.execute(
                """
                SELECT
                    COALESCE(MAX(rowid), 0)
                    - (SELECT COUNT(*) FROM stored_events WHERE originator_version < 0)
                FROM stored_events
                """
            )
            [count] = cursor.fetchone()
        return int(count)

    @override
    def outcomes(self) -> Outcomes:
        with self._database.reading() as cursor:
            cursor.execute("SELECT appended, duplicates, ignored, quarantined FROM outcome")
            return Outcomes(*cursor.fetchone())

    @override
    def outbox_read_upto(self, source: str, query_sha256: str) -> int | None:
        with self._database.reading() as cursor:
            cursor.execute("SELECT last_id FROM outbox WHERE source = ? AND query_sha256 = ?", (source, query_sha256))
            row = cursor.fetchone()
        return None if row is None else int(row[0])

    @override
    def set_aside_count(self) -> int:
        with self._database.reading() as cursor:
            cursor.execute(
                """
                SELECT COUNT(*)
                FROM stored_events
                WHERE topic = 'VCSessionScheduledEvent.v1.set-aside'
                AND topic <> 'VCSessionScheduledEvent.v1' -- what the index has
                """
            )
            [count] = cursor.fetchone()
        return int(count)

    def _tables_version(self) -> int | None:
        try:
            with self._database.reading() as cursor:
                row = cursor.execute("SELECT tables_version FROM event_store WHERE singleton = 1").fetchone()
        except NotInstalled:
            return None
        return int(row[0]) if row else None
