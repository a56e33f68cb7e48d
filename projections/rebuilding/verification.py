"""Verify: compares the rows of a generation with a fold of history, both at one position of one snapshot."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Executor
from contextlib import closing
from itertools import groupby, islice
from random import Random
from typing import Final, NamedTuple

from domain.arguments import optional, whole_number
from domain.errors import UsageError
from domain.identifiers import AppointmentId, Generation, Position
from domain.storage import Database, recorder_of
from domain.storage.base import StoredEnvelope
from domain.storage.location import Location
from projections.projector import fold_streams
from projections.rebuilding.differences import DIFFERENCES_MAX, AnyRow, Difference, differences_of, rows_too_many
from projections.rebuilding.workers import Workers, check_executor
from projections.rows import Side
from projections.stores import generations_of, store_of
from projections.stores.generations import Generations, Partition, Snapshot, partitions_up_to

_PORTION_APPOINTMENTS: Final = 500
_POSITIONS_MIN: Final = 100
"""A sample draws at least this many positions at a time."""


class Verification(NamedTuple):
    """What a verification found.

    Attributes:
        checked: how many appointments were compared with history.
        differences: the first 1,000 differences; empty if the read models equal history.
        set_aside: how many events the fold passes over, since somebody set them aside.
    """

    checked: int
    differences: list[Difference]
    set_aside: int = 0

    def __repr__(self) -> str:
        checked = f"{self.checked:,} appointments checked"
        if not self.differences:
            return f"<Verification: {checked}, no difference>"
        count = len(self.differences)
        differences = f"{count:,} difference{'' if count == 1 else 's'}"
        return f"<Verification: {checked}, {differences}, the first: {self.differences[0]}>"


def verify(
    database: Database,
    location: Location,
    *,
    sample: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    executor: Executor | None = None,
) -> Verification:
    """Compares the serving generation with a fold of history; see `Appointments.verify`."""
    sample = optional(whole_number, "sample", sample)
    if sample is not None and sample < 1:
        raise UsageError(f"expected a sample of at least 1 appointment, found {sample}", argument="sample")
    check_executor(executor)
    generation = store_of(database).stamp().generation
    with closing(Workers(database, location, executor=executor)) as workers:
        found = check(generations_of(database), generation, workers=workers, sample=sample, progress=progress)
    return found._replace(set_aside=recorder_of(database).set_aside_count())


def check(
    generations: Generations,
    generation: Generation,
    *,
    workers: Workers,
    sample: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Verification:
    """Compares one generation with history in one snapshot.

    `progress` is called with the number of appointments checked so far and in all.
    """
    with generations.snapshot(generation) as snapshot:
        counts = snapshot.counts()
        total = counts[0] if sample is None else min(sample, counts[0])
        checked = Part(0, (0, 0, 0), _position_differences(snapshot))
        with closing(_parts(generations, generation, snapshot, workers, sample)) as parts:
            for part in parts:
                checked = checked.plus(part)
                if progress is not None:
                    progress(checked.appointments, total)
                if checked.is_beyond_doubt:
                    break
        differences = checked.differences
        if sample is None and not checked.is_beyond_doubt and checked.rows != counts:
            differences.extend(islice(_extra_rows(snapshot), DIFFERENCES_MAX))
        return Verification(checked.appointments, differences[:DIFFERENCES_MAX])


class Part(NamedTuple):
    """The result for some appointments: how many, the rows found in each of the three tables, the differences."""

    appointments: int
    rows: tuple[int, int, int]
    differences: list[Difference]

    @property
    def is_beyond_doubt(self) -> bool:
        """Whether there are enough differences to stop."""
        return len(self.differences) >= DIFFERENCES_MAX

    def plus(self, other: Part) -> Part:
        """Returns the results for both."""
        first, second, third = (mine + its for mine, its in zip(self.rows, other.rows, strict=True))
        differences = self.differences + other.differences
        return Part(self.appointments + other.appointments, (first, second, third), differences)


def _parts(
    generations: Generations, generation: Generation, snapshot: Snapshot, workers: Workers, sample: int | None
) -> Generator[Part, None, None]:
    """Yields results in parts; worker processes do the work if they can read the same snapshot."""
    if sample is not None:
        yield from check_streams(snapshot, _sampled(snapshot, sample))
        return
    partitions = partitions_up_to(generations, min(snapshot.position, snapshot.head))
    token = snapshot.share() if workers.are_worth(partitions) else None
    if token is None:
        for partition in partitions:
            yield from check_streams(snapshot, snapshot.streams(partition))
        return
    yield from workers.run(check_partition, [(generation, token, partition) for partition in partitions])


def check_partition(generations: Generations, generation: Generation, token: str, partition: Partition) -> Part:
    """Checks one partition of history; a token from `Snapshot.share` lets another process read the same snapshot."""
    checked = Part(0, (0, 0, 0), [])
    with generations.snapshot(generation, token=token) as snapshot:
        for part in check_streams(snapshot, snapshot.streams(partition)):
            checked = checked.plus(part)
            if checked.is_beyond_doubt:
                break
    return checked


def check_streams(snapshot: Snapshot, envelopes: Iterator[StoredEnvelope]) -> Iterator[Part]:
    """Compares the rows of whole streams with a fold of them, some hundred appointments at a time.

    Passes over appointments whose stored envelopes were changed after the generation folded them, as long as it has
    not come to their markers.
    """
    marked = snapshot.marked_later()
    for portion in _portions(stored for stored in envelopes if stored.appointment_id not in marked):
        expected, _ = fold_streams(iter(portion))
        found = snapshot.rows(expected)
        sizes = len(found.appointments), len(found.talents), len(found.coaches)
        yield Part(len(expected.appointments), sizes, list(differences_of(expected, found)))


def _sampled(snapshot: Snapshot, sample: int) -> Iterator[StoredEnvelope]:
    """The streams of a number of randomly chosen appointments, or of all if there are fewer."""
    positions = _by_chance(min(snapshot.position, snapshot.head))
    chosen: set[AppointmentId] = set()
    while len(chosen) < sample:
        # Several positions may be of one appointment, and on PostgreSQL not every position is taken.
        some = list(islice(positions, max(sample - len(chosen), _POSITIONS_MIN)))
        if not some:
            break
        chosen.update(snapshot.appointments_at(some))
    ids = Random().sample(sorted(chosen), min(sample, len(chosen)))  # noqa: S311 - not a secret
    return snapshot.streams_of(ids)


def _by_chance(upto: Position) -> Iterator[Position]:
    """All positions up to this one, in random order."""
    random = Random()  # noqa: S311 - not a secret
    drawn: set[int] = set()
    while len(drawn) < upto // 2:
        position = random.randint(1, upto)
        if position not in drawn:
            drawn.add(position)
            yield Position(position)
    rest = [position for position in range(1, upto + 1) if position not in drawn]
    random.shuffle(rest)
    yield from map(Position, rest)


def _portions(envelopes: Iterator[StoredEnvelope]) -> Iterator[list[StoredEnvelope]]:
    """The streams in lists of 500."""
    streams = (list(stream) for _, stream in groupby(envelopes, key=lambda stored: stored.appointment_id))
    while portion := list(islice(streams, _PORTION_APPOINTMENTS)):
        yield [stored for stream in portion for stored in stream]


def _position_differences(snapshot: Snapshot) -> list[Difference]:
    if snapshot.position <= snapshot.head:
        return []
    return [Difference("generation", None, None, "position", f"at most {snapshot.head}", snapshot.position)]


def _extra_rows(snapshot: Snapshot) -> Iterator[Difference]:
    """The rows that nothing in history asks for; not those of appointments that are going to be folded anew."""
    marked = snapshot.marked_later()
    for rows in snapshot.everything():
        every: list[AnyRow] = [*rows.appointments, *rows.talents, *rows.coaches]
        ids = sorted({row.appointment_id for row in every} - marked)
        expected, _ = fold_streams(snapshot.streams_of(ids))
        present = {"appointment": rows.appointments} | {f"{side}_schedule": rows.of(side) for side in Side}
        wanted = {"appointment": expected.appointments} | {f"{side}_schedule": expected.of(side) for side in Side}
        for table, found in present.items():
            yield from rows_too_many(table, (row for row in found if row.appointment_id not in marked), wanted[table])
