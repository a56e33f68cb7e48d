"""The quarantine's table in a PostgreSQL schema."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC
from typing import Any, Final

from psycopg import Cursor
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
from domain.storage.postgres.database import PostgresDatabase, Row

_ITEM: Final = """
    SELECT number, count, code, reason, source, line, received_at, content, length, sha256, event_id, appointment_id
    FROM {schema}.quarantine
    WHERE number = %(number)s
"""

_PAGE: Final = """
    SELECT number, count, code, reason, source, line, received_at, content, length, sha256, event_id, appointment_id
    FROM (
        SELECT item.*, SUM(octet_length(content)) OVER (ORDER BY number) - octet_length(content) AS bytes_before
        FROM (
            SELECT *
            FROM {schema}.quarantine
            WHERE number > %(number)s
            AND (%(code)s::text IS NULL OR code = %(code)s::text)
            AND (%(source)s::text IS NULL OR source = %(source)s::text)
            AND (%(since)s::timestamptz IS NULL OR received_at >= %(since)s::timestamptz)
            ORDER BY number
            LIMIT 100
        ) AS item
    ) AS measured
    WHERE bytes_before < %(bytes_max)s
    ORDER BY number
"""

_NUMBERS: Final = """
    SELECT number
    FROM {schema}.quarantine
    WHERE (%(code)s::text IS NULL OR code = %(code)s::text)
    AND (%(source)s::text IS NULL OR source = %(source)s::text)
    AND (%(since)s::timestamptz IS NULL OR received_at >= %(since)s::timestamptz)
    ORDER BY number
"""

_COUNTS: Final = """
    SELECT code, source, COUNT(*), MIN(received_at)
    FROM {schema}.quarantine
    WHERE (%(code)s::text IS NULL OR code = %(code)s::text)
    AND (%(source)s::text IS NULL OR source = %(source)s::text)
    AND (%(since)s::timestamptz IS NULL OR received_at >= %(since)s::timestamptz)
    GROUP BY code, source
    ORDER BY code, source
"""

_INSERT: Final = """
    INSERT INTO {schema}.quarantine AS item
        (code, reason, source, line, received_at, content, length, sha256, event_id, appointment_id, count)
    VALUES (
        %(code)s, %(reason)s, %(source)s, %(line)s, %(received_at)s, %(content)s, %(length)s, %(sha256)s,
        %(event_id)s, %(appointment_id)s, 1
    )
    ON CONFLICT (sha256, code) DO UPDATE SET count = item.count + 1
"""

_DELETE: Final = "DELETE FROM {schema}.quarantine WHERE number = %(number)s RETURNING count"

_PUT_BACK: Final = """
    INSERT INTO {schema}.quarantine AS item
        (number, code, reason, source, line, received_at, content, length, sha256, event_id, appointment_id, count)
    OVERRIDING SYSTEM VALUE
    VALUES (
        %(number)s, %(code)s, %(reason)s, %(source)s, %(line)s, %(received_at)s, %(content)s, %(length)s,
        %(sha256)s, %(event_id)s, %(appointment_id)s, %(count)s
    )
    ON CONFLICT (sha256, code) DO UPDATE SET count = item.count + excluded.count
"""


class PostgresQuarantine(QuarantineTable):
    """The quarantine of one schema."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    @override
    def items(self, chosen: QuarantineFilter) -> Iterator[QuarantinedItem]:
        parameters = {**asdict(chosen), "number": 0, "bytes_max": READ_BYTES_MAX}
        while page := [item_of(row) for row in self._fetch(_PAGE, parameters)]:
            yield from page
            parameters["number"] = page[-1].number

    @override
    def item(self, number: int) -> QuarantinedItem | None:
        rows = self._fetch(_ITEM, {"number": number})
        return item_of(rows[0]) if rows else None

    @override
    def numbers(self, chosen: QuarantineFilter) -> list[int]:
        return [number for (number,) in self._fetch(_NUMBERS, asdict(chosen))]

    @override
    def counts(self, chosen: QuarantineFilter) -> list[QuarantineCount]:
        rows = self._fetch(_COUNTS, asdict(chosen))
        return [
            QuarantineCount(RefusalCode(code), source, items, oldest_at.astimezone(UTC))
            for code, source, items, oldest_at in rows
        ]

    def insert(self, cursor: Cursor[Row], refused: Sequence[Refused]) -> None:
        """Adds items in the transaction of a cursor; counts those that are there already."""
        if refused:
            cursor.executemany(self._database.statement(_INSERT), [_row(one) for one in refused])

    def replace(self, cursor: Cursor[Row], number: int, refused: Refused | None) -> None:
        """Deletes an item, or puts it back with a new code and reason, in the transaction of a cursor."""
        row = cursor.execute(self._database.statement(_DELETE), {"number": number}).fetchone()
        if row is not None and refused is not None:
            cursor.execute(self._database.statement(_PUT_BACK), {**_row(refused), "number": number, "count": row[0]})

    def _fetch(self, template: str, parameters: dict[str, Any]) -> list[Row]:
        return self._database.fetch(self._database.statement(template), parameters)


def _row(refused: Refused) -> dict[str, Any]:
    return {name: getattr(refused, name) for name in Refused.__slots__}


def item_of(row: Row) -> QuarantinedItem:
    """The item of a row."""
    number, count, code, reason, source, line, received_at, *rest = row
    refused = Refused(RefusalCode(code), reason, source, line, received_at.astimezone(UTC), *rest)
    return QuarantinedItem(number, refused, count)
