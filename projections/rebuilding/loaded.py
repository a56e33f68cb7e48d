"""Whether a generation that was loaded holds exactly what was folded, and whether all of history was."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import reduce
from typing import Final

from domain.identifiers import Generation, Position
from projections.rebuilding.differences import DIFFERENCES_MAX, Difference
from projections.rebuilding.verification import check_streams
from projections.rebuilding.workers import Workers
from projections.stores.generations import TABLES, Generations, Partition, Portion
from projections.stores.tally import EMPTY_TALLY, NOTHING, Sum, Tally, TextsRead

_PROJECTED_POSITIONS: Final = 1000


def loaded_differences(
    generations: Generations,
    generation: Generation,
    upto: Position,
    *,
    workers: Workers,
    progress: Callable[[int, int], None],
) -> list[Difference]:
    """Compares the stored rows, and the envelopes stored up to a position, with what loading noted of them.

    Folds nothing. `progress` is told the appointments that were read back, and how many there are.
    """
    tally = reduce(Tally.plus, (one for _, one in generations.tallies(generation)), EMPTY_TALLY)
    found = dict.fromkeys(TABLES, NOTHING)
    with closing(_read_back(generations, generation, workers)) as portions:
        for table, rows in portions:
            found[table] = found[table].plus(rows)
            progress(found[TABLES[0]].size, max(tally.appointments.size, found[TABLES[0]].size))
    differences = [
        _difference(table, "rows", expected, found[table])
        for table, expected in zip(TABLES, tally.tables, strict=True)
        if expected != found[table]
    ]
    stored = generations.envelopes(upto)
    if stored != tally.envelopes:
        differences.append(_difference("generation", "envelopes", stored, tally.envelopes))
    return differences


def changed_partitions(
    generations: Generations,
    generation: Generation,
    loaded: Sequence[tuple[Partition, Tally]],
    *,
    workers: Workers,
) -> list[Difference]:
    """The partitions whose part of history is not what it was when they were loaded."""
    arguments = [(generation, partition, tally) for partition, tally in loaded]
    if not workers.are_worth(arguments):
        return [one for each in arguments for one in changes_in_partition(generations, *each)]
    with closing(workers.run(changes_in_partition, arguments)) as found:
        return [one for differences in found for one in differences]


def changes_in_partition(
    generations: Generations, generation: Generation, partition: Partition, tally: Tally
) -> list[Difference]:
    """Reads one partition's part of history again and compares it with what was read when it was loaded."""
    with generations.snapshot(generation) as snapshot:
        texts = TextsRead(snapshot.streams(partition))
        for _ in texts:
            pass
    return [] if texts.sum == tally.texts else [_difference("generation", "history", texts.sum, tally.texts)]


def check_projected(generations: Generations, generation: Generation, *, after: Position) -> list[Difference]:
    """The differences in what a projector wrote to a generation after a position, up to where it is now."""
    differences: list[Difference] = []
    with generations.snapshot(generation) as snapshot:
        for first in range(after + 1, snapshot.position + 1, _PROJECTED_POSITIONS):
            positions = range(first, min(first + _PROJECTED_POSITIONS, snapshot.position + 1))
            appointment_ids = snapshot.appointments_at([Position(one) for one in positions])
            for part in check_streams(snapshot, snapshot.streams_of(appointment_ids)):
                differences += part.differences
            if len(differences) >= DIFFERENCES_MAX:
                break
    return differences[:DIFFERENCES_MAX]


def _read_back(
    generations: Generations, generation: Generation, workers: Workers
) -> Generator[tuple[str, Sum], None, None]:
    portions = generations.portions(generation)
    if not workers.are_worth(portions):
        return (read_portion(generations, generation, portion) for portion in portions)
    return workers.run(read_portion, [(generation, portion) for portion in portions])


def read_portion(generations: Generations, generation: Generation, portion: Portion) -> tuple[str, Sum]:
    """The rows of a portion as they are stored, and the table they are in."""
    return portion.table, generations.read_back(generation, portion)


def _difference(table: str, field: str, expected: Sum, found: Sum) -> Difference:
    """Of a count, or of a digest where the counts are the same."""
    if expected.size != found.size:
        return Difference(table, None, None, f"number of {field}", expected.size, found.size)
    return Difference(table, None, None, f"digest of {field}", expected.total, found.total)
