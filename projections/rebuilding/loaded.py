"""Checks of a loaded generation against the counts and digests taken while it was loaded; nothing is folded again."""

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
    """Returns how the rows in the tables, and the envelopes up to a position, differ from what was loaded.

    Both are compared by count and digest. `progress` is called with the appointments read so far and their number.
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
    """Returns a difference for each loaded partition whose envelopes have changed since it was loaded."""
    arguments = [(generation, partition, tally) for partition, tally in loaded]
    if not workers.are_worth(arguments):
        return [one for each in arguments for one in changes_in_partition(generations, *each)]
    with closing(workers.run(changes_in_partition, arguments)) as found:
        return [one for differences in found for one in differences]


def changes_in_partition(
    generations: Generations, generation: Generation, partition: Partition, tally: Tally
) -> list[Difference]:
    """Reads the envelopes of one partition again, and compares their digest with that of when it was loaded."""
    with generations.snapshot(generation) as snapshot:
        texts = TextsRead(snapshot.streams(partition))
        for _ in texts:
            pass
    return [] if texts.sum == tally.texts else [_difference("generation", "history", texts.sum, tally.texts)]


def check_projected(generations: Generations, generation: Generation, *, after: Position) -> list[Difference]:
    """Folds the appointments that a projector wrote after a position, and returns how their rows differ from that."""
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
    """Returns the name of a portion's table, and the count and digest of its rows as they are stored."""
    return portion.table, generations.read_back(generation, portion)


def _difference(table: str, field: str, expected: Sum, found: Sum) -> Difference:
    """The difference between two counts, or between the digests if the counts are equal."""
    if expected.size != found.size:
        return Difference(table, None, None, f"number of {field}", expected.size, found.size)
    return Difference(table, None, None, f"digest of {field}", expected.total, found.total)
