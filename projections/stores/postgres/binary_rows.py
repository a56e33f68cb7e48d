"""Rows as bytes in PostgreSQL's binary COPY format, which loading sends and reading back receives.

https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format"
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from struct import Struct
from typing import Final

from projections.rows import AppointmentRow, ScheduleRow

HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER: Final = b"\xff\xff"

_NULL: Final = b"\xff\xff\xff\xff"
_length: Final = Struct(">i").pack
_int8: Final = Struct(">iq").pack
_THREE: Final = b"\x00\x03"
_ELEVEN: Final = b"\x00\x0b"
_TRUE: Final = b"\x00\x00\x00\x01\x01"
_FALSE: Final = b"\x00\x00\x00\x01\x00"


def appointment_bytes(row: AppointmentRow) -> bytes:
    """Encodes one row of the table of appointments."""
    appointment_id, position, body = row
    return _THREE + _text(appointment_id) + _int8(8, position) + _text(body)


def schedule_bytes(row: ScheduleRow) -> bytes:
    """Encodes one row of the talents' or the coaches' schedules."""
    (
        owner_id,
        appointment_id,
        position,
        counterpart_id,
        status,
        kind,
        subphase_id,
        starts_at,
        ends_at,
        deleted,
        body,
    ) = row
    return b"".join(
        (
            _ELEVEN,
            _text(owner_id),
            _text(appointment_id),
            _int8(8, position),
            _text(counterpart_id),
            _text(status),
            _text(kind),
            _text(subphase_id),
            _NULL if starts_at is None else _int8(8, starts_at),
            _NULL if ends_at is None else _int8(8, ends_at),
            _NULL if deleted is None else _TRUE if deleted else _FALSE,
            _text(body),
        )
    )


def _text(value: str | None) -> bytes:
    if value is None:
        return _NULL
    encoded = value.encode()
    return _length(len(encoded)) + encoded


def rows_in(messages: Iterable[bytes | bytearray | memoryview]) -> Iterator[bytes | bytearray | memoryview]:
    """Yields the rows of a COPY TO: the server sends one in each message, the first of them after the header."""
    left = iter(messages)
    first = bytes(next(left, HEADER))[len(HEADER) :]
    for message in chain([first], left):
        if len(message) > len(TRAILER):  # any row is longer
            yield message
