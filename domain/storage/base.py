"""What an adapter of the event store promises: it stores and finds, and leaves every decision to the event store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event
from typing import Any, NamedTuple, Protocol

from domain.envelope import Envelope, RefusalCode
from domain.identifiers import AppointmentId, EventId, Position
from domain.ledger import Ledger
from domain.receipt import Receipt
from domain.storage.arrivals import arrival_of
from domain.storage.forgotten import LedgerTable, Needles
from domain.storage.location import BackendName

READ_BYTES_MAX = 64 * 1024 * 1024
"""The most bytes of text that one read returns, unless its first envelope alone has more."""


class StoredEnvelope(NamedTuple):
    """An envelope in the event store.

    Attributes:
        text: the UTF-8 JSON as received.
        arrived_at: when it was appended, UTC with milliseconds; None where nobody asked for it, and of envelopes
            stored before there were such times.
    """

    position: Position
    event_id: EventId
    appointment_id: AppointmentId
    topic: str
    text: bytes
    arrived_at: datetime | None = None


def with_arrivals(rows: Iterable[tuple[Any, ...]]) -> Iterator[StoredEnvelope]:
    """Makes stored envelopes of rows whose last column is the time of arrival."""
    return (StoredEnvelope(*row)._replace(arrived_at=arrival_of(row[5])) for row in rows)


class Rewritten(NamedTuple):
    """What stands at the position of a stored event from now on, under the same id.

    Attributes:
        arrived_at: when the text arrived; None when that is as it was.
    """

    position: Position
    topic: str
    text: bytes
    arrived_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """An item that could not be accepted, before it is in the quarantine.

    Attributes:
        content: the bytes as received; the first 64 KiB of an item that was too large.
        length: the number of bytes received.
        sha256: the hex digest of all bytes received.
        line: the line of its source where it began, counted from 1; None when it did not come from a file.
    """

    code: RefusalCode
    reason: str
    source: str
    line: int | None
    received_at: datetime
    content: bytes = field(repr=False)
    length: int
    sha256: str
    event_id: int | None
    appointment_id: str | None


@dataclass(frozen=True, slots=True)
class QuarantinedItem:
    """A refused item in the quarantine; `count` is how often the same bytes were refused with the same code."""

    number: int
    refused: Refused
    count: int


class OutboxCursor(NamedTuple):
    """How far an outbox of another database was read.

    Attributes:
        source: where it is, without a secret.
        query_sha256: the hex digest of the query that reads it.
        last_id: the highest id that was read.
    """

    source: str
    query_sha256: str
    last_id: int


class Database(Protocol):
    """An open database. Call `close` once for each time it was opened.

    Attributes:
        backend: which adapters serve it.
        place: where it is, as a URL without a secret.
        timeout_seconds: how long a query may take where nothing else is said.
    """

    backend: BackendName
    place: str
    timeout_seconds: float

    def close(self) -> None:
        """Gives back every connection; harmless when repeated."""


@dataclass(frozen=True, slots=True)
class QuarantineFilter:
    """Selects items of the quarantine; all of them when nothing is given.

    Attributes:
        code: refused for this.
        source: from this file.
        since: received at this time or later.
    """

    code: RefusalCode | None = None
    source: str | None = None
    since: datetime | None = None


class QuarantineCount(NamedTuple):
    """How many items were refused for one reason from one source, and when the oldest of them was received."""

    code: RefusalCode
    source: str
    items: int
    oldest_at: datetime


class Outcomes(NamedTuple):
    """How many of the items that were read became what; a retry of a quarantined item counts again."""

    appended: int = 0
    duplicates: int = 0
    ignored: int = 0
    quarantined: int = 0


class QuarantineTable(Protocol):
    """The refused items; an `AppendTransaction` adds and removes them."""

    def items(self, chosen: QuarantineFilter) -> Iterator[QuarantinedItem]:
        """Iterates over the items in the order of their numbers, in bounded memory."""

    def item(self, number: int) -> QuarantinedItem | None:
        """The item with this number, or None."""

    def numbers(self, chosen: QuarantineFilter) -> list[int]:
        """The numbers of the items, ascending."""

    def counts(self, chosen: QuarantineFilter) -> list[QuarantineCount]:
        """The number of items for each code and source."""


class Searchable(Protocol):
    """Where a person may be looked for."""

    def search(self, needles: Needles, *, after: Position) -> list[StoredEnvelope]:
        """The next stored events after a position whose text may hold an id, `SEARCHED_MAX` at most."""

    def search_quarantine(self, needles: Needles) -> list[QuarantinedItem]:
        """The refused items whose content or reason may hold an id."""


class AppendTransaction(Searchable, Protocol):
    """One atomic append, or change of what is stored; one at a time. It reads what was stored before it."""

    @property
    def ledger(self) -> Ledger:
        """Who is forgotten."""

    def stored(self, event_ids: Sequence[EventId]) -> dict[EventId, StoredEnvelope]:
        """Those of the envelopes that are already stored, whatever their appointment."""

    def user(self) -> str:
        """Who is connected: the user of the database, or of the operating system where the database has none."""

    def at(self, position: Position) -> StoredEnvelope | None:
        """The stored event at a position, or None."""

    def stream(self, appointment_id: AppointmentId) -> list[StoredEnvelope]:
        """The stored events of one appointment, by event id."""

    def insert(self, envelopes: Sequence[Envelope], topic: str) -> None:
        """Stores the envelopes at the next positions, in this order. None of their ids may be stored already."""

    def rewrite(self, events: Sequence[Rewritten]) -> None:
        """Changes stored events where they are. Store a marker for each of their appointments with it: `mark`."""

    def mark(self, markers: Sequence[tuple[AppointmentId, bytes]], topic: str) -> None:
        """Stores markers at the next positions, after what was inserted, under ids below zero."""

    def quarantine(self, refused: Sequence[Refused]) -> None:
        """Puts refused items into the quarantine; items with the same digest and code are one item with a count."""

    def replace(self, number: int, refused: Refused | None) -> None:
        """Removes an item from the quarantine, or gives it a new code and reason."""

    def advance(self, cursor: OutboxCursor) -> None:
        """Keeps how far an outbox was read, in the place of what was kept before."""

    def count(self, outcomes: Outcomes) -> None:
        """Adds to the counts of outcomes since the beginning."""

    def forget(self, receipt: Receipt) -> int:
        """Adds a receipt to the ledger, and returns its number."""

    def lift(self, receipt: Receipt) -> None:
        """Takes the person of a receipt from the ledger, and replaces the receipt."""


class Recorder(Searchable, Protocol):
    """The storage of envelopes and of the quarantine. Safe to use from several threads.

    Every method raises a `StorageError` when the database cannot be used.
    """

    quarantine: QuarantineTable
    ledger: LedgerTable

    def create(self) -> None:
        """Creates the tables that are missing; harmless when none is."""

    def check(self) -> None:
        """Raises `NotInstalled` when `create` has not run here, `VersionMismatch` when another version's did."""

    def epoch(self) -> str:
        """Which event store this is: made by chance with it, and again after a restore."""

    def renew_epoch(self) -> None:
        """Gives the event store a new random epoch."""

    def appending(self) -> AbstractContextManager[AppendTransaction]:
        """Opens an append; commits at the end of the block, and stores nothing when the block raises.

        No reader sees a later append before an earlier one.
        """

    def read(self, *, after: Position, upto: Position, limit: int) -> list[StoredEnvelope]:
        """At most `limit` stored envelopes with `after` < position <= `upto`, ordered by position."""

    def stream(self, appointment_id: AppointmentId) -> list[StoredEnvelope]:
        """The stored envelopes of one appointment with their times of arrival, by event id."""

    def envelope(self, event_id: EventId) -> StoredEnvelope | None:
        """The stored envelope with this id, or None."""

    def head(self) -> Position:
        """The highest position, or 0 when nothing is stored."""

    def arrival_after(self, position: Position) -> datetime | None:
        """When the first envelope after a position arrived, or None when there is none or the time is unknown."""

    def waiter(self) -> AbstractContextManager[Callable[[Event, float], None]]:
        """Opens a wait for appends of any process.

        The callable returns once an append was committed since the context was entered or since the last call
        returned, when the event is set, or after so many seconds. It may return early, but never misses an append.
        """

    def envelopes_count(self) -> int:
        """The number of stored envelopes, with those that are set aside."""

    def set_aside_count(self) -> int:
        """The number of events that are set aside."""

    def outcomes(self) -> Outcomes:
        """What became of all items that were read since the beginning."""

    def outbox_read_upto(self, source: str, query_sha256: str) -> int | None:
        """The `last_id` of an outbox's cursor, or None when it was never read."""
