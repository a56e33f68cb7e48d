"""The contract of the event store's adapters. They store and find; every decision is the event store's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

from domain.envelope import Envelope, RefusalCode
from domain.errors import VersionMismatch
from domain.identifiers import AppointmentId, EventId, Position
from domain.storage.location import BackendName, Location

TABLES_VERSION: Final = 2
"""The version of the tables of the event store and of the read models' catalogue; each keeps it in a row.

1 had no `event_store`, so no epoch, and did not say when an envelope arrived.
"""

READ_BYTES_MAX = 64 * 1024 * 1024
"""A read ends before its envelopes' texts exceed this many bytes together (but holds at least one)."""


def check_tables_version(found: int) -> None:
    """Raises `VersionMismatch` when the tables were made by another version of this product."""
    if found != TABLES_VERSION:
        raise VersionMismatch(
            f"the tables are of version {found} and this code knows version {TABLES_VERSION}"
            + (": upgrade this code" if found > TABLES_VERSION else "; run: appointments init"),
            expected=TABLES_VERSION,
            found=found,
        )


def arrival_now() -> datetime:
    """The time of arrival of what is appended now: with milliseconds, as people are shown it and ask for it."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


class StoredEnvelope(NamedTuple):
    """An envelope as it lies in the event store.

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


def with_arrivals(rows: Iterable[tuple[Any, ...]]) -> list[StoredEnvelope]:
    """Stored envelopes of a database's rows that end in the time of arrival."""
    return [StoredEnvelope(*row)._replace(arrived_at=arrival_of(row[5])) for row in rows]


def arrival_of(stored: datetime | str | None) -> datetime | None:
    """A time of arrival as a database holds it, in UTC."""
    moment = datetime.fromisoformat(stored) if isinstance(stored, str) else stored
    return moment and moment.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Refused:
    """Something that could not be accepted, before it is in the quarantine.

    Attributes:
        content: the bytes as they came; of an item too large the first 64 KiB.
        length: the number of bytes as they came.
        sha256: the hex digest of all the bytes as they came.
        line: where it began in its source, from 1; None when it did not come from a file.
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
    """A refused item in the quarantine; `count` says how often the same bytes came with the same code."""

    number: int
    refused: Refused
    count: int


class Database(Protocol):
    """An opened place. Call `close` once for each time it was opened.

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
    """Which items of the quarantine are meant: all, unless one of these narrows it.

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


class QuarantineTable(Protocol):
    """Where refused items are kept; an `AppendTransaction` adds and removes them."""

    def items(self, chosen: QuarantineFilter) -> Iterator[QuarantinedItem]:
        """The items by number, lazily and in bounded memory."""

    def item(self, number: int) -> QuarantinedItem | None:
        """One item by its number."""

    def numbers(self, chosen: QuarantineFilter) -> list[int]:
        """The numbers of the items, ascending."""

    def counts(self, chosen: QuarantineFilter) -> list[QuarantineCount]:
        """How many items there are, by code and source."""


class AppendTransaction(Protocol):
    """One atomic append. While it is open no other append to the same event store is."""

    def stored(self, event_ids: Sequence[EventId]) -> dict[EventId, StoredEnvelope]:
        """Those of the envelopes that are stored already, under whichever appointment."""

    def insert(self, envelopes: Sequence[Envelope], topic: str) -> None:
        """Stores the envelopes at the next positions, in their order. None of their ids is stored."""

    def quarantine(self, refused: Sequence[Refused]) -> None:
        """Keeps refused items; the same digest and code once, with a count."""

    def replace(self, number: int, refused: Refused | None) -> None:
        """Takes an item out of the quarantine, or keeps it with a new code and reason."""


class Recorder(Protocol):
    """Where envelopes and the quarantine are kept. Safe to use from several threads.

    Every method raises a `StorageError` when the database cannot be used.
    """

    quarantine: QuarantineTable

    def create(self) -> None:
        """Creates what is missing; harmless when nothing is."""

    def check(self) -> None:
        """Raises `NotInstalled` when `create` has not run here, `VersionMismatch` when another version's did."""

    def renew_epoch(self) -> None:
        """Gives the store another epoch, by chance."""

    def appending(self) -> AbstractContextManager[AppendTransaction]:
        """Begins an append; commits at the end of the block, or leaves no trace when the block raises.

        Readers after a position never see a later append before an earlier one.
        """

    def read(self, *, after: Position, upto: Position, limit: int) -> list[StoredEnvelope]:
        """Stored envelopes with `after` < position <= `upto`, by position, at most `limit`."""

    def stream(self, appointment_id: AppointmentId) -> list[StoredEnvelope]:
        """The stored envelopes of one appointment with their times of arrival, by event id."""

    def envelope(self, event_id: EventId) -> StoredEnvelope | None:
        """One stored envelope by its id."""

    def head(self) -> Position:
        """The highest position; 0 when nothing is stored."""

    def arrival_after(self, position: Position) -> datetime | None:
        """When the first envelope after a position arrived; None when there is none, or nobody knows."""

    def waiter(self) -> AbstractContextManager[Callable[[Event, float], None]]:
        """Opens a wait for appends of any process.

        The callable returns after an append that was committed since the context was entered or since the
        last call returned, when the event is set, or after so many seconds. It may return early; it never
        sleeps through an append.
        """

    def envelopes_count(self) -> int:
        """How many envelopes are stored."""


_Database = TypeVar("_Database", bound=Database)


@dataclass(frozen=True, slots=True)
class Backend(Generic[_Database]):
    """How the places of one kind are opened, and what records events there."""

    open: Callable[[Location], Database]
    recorder: Callable[[_Database], Recorder]
