"""The quarantine's table in an SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from typing_extensions import override

from domain.envelope import RefusalCode
from domain.storage.base import (
    READ_BYTES_MAX,
    QuarantineCount,
    QuarantinedItem,
    QuarantineFilter,
    QuarantineTable,
    Refused,
)
from domain.storage.sqlite.database import SQLiteDatabase

_ITEM: Final = """
    SELECT number, count, code, reason, source, line, received_at, content, length, sha256, event_id, appointment_id
    FROM quarantine
    WHERE number = :number
"""

_PAGE: Final = """
    SELECT number, count, code, reason, source, line, received_at, content, length, sha256, event_id, appointment_id
    FROM quarantine
    WHERE number > :number
    AND (:code IS NULL OR code = :code)
    AND (:source IS NULL OR source = :source)
    AND (:since IS NULL OR received_at >= :since)
    ORDER BY number
    LIMIT 100
"""

_NUMBERS: Final = """
    SELECT number
    FROM quarantine
    WHERE (:code IS NULL OR code = :code)
    AND (:source IS NULL OR source = :source)
    AND (:since IS NULL OR received_at >= :since)
    ORDER BY number
"""

_COUNTS: Final = """
    SELECT code, source, COUNT(*), MIN(received_at)
    FROM quarantine
    WHERE (:code IS NULL OR code = :code)
    AND (:source IS NULL OR source = :source)
    AND (:since IS NULL OR received_at >= :since)
    GROUP BY code, source
    ORDER BY code, source
"""

_INSERT: Final = """
    INSERT INTO quarantine
        (code, reason, source, line, received_at, content, length, sha256, event_id, appointment_id, count)
    VALUES (
        :code, :reason, :source, :line, :received_at, :content, :length, :sha256, :event_id, :appointment_id, 1
    )
    ON CONFLICT (sha256, code) DO UPDATE SET count = count + 1
"""

_PUT_BACK: Final = """
    INSERT INTO quarantine
        (number, code, reason, source, line, received_at, content, length, sha256, event_id, appointment_id, count)
    VALUES (
        :number, :code, :reason, :source, :line, :received_at, :content, :length, :sha256, :event_id,
        :appointment_id, :count
    )
    ON CONFLICT (sha256, code) DO UPDATE SET count = count + excluded.count
"""


class SQLiteQuarantine(QuarantineTable):
    """The quarantine of one file."""

    def __init__(self, database: SQLiteDatabase) -> None:
        self._database = database

    @override
    def items(self, chosen: QuarantineFilter) -> Iterator[QuarantinedItem]:
        number = 0
        while page := self._page(chosen, number):
            yield from page
            number = page[-1].number

    @override
    def item(self, number: int) -> QuarantinedItem | None:
        with self._database.reading() as cursor:
            row = cursor.execute(_ITEM, {"number": number}).fetchone()
        return None if row is None else item_of(row)

    @override
    def numbers(self, chosen: QuarantineFilter) -> list[int]:
        with self._database.reading() as cursor:
            return [number for (number,) in cursor.execute(_NUMBERS, _parameters(chosen))]

    @override
    def counts(self, chosen: QuarantineFilter) -> list[QuarantineCount]:
        with self._database.reading() as cursor:
            rows = cursor.execute(_COUNTS, _parameters(chosen)).fetchall()
        return [
            QuarantineCount(RefusalCode(code), source, items, datetime.fromisoformat(oldest_at))
            for code, source, items, oldest_at in rows
        ]

    def _page(self, chosen: QuarantineFilter, number: int) -> list[QuarantinedItem]:
        page: list[QuarantinedItem] = []
        size = 0
        with self._database.reading() as cursor:
            for row in cursor.execute(_PAGE, {**_parameters(chosen), "number": number}):
                size += len(row[7])
                if page and size > READ_BYTES_MAX:
                    break
                page.append(item_of(row))
        return page


def insert(cursor: sqlite3.Cursor, refused: Sequence[Refused]) -> None:
    """Adds items in the transaction of a cursor; counts those that are there already."""
    cursor.executemany(_INSERT, [_row(one) for one in refused])


def replace(cursor: sqlite3.Cursor, number: int, refused: Refused | None) -> None:
    """Deletes an item, or puts it back with a new code and reason, in the transaction of a cursor."""
    row = cursor.execute("SELECT count FROM quarantine WHERE number = ?", (number,)).fetchone()
    cursor.execute("DELETE FROM quarantine WHERE number = ?", (number,))
    if row is not None and refused is not None:
        cursor.execute(_PUT_BACK, {**_row(refused), "number": number, "count": row[0]})


def _parameters(chosen: QuarantineFilter) -> dict[str, Any]:
    since = None if chosen.since is None else chosen.since.astimezone(UTC).isoformat()
    return {"code": chosen.code, "source": chosen.source, "since": since}


def _row(refused: Refused) -> dict[str, Any]:
    row = {name: getattr(refused, name) for name in Refused.__slots__}
    return row | {"received_at": refused.received_at.isoformat()}


def item_of(row: tuple[Any, ...]) -> QuarantinedItem:
    """The item of a row."""
    number, count, code, reason, source, line, received_at, *rest = row
    refused = Refused(RefusalCode(code), reason, source, line, datetime.fromisoformat(received_at), *rest)
    return QuarantinedItem(number, refused, count)
