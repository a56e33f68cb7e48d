"""Counts and digests of rows and envelopes, to compare what a rebuild wrote with what is stored.

A digest is a sum over all rows, so it is the same in whatever order they are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple
from zlib import crc32

import msgspec

from domain.storage.base import StoredEnvelope

_TOTAL_MAX: Final = 2**63 - 1


class Sum(NamedTuple):
    """A count of rows or envelopes, and the sum of their digests or ids, of which 63 bits are kept."""

    size: int
    total: int

    @staticmethod
    def of(size: int, total: int) -> Sum:
        """Returns a sum whose total may be of any size: its lowest 63 bits are kept."""
        return Sum(size, total & _TOTAL_MAX)

    def plus(self, other: Sum) -> Sum:
        """Returns the sum of both."""
        return Sum.of(self.size + other.size, self.total + other.total)


NOTHING: Final = Sum(0, 0)


class Tally(NamedTuple):
    """What was read and written when a partition was loaded, as counts and digests.

    Attributes:
        envelopes: the envelopes that were folded; the total is the sum of their ids.
        texts: the same envelopes; the total is a digest of their stored bytes.
        appointments: the rows written to the table of appointments; the total is a digest of them.
        talents: the same for the talents' schedules.
        coaches: the same for the coaches' schedules.
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
        """Returns the counts and digests of both together."""
        return Tally(*(mine.plus(its) for mine, its in zip(self, other, strict=True)))

    def to_json(self) -> str:
        """Returns it as JSON, as the catalogue stores it."""
        return msgspec.json.encode(self).decode()

    @staticmethod
    def from_json(text: str) -> Tally:
        """Reads what `to_json` wrote."""
        return msgspec.json.decode(text, type=Tally)


EMPTY_TALLY: Final = Tally(NOTHING, NOTHING, NOTHING, NOTHING, NOTHING)


def sum_of_bytes(rows: Iterable[bytes | bytearray | memoryview]) -> Sum:
    """Counts rows that are already encoded, and makes their digest."""
    count = total = 0
    for row in rows:
        count += 1
        checksum = crc32(row)
        total += checksum * checksum  # squared, since two rows that swap bits may keep the sum of their checksums
    return Sum.of(count, total)


def sum_of_values(rows: Iterable[tuple[object, ...]]) -> Sum:
    """Counts rows of values, and makes their digest."""
    return sum_of_bytes(map(msgspec.msgpack.encode, rows))


class TextsRead:
    """Iterates over stored envelopes; afterwards, `sum` holds their count and the digest of their bytes."""

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
