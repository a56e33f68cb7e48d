"""Counts and order-free digests: whether two readings of many rows, in whatever order, saw the same ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple
from zlib import crc32

import msgspec

from domain.storage.base import StoredEnvelope

_TOTAL_MAX: Final = 2**63 - 1


class Sum(NamedTuple):
    """How many there are of something, and a total of them all, cut to 63 bits."""

    size: int
    total: int

    @staticmethod
    def of(size: int, total: int) -> Sum:
        """The same with any total."""
        return Sum(size, total & _TOTAL_MAX)

    def plus(self, other: Sum) -> Sum:
        """Both together."""
        return Sum.of(self.size + other.size, self.total + other.total)


NOTHING: Final = Sum(0, 0)


class Tally(NamedTuple):
    """What loading a partition read and wrote.

    Attributes:
        envelopes: the envelopes that were folded; the total is of their ids.
        texts: a digest of the envelopes as they were stored then.
        appointments: the rows written to the table of appointments; the total is of their digests.
        talents: the same of the talents' schedules.
        coaches: the same of the coaches' schedules.
    """

    envelopes: Sum
    texts: Sum
    appointments: Sum
    talents: Sum
    coaches: Sum

    @property
    def tables(self) -> tuple[Sum, Sum, Sum]:
        """The rows of each table, in the order of `TABLES`."""
        return self.appointments, self.talents, self.coaches

    def plus(self, other: Tally) -> Tally:
        """Both together."""
        return Tally(*(mine.plus(its) for mine, its in zip(self, other, strict=True)))

    def to_json(self) -> str:
        """The text that a catalogue keeps."""
        return msgspec.json.encode(self).decode()

    @staticmethod
    def from_json(text: str) -> Tally:
        """The tally of such a text."""
        return msgspec.json.decode(text, type=Tally)


EMPTY_TALLY: Final = Tally(NOTHING, NOTHING, NOTHING, NOTHING, NOTHING)


def sum_of_bytes(rows: Iterable[bytes | bytearray | memoryview]) -> Sum:
    """The sum of rows that are encoded already."""
    count = total = 0
    for row in rows:
        count += 1
        checksum = crc32(row)
        total += checksum * checksum  # squared, so that what two rows exchange is found too
    return Sum.of(count, total)


def sum_of_values(rows: Iterable[tuple[object, ...]]) -> Sum:
    """The sum of rows of values."""
    return sum_of_bytes(map(msgspec.msgpack.encode, rows))


class TextsRead:
    """Passes stored envelopes on and sums them up; `sum` is complete at the end."""

    def __init__(self, envelopes: Iterable[StoredEnvelope]) -> None:
        self._envelopes = envelopes
        self.sum = NOTHING

    def __iter__(self) -> Iterator[StoredEnvelope]:
        count = total = 0
        for stored in self._envelopes:
            count += 1
            total += crc32(stored.text, (stored.position ^ stored.event_id) & 0xFFFFFFFF) ** 2
            yield stored
        self.sum = Sum.of(count, total)
