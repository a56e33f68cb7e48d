"""Verify: the rows of a generation against a fold of history, both at one position of one snapshot."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby, islice
from random import Random
from typing import Any, Final, NamedTuple

import msgspec

from domain.arguments import optional, whole_number
from domain.errors import UsageError
from domain.identifiers import AppointmentId, Generation, Position
from domain.storage import Database
from domain.storage.base import StoredEnvelope
from domain.storage.location import Location
from projections.projector import check_fold_version, fold_streams
from projections.rebuilding.workers import Workers, check_executor
from projections.rows import AppointmentRow, Rows, ScheduleRow, Side
from projections.stores import generations_of, store_of
from projections.stores.generations import Generations, Partition, Snapshot, partitions_up_to

DIFFERENCES_MAX: Final = 1000
"""A verification stops after so many: the generation is beyond doubt wrong, and memory is bounded."""

_PORTION_APPOINTMENTS: Final = 500
_POSITIONS_MIN: Final = 100
"""A sample asks for so many positions at once, also where fewer appointments are missing."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that a generation says otherwise than history.

    Attributes:
        table: `appointment`, `talent_schedule`, `coach_schedule` or `generation`.
        owner_id: the talent or coach in whose schedule the row is, or None.
        field: the column or the field in its body; `row` when a whole row is missing or too many.
        expected: what history says, None for nothing.
        found: what the generation says, None for nothing.
    """

    table: str
    appointment_id: str | None
    owner_id: str | None
    field: str
    expected: Any
    found: Any

    def __str__(self) -> str:
        of = f" of {self.owner_id!r}" if self.owner_id else ""
        where = f"{self.table} {self.appointment_id!r}{of}"
        return f"{where}: {self.field}: expected {self.expected!r}, found {self.found!r}"


class Verification(NamedTuple):
    """What a verification found.

    Attributes:
        checked: how many appointments were compared with history.
        differences: every difference found, up to 1,000; empty when the read models equal history.
    """

    checked: int
    differences: list[Difference]

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
    stamp = store_of(database).stamp()
    check_fold_version(stamp.fold_version)
    with closing(Workers(database, location, executor=executor)) as workers:
        return check(generations_of(database), stamp.generation, workers=workers, sample=sample, progress=progress)


def check(
    generations: Generations,
    generation: Generation,
    *,
    workers: Workers,
    sample: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Verification:
    """Checks one generation in one snapshot. `progress` is told the appointments checked and how many there are."""
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
    """What was checked: the number of appointments, of rows found in each table, and the differences."""

    appointments: int
    rows: tuple[int, int, int]
    differences: list[Difference]

    @property
    def is_beyond_doubt(self) -> bool:
        """Whether there are so many differences that nobody needs more."""
        return len(self.differences) >= DIFFERENCES_MAX

    def plus(self, other: Part) -> Part:
        """Both together."""
        first, second, third = (mine + its for mine, its in zip(self.rows, other.rows, strict=True))
        differences = self.differences + other.differences
        return Part(self.appointments + other.appointments, (first, second, third), differences)


def _parts(
    generations: Generations, generation: Generation, snapshot: Snapshot, workers: Workers, sample: int | None
) -> Generator[Part, None, None]:
    """Checks part by part: here, or shared among the workers where they can see this very snapshot."""
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
    """Checks one partition of history in the snapshot of the given token."""
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
        yield Part(len(expected.appointments), sizes, list(_differences(expected, found)))


def _sampled(snapshot: Snapshot, sample: int) -> Iterator[StoredEnvelope]:
    """The streams of so many appointments, chosen by chance, or of all where there are not so many."""
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
    """Every position up to this one, each once, in an order of chance."""
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
    """Whole streams, some hundred at a time."""
    streams = (list(stream) for _, stream in groupby(envelopes, key=lambda stored: stored.appointment_id))
    while portion := list(islice(streams, _PORTION_APPOINTMENTS)):
        yield [stored for stream in portion for stored in stream]


def _position_differences(snapshot: Snapshot) -> list[Difference]:
    if snapshot.position <= snapshot.head:
        return []
    return [Difference("generation", None, None, "position", f"at most {snapshot.head}", snapshot.position)]


_Row = AppointmentRow | ScheduleRow


def _differences(expected: Rows, found: Rows) -> Iterator[Difference]:
    yield from _table_differences("appointment", expected.appointments, found.appointments)
    for side in Side:
        yield from _table_differences(f"{side}_schedule", expected.of(side), found.of(side))


def _table_differences(table: str, expected: Iterable[_Row], found: Iterable[_Row]) -> Iterator[Difference]:
    found_by_key = {_key(row): row for row in found}
    for row in expected:
        other = found_by_key.get(_key(row))
        if other is None:
            yield _difference(table, row, "row", "a row", None)
        elif row != other:
            yield from _field_differences(table, row, other)


def _field_differences(table: str, expected: _Row, found: _Row) -> Iterator[Difference]:
    for name in type(expected)._fields:
        before, after = getattr(expected, name), getattr(found, name)
        if before == after:
            continue
        if name == "body" and before is not None and after is not None:
            yield from _body_differences(table, expected, before, after)
        else:
            yield _difference(table, expected, name, before, after)


def _body_differences(table: str, row: _Row, expected: str, found: str) -> Iterator[Difference]:
    try:
        after = msgspec.json.decode(found, type=dict[str, Any])
    except msgspec.MsgspecError:
        yield _difference(table, row, "body", expected, found)
        return
    after = _fields(after)
    before = _fields(msgspec.json.decode(expected, type=dict[str, Any]))
    differing = [name for name in before | after if before.get(name) != after.get(name)]
    for name in differing or ["body"]:
        yield _difference(table, row, name, before.get(name, expected), after.get(name, found))


def _fields(document: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The fields of a document and of the documents in it, under names like `snapshot.title`."""
    fields: dict[str, Any] = {}
    for name, value in document.items():
        fields |= _fields(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return fields


def _extra_rows(snapshot: Snapshot) -> Iterator[Difference]:
    """The rows that nothing in history asks for; not those of appointments that are going to be folded anew."""
    marked = snapshot.marked_later()
    for rows in snapshot.everything():
        every: list[_Row] = [*rows.appointments, *rows.talents, *rows.coaches]
        ids = sorted({row.appointment_id for row in every} - marked)
        expected, _ = fold_streams(snapshot.streams_of(ids))
        present = {"appointment": rows.appointments} | {f"{side}_schedule": rows.of(side) for side in Side}
        wanted = {"appointment": expected.appointments} | {f"{side}_schedule": expected.of(side) for side in Side}
        for table, found in present.items():
            yield from _extra(table, (row for row in found if row.appointment_id not in marked), wanted[table])


def _extra(table: str, present: Iterable[_Row], wanted: Iterable[_Row]) -> Iterator[Difference]:
    keys = {_key(row) for row in wanted}
    return (_difference(table, row, "row", None, "a row") for row in present if _key(row) not in keys)


def _key(row: _Row) -> tuple[str, str]:
    return row.appointment_id, row.owner_id if isinstance(row, ScheduleRow) else ""


def _difference(table: str, row: _Row, field: str, expected: object, found: object) -> Difference:
    owner_id = row.owner_id if isinstance(row, ScheduleRow) else None
    return Difference(table, row.appointment_id, owner_id, field, expected, found)
