"""The contract of the read models' adapters: generations, units of work of projectors, and queries.

A generation is one complete set of three tables. One of them serves: the pointer says which. Every answer comes
from one snapshot: rows, pointer and position belong together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from threading import Event
from typing import Final, NamedTuple, Protocol

from domain.identifiers import AppointmentId, Generation, Position
from domain.storage.base import StoredEnvelope
from projections.rows import AppointmentRow, Rows, ScheduleRow, Side

UNDATED_SORT_KEY: Final = 2**63 - 1
"""Sorts an appointment without a date last, in both directions."""


class SortKey(NamedTuple):
    """Where a row stands in a schedule: by start (or its negative, descending), then by id."""

    start: int
    appointment_id: str


@dataclass(frozen=True, slots=True)
class ScheduleQuery:
    """Which rows of one schedule are asked for. Times are in milliseconds since 1970 in UTC.

    Attributes:
        ends_after: FROM of a window: what ends after it, or starts at it or later, is in.
        starts_before: TO of a window: what starts before it is in.
        past_before: only what is over: it started before and ended no later than this.
        after: the sort key of the last row of the page before.
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
    def direction(self) -> int:
        """1 for ascending, -1 for descending."""
        return -1 if self.descending else 1

    def selects(self, row: ScheduleRow) -> bool:
        """Whether a row of this schedule is asked for, pages aside. The SQL adapters say the same in SQL."""
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
        """Where an appointment stands in this schedule."""
        return SortKey(UNDATED_SORT_KEY if starts_at is None else self.direction * starts_at, appointment_id)

    def page(self, rows: Sequence[ScheduleRow]) -> list[ScheduleRow]:
        """The asked page of this schedule's rows, in order."""
        keyed = [(self.sort_key(row.starts_at, row.appointment_id), row) for row in rows if self.selects(row)]
        later = [(key, row) for key, row in keyed if self.after is None or key > self.after]
        return [row for _, row in sorted(later)][: self.limit]


class Stamp(NamedTuple):
    """The state of the read models that an answer was taken from, in the same snapshot.

    Attributes:
        generation: the generation that served.
        fold_version: the version of the fold that made it.
        position: the envelopes up to this position were projected, later ones were not.
        head: the highest position in the event store.
        epoch: which event store it was; a restored one gets another.
    """

    generation: Generation
    fold_version: int
    position: Position
    head: Position
    epoch: str

    @property
    def lag(self) -> int:
        """How many positions the event store was ahead of the read models."""
        return max(0, self.head - self.position)

    def to_json(self) -> dict[str, int]:
        """What every JSON document says of it."""
        return {"position": self.position, "lag": self.lag, "generation": self.generation}


class ScheduleChange(NamedTuple):
    """A row that changed; `row` columns are all None for a tombstone."""

    appointment_id: AppointmentId
    position: Position
    row: ScheduleRow


class OwnerCounts(NamedTuple):
    """A talent or a coach who has a schedule, with the number of appointments by status."""

    owner_id: str
    planned: int
    done: int
    canceled: int


class GenerationState(StrEnum):
    """Where a generation is in its life."""

    BUILDING = "building"
    READY = "ready"
    RETIRED = "retired"
    """Of no more use: it is dropped as soon as nobody holds its tables."""
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class GenerationInfo:
    """What the catalogue says of a generation."""

    number: Generation
    fold_version: int
    position: Position
    state: GenerationState
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All generations there ever were, by number, which one serves, and which one served before."""

    serving: Generation
    previous: Generation | None
    generations: tuple[GenerationInfo, ...]


class UnitOfWork(Protocol):
    """One batch of a projector at one generation. While it is open no other projector has one there."""

    batch_events: int
    """How many envelopes one batch has at most."""
    generation: Generation
    fold_version: int
    position: Position

    def read(self, *, upto: Position, limit: int) -> list[StoredEnvelope]:
        """The next stored envelopes after the generation's position; see `Recorder.read`."""

    def appointments(self, appointment_ids: Sequence[AppointmentId]) -> list[AppointmentRow]:
        """The rows of those appointments that have one."""

    def write(self, rows: Rows, position: Position) -> None:
        """Puts the rows in the place of those with the same keys, and moves the generation to the position."""


class Store(Protocol):
    """Where the read models are kept. Safe to use from several threads.

    Every method raises a `StorageError` when the database cannot be used, `NotInstalled` when it holds no read
    models, and all but `migrate` a `VersionMismatch` when the tables are of another version. Each question is one
    statement, so one snapshot, and answers for the generation that serves then.
    """

    def create(self) -> None:
        """Creates what is missing, generation 1 included; harmless when nothing is."""

    def migrate(self) -> None:
        """Brings older tables to this version in one transaction; harmless when they are."""

    def catalogue(self) -> Catalogue:
        """The generations."""

    def unit_of_work(self, generation: Generation | None = None) -> AbstractContextManager[UnitOfWork]:
        """Opens a unit of work at a generation, as soon as nobody else has one open there.

        Without a number: at the generation that serves then, which stays the serving one until the end.

        What the block wrote is committed at its end together with the position, or not at all when it raises.
        """

    def stamp(self) -> Stamp:
        """The stamp alone."""

    def schedule(self, query: ScheduleQuery) -> tuple[Stamp, list[str]]:
        """The bodies of one page of a schedule, in order."""

    def appointment(self, appointment_id: AppointmentId) -> tuple[Stamp, str | None]:
        """The body of one appointment's row."""

    def owners(self, side: Side, *, after: str | None, limit: int | None) -> tuple[Stamp, list[OwnerCounts]]:
        """Who has at least one appointment that is not deleted, by id."""

    def changes(self, side: Side, owner_id: str, *, after: Position) -> tuple[Stamp, list[ScheduleChange]]:
        """The rows of a schedule above a position, tombstones included, by position and id."""

    def streams(self, side: Side, owner_id: str) -> tuple[Stamp, list[StoredEnvelope]]:
        """The envelopes, up to the stamp's position, of every appointment the schedule has a row or tombstone of."""

    def appointments_count(self) -> int:
        """How many appointments the serving generation holds."""

    def waiter(self) -> AbstractContextManager[Callable[[Event, float], None]]:
        """Like `Recorder.waiter`, but for what projectors commit."""
