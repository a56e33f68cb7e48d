"""What an adapter of the read models promises to projectors and to queries.

A generation is one complete set of the three tables, made by one version of the fold. For each version a pointer in
the catalogue says which generation serves the code that has it, so code of several versions works side by side. Every
answer is read from one snapshot, so its rows, the pointer and the position belong together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from heapq import nsmallest
from threading import Event
from typing import Final, NamedTuple, Protocol

from domain.identifiers import AppointmentId, Generation, Position
from domain.person import Person
from domain.storage.base import StoredEnvelope
from projections.rows import AppointmentRow, Rows, ScheduleRow, Side
from projections.stores.catalogue import Catalogue

UNDATED_SORT_KEY: Final = 2**63 - 1
"""Sorts an appointment without a date last, in both directions."""


class SortKey(NamedTuple):
    """The place of a row in a schedule: its start (negated for descending order), then its id."""

    start: int
    appointment_id: str


@dataclass(frozen=True, slots=True)
class ScheduleQuery:
    """Selects rows of one schedule. Times are in milliseconds since 1970 in UTC.

    Attributes:
        ends_after: the start of a window; selects what ends after it, or starts at it or later.
        starts_before: the end of a window; selects what starts before it.
        past_before: selects only what is over: what started before this and ended no later.
        after: the sort key of the last row on the previous page.
    """

    side: Side
    owner_id: str
    statuses: frozenset[str] | None = None
    ends_after: int | None = None
    starts_before: int | None = None
    past_before: int | None = None
    appointment_type: str | None = None
    subphase_id: str | None = None
    counterpart_id: str | None = None
    include_deleted: bool = False
    descending: bool = False
    limit: int | None = None
    after: SortKey | None = None

    @property
    def owner(self) -> Person:
        """Whose schedule it is."""
        return Person(self.side, self.owner_id)

    @property
    def direction(self) -> int:
        """1 for ascending, -1 for descending."""
        return -1 if self.descending else 1

    def selects(self, row: ScheduleRow) -> bool:
        """Whether this query selects a row of the schedule, on any page. The SQL adapters do the same in SQL."""
        if row.body is None or (row.is_deleted and not self.include_deleted):
            return False
        return (
            (self.statuses is None or row.status in self.statuses)
            and self.appointment_type in (None, row.appointment_type)
            and self.subphase_id in (None, row.subphase_id)
            and self.counterpart_id in (None, row.counterpart_id)
            and self._is_in_window(row.starts_at, row.ends_at)
        )

    def _is_in_window(self, starts_at: int | None, ends_at: int | None) -> bool:
        if starts_at is None or ends_at is None:
            return self.ends_after is None and self.starts_before is None and self.past_before is None
        return (
            (self.ends_after is None or ends_at > self.ends_after or starts_at >= self.ends_after)
            and (self.starts_before is None or starts_at < self.starts_before)
            and (self.past_before is None or (starts_at < self.past_before and ends_at <= self.past_before))
        )

    def sort_key(self, starts_at: int | None, appointment_id: str) -> SortKey:
        """The place of an appointment in the order of this query."""
        return SortKey(UNDATED_SORT_KEY if starts_at is None else self.direction * starts_at, appointment_id)

    def later(self, rows: Iterable[ScheduleRow]) -> Iterator[tuple[SortKey, ScheduleRow]]:
        """The rows of the schedule that this query selects behind `after`, with their places, in any order."""
        for row in rows:
            key = self.sort_key(row.starts_at, row.appointment_id)
            if self.selects(row) and (self.after is None or key > self.after):
                yield key, row

    def page(self, rows: Iterable[ScheduleRow]) -> list[ScheduleRow]:
        """The rows of the schedule that are on this query's page, in order; holds no more than the page."""
        later = self.later(rows)
        return [row for _, row in (sorted(later) if self.limit is None else nsmallest(self.limit, later))]


class Stamp(NamedTuple):
    """The state of the read models that an answer was taken from, in the same snapshot.

    Attributes:
        generation: the generation that served.
        fold_version: the version of the fold that made it.
        position: the envelopes up to this position were projected, later ones were not.
        head: the highest position in the event store.
        epoch: which event store it was; a restored one gets another.
        erasures: the version of the ledger of forgotten persons; 0 as long as nobody was ever forgotten.
    """

    generation: Generation
    fold_version: int
    position: Position
    head: Position
    epoch: str
    erasures: int = 0

    @property
    def lag(self) -> int:
        """How many positions the event store was ahead of the read models."""
        return max(0, self.head - self.position)

    def to_json(self) -> dict[str, int]:
        """What every JSON document says of it."""
        return {"position": self.position, "lag": self.lag, "generation": self.generation}


class ScheduleChange(NamedTuple):
    """A row that changed. All columns of `row` are None for a tombstone."""

    appointment_id: AppointmentId
    position: Position
    row: ScheduleRow


@dataclass(frozen=True, slots=True)
class ChangesQuery:
    """Selects the rows and tombstones of one schedule above a position, and at it those behind an id."""

    side: Side
    owner_id: str
    after: Position
    after_id: AppointmentId | None = None
    limit: int | None = None


class OwnerCounts(NamedTuple):
    """A talent or a coach who has a schedule, and how many appointments have each status."""

    owner_id: str
    planned: int
    done: int
    canceled: int


class UnitOfWork(Protocol):
    """One batch of a projector in one generation. Only one may be open in a generation at a time."""

    batch_events: int
    """The largest number of envelopes in one batch."""
    generation: Generation
    position: Position

    def read(self, *, upto: Position, limit: int) -> list[StoredEnvelope]:
        """The next stored envelopes after the generation's position, as `Recorder.read` returns them."""

    def appointments(self, appointment_ids: Sequence[AppointmentId]) -> list[AppointmentRow]:
        """The rows of these appointments; appointments without a row are left out."""

    def streams_of(self, appointment_ids: Sequence[AppointmentId], *, upto: Position) -> list[StoredEnvelope]:
        """The stored events of these appointments up to a position, stream by stream, each by event id."""

    def remove(self, appointment_ids: Sequence[AppointmentId]) -> None:
        """Deletes every row and tombstone of these appointments; looks at all rows, so it is for rare cases."""

    def write(self, rows: Rows, position: Position) -> None:
        """Inserts the rows, replacing those with the same keys, and moves the generation to the position."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowerSign:
    """A sign of life of a projector.

    Attributes:
        name: the machine and the process.
        fold_version: the version of the fold that it projects with.
        started_at: when it began.
        seen_at: when it gave this sign.
        position: where the read models were then.
        blocked_at: the position of the event that stopped it, which cannot be folded; None for none.
    """

    name: str
    fold_version: int
    started_at: datetime
    seen_at: datetime
    position: Position
    blocked_at: Position | None = None


class Store(Protocol):
    """Where the read models are kept. Safe to use from several threads.

    Every method raises `StorageError` when the database cannot be used and `NotInstalled` when it holds no read
    models; all but `migrate` raise `VersionMismatch` when the tables are of another version. Each query is one
    statement, so it reads one snapshot of the generation that serves this code at that moment.
    """

    def create(self) -> None:
        """Creates the tables that are missing, including those of generation 1; harmless when none is."""

    def migrate(self) -> None:
        """Upgrades older tables to this version in one transaction; harmless when they have it."""

    def catalogue(self) -> Catalogue:
        """All generations, and which one serves each version of the fold; `VersionMismatch` for tables alone."""

    def unit_of_work(self, generation: Generation | None = None) -> AbstractContextManager[UnitOfWork]:
        """Opens a unit of work in a generation, once no other one is open there.

        Without a number it takes the generation that serves, and no switch happens until the end of the block.

        Commits rows and position together at the end of the block, or nothing when the block raises.
        """

    def stamp(self) -> Stamp:
        """The stamp of an answer given now."""

    def schedule(self, query: ScheduleQuery) -> tuple[Stamp, list[str]]:
        """The bodies of one page of a schedule, in the order of the query."""

    def appointment(self, appointment_id: AppointmentId) -> tuple[Stamp, str | None]:
        """The body of one appointment, or None when there is none."""

    def owners(self, side: Side, *, after: str | None, limit: int | None) -> tuple[Stamp, list[OwnerCounts]]:
        """Everybody who has at least one appointment that is not deleted, ordered by id."""

    def changes(self, query: ChangesQuery) -> tuple[Stamp, list[ScheduleChange]]:
        """The rows and tombstones that a query selects, ordered by position and id."""

    def scan_schedule(self, query: ScheduleQuery) -> AbstractContextManager[tuple[Stamp, Iterator[str]]]:
        """What `schedule` returns, read in bounded memory while the block goes on, and all of one snapshot."""

    def scan_changes(self, query: ChangesQuery) -> AbstractContextManager[tuple[Stamp, Iterator[ScheduleChange]]]:
        """What `changes` returns, read in bounded memory while the block goes on, and all of one snapshot."""

    def scan_streams(
        self, side: Side, owner_id: str
    ) -> AbstractContextManager[tuple[Stamp, Iterator[StoredEnvelope]]]:
        """The envelopes, up to the stamp's position, of every appointment with a row or tombstone in the schedule.

        Stream by stream, each by event id; read as `scan_schedule` reads.
        """

    def appointments_count(self) -> int:
        """The number of appointments in the serving generation."""

    def sizes(self) -> dict[str, int]:
        """The bytes that each table takes on disk, with its indexes; nothing where nothing is on disk."""

    def sign(self, sign: FollowerSign) -> None:
        """Keeps a sign of life in the place of the one before, and forgets those of a day ago."""

    def followers(self) -> list[FollowerSign]:
        """The last signs of life, latest first."""

    def waiter(self) -> AbstractContextManager[Callable[[Event, float], None]]:
        """Waits as `Recorder.waiter` does, but for commits of projectors."""
