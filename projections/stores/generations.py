"""What an adapter of the read models promises to rebuilds: the other half of the contract in base.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from domain.identifiers import AppointmentId, Generation, Position
from domain.storage.base import Database, StoredEnvelope
from projections.rows import Rows
from projections.stores.base import Store, UnitOfWork
from projections.stores.erasing import Erasing
from projections.stores.health import Health
from projections.stores.tally import Sum, Tally

TABLES: Final = ("appointment", "talent_schedule", "coach_schedule")
"""The read models; the names of their tables end in the number of the generation."""


@dataclass(frozen=True, slots=True)
class Partition:
    """A part of a rebuild: the appointments with ids in a range, in the order of the database.

    The partitions of a generation cover every id once. Loading one a second time does nothing, so that a rebuild can
    be resumed and shared. Its repr, which an executor may log, shows no id.

    Attributes:
        first: the lowest id of the range; None for no bound.
        until: the lowest id above the range; None for no bound.
        upto: the load ends at this position; the projector adds what comes after it.
    """

    number: int
    first: AppointmentId | None = field(repr=False)
    until: AppointmentId | None = field(repr=False)
    upto: Position


def partitions_of(boundaries: Sequence[AppointmentId], upto: Position) -> list[Partition]:
    """Makes the partitions between boundaries, which are distinct and in the order of the database."""
    edges = [None, *boundaries, None]
    return [Partition(number, *edge, upto) for number, edge in enumerate(pairwise(edges), start=1)]


def partitions_up_to(generations: Generations, upto: Position) -> list[Partition]:
    """Divides history up to a position into partitions of about equal size."""
    return partitions_of(generations.boundaries(upto // generations.partition_events, upto), upto)


_SAMPLES_PER_PARTITION: Final = 30


def sample_positions(count: int, upto: Position) -> list[int]:
    """Evenly spaced positions, enough to find boundaries of about equal partitions."""
    samples = min(upto, count * _SAMPLES_PER_PARTITION)
    return sorted({1 + upto * number // samples for number in range(samples)}) if samples else []


def quantiles(ids: Sequence[AppointmentId], count: int) -> list[AppointmentId]:
    """Picks at most `count` of the ordered, distinct ids at about equal distances."""
    chosen = (ids[len(ids) * number // (count + 1)] for number in range(1, count + 1)) if ids else ()
    return list(dict.fromkeys(chosen))


class Loaded(NamedTuple):
    """What loading a partition did, and how long each half of it took in seconds."""

    events: int
    appointments: int
    folding_seconds: float
    loading_seconds: float

    def plus(self, other: Loaded) -> Loaded:
        """The sum of both."""
        return Loaded(
            self.events + other.events,
            self.appointments + other.appointments,
            self.folding_seconds + other.folding_seconds,
            self.loading_seconds + other.loading_seconds,
        )


class Folded(NamedTuple):
    """The rows of whole streams; the envelopes folded, with the total of their ids; a digest of their texts."""

    rows: Rows
    envelopes: Sum
    texts: Sum


Fold = Callable[[Iterator[StoredEnvelope]], Folded]
"""Folds envelopes that come stream by stream."""


class Portion(NamedTuple):
    """A part of one table of a generation, as large as is read at once: from one place of its rows to another."""

    table: str
    first: int
    until: int


class Switch(NamedTuple):
    """A unit of work in the generation that is going to serve, and the position of the one that serves until then.

    Where none of its version of the fold does, that is its own position. Nobody projects to either while it is open.
    """

    work: UnitOfWork
    serving_position: Position


class Snapshot(Protocol):
    """A consistent view of history and of one generation; `head` is the highest position of the event store."""

    position: Position
    head: Position

    def share(self) -> str | None:
        """A token by which other processes open an equal view while this one is open; None where none can."""

    def streams(self, partition: Partition) -> Iterator[StoredEnvelope]:
        """The envelopes of a range of appointments up to its position, stream by stream, each by event id."""

    def rows(self, keys: Rows) -> Rows:
        """The rows of the generation that have the keys of the given rows, in any order."""

    def counts(self) -> tuple[int, int, int]:
        """How many rows the appointment, talent and coach tables of the generation hold."""

    def everything(self) -> Iterator[Rows]:
        """Iterates over all rows of the generation, in bounded memory."""

    def marked_later(self) -> frozenset[AppointmentId]:
        """The appointments with a marker above its position.

        Their stored envelopes are not what they were when the generation folded them. It folds them anew when it
        comes to the marker; until then their rows cannot be compared with history.
        """

    def appointments_at(self, positions: Sequence[Position]) -> list[AppointmentId]:
        """The distinct appointments of the envelopes at these positions, as far as there are such."""

    def streams_of(self, appointment_ids: Sequence[AppointmentId]) -> Iterator[StoredEnvelope]:
        """The envelopes of these appointments, stream by stream, each by event id."""


class Generations(Protocol):
    """Builds, switches and drops generations. Every method raises the errors that those of `Store` raise."""

    partition_events: int
    """The approximate number of envelopes in a partition."""

    def rebuilding(self) -> AbstractContextManager[Callable[[], None]]:
        """Locks out other rebuilds until the end of the block, or of the process.

        The callable raises `StorageError` when the lock is lost because the server was restarted.

        Raises:
            RebuildRunning: another rebuild is running.
        """

    def boundaries(self, count: int, upto: Position) -> list[AppointmentId]:
        """At most `count` distinct ids, in the order of the database, that divide history into about equal parts."""

    def begin(self, partitions: Sequence[Partition]) -> Generation:
        """Creates a generation with a new number: its row in the catalogue, empty tables and the partitions."""

    def upto(self, generation: Generation) -> Position | None:
        """The position at which the partitions of a generation end, or None when it has no partitions."""

    def partitions(self, generation: Generation) -> list[Partition]:
        """The partitions of a generation that are not loaded yet."""

    def load(self, generation: Generation, partition: Partition, fold: Fold) -> Loaded:
        """Folds and loads a partition and notes that it is loaded, with its tally, all at once or not at all."""

    def tallies(self, generation: Generation) -> list[tuple[Partition, Tally]]:
        """The partitions of a generation that are loaded, each with what loading it read and wrote."""

    def envelopes(self, upto: Position) -> Sum:
        """The envelopes that are stored up to a position, with the total of their ids."""

    def portions(self, generation: Generation) -> list[Portion]:
        """Portions that together hold every row of a generation, each once."""

    def read_back(self, generation: Generation, portion: Portion) -> Sum:
        """The rows of a portion as they are stored, summed up as `load` did."""

    def make_keys(self, generation: Generation) -> None:
        """Makes the keys of a loaded generation; harmless when they are there."""

    def finish(self, generation: Generation, position: Position) -> None:
        """Records that everything up to a position is loaded; from now on the generation can be projected to."""

    def switching(self, generation: Generation) -> AbstractContextManager[Switch]:
        """Locks the pointers, and moves that of the generation's version of the fold to it at the end of the block.

        Leaves it where it is when the block raises.
        """

    def retire(self, fold_version: int) -> None:
        """Takes the pointer of a version of the fold away and retires its generations: they serve nobody any more."""

    def drop(self, generation: Generation) -> bool:
        """Retires a generation, then drops its tables; harmless when repeated.

        Returns False when somebody, such as `pg_dump`, holds the tables for long: readers must not queue behind the
        drop, so the tables are left to a later call.
        """

    def snapshot(self, generation: Generation, *, token: str | None = None) -> AbstractContextManager[Snapshot]:
        """Opens a view; with the token of another view, one that is equal to it."""


_Database = TypeVar("_Database", bound=Database)


@dataclass(frozen=True, slots=True)
class Backend(Generic[_Database]):
    """The adapter of one kind of database, in its parts."""

    store: Callable[[_Database], Store]
    generations: Callable[[_Database], Generations]
    health: Callable[[_Database], Health]
    erasing: Callable[[_Database], Erasing]
