"""The event store on PostgreSQL: the library's table, lock and notification, and a batched append of our own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from importlib import resources
from threading import Event
from typing import Any, Final, cast

from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from psycopg import Connection
from psycopg.rows import DictRow, dict_row, tuple_row
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
from domain.storage.postgres import searching
from domain.storage.postgres.append import STORED, PostgresAppend, lock_and_notify
from domain.storage.postgres.database import PostgresDatabase, Row
from domain.storage.postgres.ledger import PostgresLedger
from domain.storage.postgres.quarantine import PostgresQuarantine, item_of
from domain.storage.tables_version import check_tables_version

_FOLDER: Final = resources.files("domain.storage.postgres")
EVENT_STORE_SQL: Final = (_FOLDER / "event_store.sql").read_text("utf-8")
EVENT_STORE_MIGRATION_SQL: Final = (_FOLDER / "migration.sql").read_text("utf-8")

_READ: Final = """
    SELECT notification_id, originator_version, originator_id, topic, state
    FROM (
        SELECT batch.*, SUM(octet_length(state)) OVER (ORDER BY notification_id) - octet_length(state) AS bytes_before
        FROM (
            SELECT notification_id, originator_version, originator_id, topic, state
            FROM {schema}.stored_events
            WHERE notification_id > %(after)s
            AND notification_id <= %(upto)s
            ORDER BY notification_id
            LIMIT %(limit)s
        ) AS batch
    ) AS measured
    WHERE bytes_before < %(bytes_max)s
    ORDER BY notification_id
"""

_STREAM: Final = """
    SELECT notification_id, originator_version, originator_id, topic, state, arrived_at
    FROM {schema}.stored_events
    WHERE originator_id = %(appointment_id)s
    ORDER BY originator_version
"""

_TABLES_VERSION: Final = "SELECT tables_version FROM {schema}.event_store WHERE singleton = 1"
_EPOCH: Final = "SELECT epoch FROM {schema}.event_store"
_RENEW_EPOCH: Final = "UPDATE {schema}.event_store SET epoch = gen_random_uuid()::text"
_HEAD: Final = "SELECT COALESCE(MAX(notification_id), 0) FROM {schema}.stored_events"

_COUNT: Final = """
    SELECT
        COUNT(*)
        - (SELECT COUNT(*) FROM {schema}.stored_events WHERE topic = 'VCSessionScheduledEvent.v1.marker')
    FROM {schema}.stored_events
"""

_SET_ASIDE: Final = """
    SELECT COUNT(*) FROM {schema}.stored_events WHERE topic = 'VCSessionScheduledEvent.v1.set-aside'
"""

_ARRIVAL_AFTER: Final = """
    SELECT arrived_at
    FROM {schema}.stored_events
    WHERE notification_id > %(position)s
    ORDER BY notification_id
    LIMIT 1
"""

_OUTBOX_READ_UPTO: Final = """
    SELECT last_id
    FROM {schema}.outbox
    WHERE source = %(source)s
    AND query_sha256 = %(query_sha256)s
"""


def reading(
    database: PostgresDatabase, *, after: Position, upto: Position, limit: int
) -> tuple[bytes, dict[str, int]]:
    """Builds the statement and the parameters of `Recorder.read`."""
    parameters = {"after": after, "upto": upto, "limit": limit, "bytes_max": READ_BYTES_MAX}
    return database.statement(_READ), parameters


class PostgresRecorder(Recorder):
    """The event store and the quarantine in a PostgreSQL schema."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self.quarantine = PostgresQuarantine(database)
        self.ledger = PostgresLedger(database)
        self.library_recorder: Final = PostgresApplicationRecorder(_LibraryDatastore(database))
        self._channel = self.library_recorder.channel_name

    @override
    def create(self) -> None:
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
        [(epoch,)] = self._database.fetch(self._database.statement(_EPOCH))
        return str(epoch)

    @override
    def renew_epoch(self) -> None:
        with self._database.writing() as cursor:
            cursor.execute(self._database.statement(_RENEW_EPOCH))

    @override
    @contextmanager
    def appending(self) -> Iterator[PostgresAppend]:
        with self._database.writing() as cursor:
            state = lock_and_notify(cursor, self._database, self._channel)
            yield PostgresAppend(self._database, cursor, self.ledger, state)

    @override
    def read(self, *, after: Position, upto: Position, limit: int) -> list[StoredEnvelope]:
        statement, parameters = reading(self._database, after=after, upto=upto, limit=limit)
        return [StoredEnvelope(*row) for row in self._database.fetch(statement, parameters)]

    @override
    def stream(self, appointment_id: AppointmentId) -> list[StoredEnvelope]:
        return list(with_arrivals(self._fetch(_STREAM, {"appointment_id": appointment_id})))

    @override
    def envelope(self, event_id: EventId) -> StoredEnvelope | None:
        rows = self._fetch(STORED, {"event_ids": [event_id]})
        return StoredEnvelope(*rows[0]) if rows else None

    @override
    def search(self, needles: Needles, *, after: Position) -> list[StoredEnvelope]:
        rows = self._database.fetch(*searching.search(self._database, needles, after=after))
        return [StoredEnvelope(*row) for row in rows]

    @override
    def search_quarantine(self, needles: Needles) -> list[QuarantinedItem]:
        return [item_of(row) for row in self._database.fetch(*searching.search_quarantine(self._database, needles))]

    @override
    def head(self) -> Position:
        [[head]] = self._fetch(_HEAD)
        return Position(head)

    @override
    def arrival_after(self, position: Position) -> datetime | None:
        rows = self._fetch(_ARRIVAL_AFTER, {"position": position})
        return arrival_of(rows[0][0]) if rows else None

    @override
    def waiter(self) -> AbstractContextManager[Callable[[Event, float], None]]:
        return self._database.waiter(self._channel)

    @override
    def envelopes_count(self) -> int:
        [[count]] = self._fetch(_COUNT)
        return int(count)

    @override
    def outcomes(self) -> Outcomes:
        [row] = self._fetch("SELECT appended, duplicates, ignored, quarantined FROM {schema}.outcome")
        return Outcomes(*row)

    @override
    def outbox_read_upto(self, source: str, query_sha256: str) -> int | None:
        rows = self._fetch(_OUTBOX_READ_UPTO, {"source": source, "query_sha256": query_sha256})
        return int(rows[0][0]) if rows else None

    @override
    def set_aside_count(self) -> int:
        [[count]] = self._fetch(_SET_ASIDE)
        return int(count)

    def _tables_version(self) -> int | None:
        try:
            rows = self._fetch(_TABLES_VERSION)
        except NotInstalled:
            return None
        return int(rows[0][0]) if rows else None

    def _fetch(self, template: str, parameters: dict[str, Any] | None = None) -> list[Row]:
        return self._database.fetch(self._database.statement(template), parameters)


class _LibraryDatastore(PostgresDatastore):
    """Gives the library's recorder the connections of this database."""

    def __init__(self, database: PostgresDatabase) -> None:
        super().__init__("", "", "", "", "", schema=database.schema, originator_id_type="text")
        self._database = database

    @override
    def register_type_adapters(self) -> None:
        """Does nothing: the library's composite types serve inserts that this product does not use."""

    @override
    @contextmanager
    def get_connection(self) -> Iterator[Connection[DictRow]]:
        """A connection whose rows are dictionaries."""
        with self._database.connection() as connection:
            lent = cast("Connection[DictRow]", connection)
            lent.row_factory = dict_row
            try:
                yield lent
            finally:
                connection.row_factory = tuple_row
