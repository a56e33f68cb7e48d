"""The ledger of forgotten persons in an SQLite file."""

from __future__ import annotations

import json
import sqlite3
from typing import Final

from typing_extensions import override

from domain.ledger import Ledger
from domain.receipt import Receipt
from domain.storage.forgotten import LedgerTable
from domain.storage.sqlite.database import SQLiteDatabase

_STATE: Final = "SELECT secret, erasures FROM event_store WHERE singleton = 1"

_INSERT: Final = """
    INSERT INTO forgotten_person (digest, is_lifted, is_scrubbed, receipt)
    VALUES (:digest, 0, :is_scrubbed, :receipt)
"""

_LIFT: Final = "UPDATE forgotten_person SET is_lifted = 1, receipt = :receipt WHERE number = :number"

_UPDATE: Final = """
    UPDATE forgotten_person
    SET is_scrubbed = :is_scrubbed, receipt = :receipt
    WHERE number = :number
"""

_COUNT_UNSCRUBBED: Final = "SELECT COUNT(*) FROM forgotten_person WHERE NOT is_scrubbed"

_COUNT: Final = "UPDATE event_store SET erasures = erasures + 1"


class SQLiteLedger(LedgerTable):
    """The table `forgotten_person`; its digests are kept in memory as long as they are those of the file."""

    def __init__(self, database: SQLiteDatabase) -> None:
        self._database = database
        self._known: Ledger | None = None

    @override
    def read(self, *, version: int | None = None) -> Ledger:
        if (known := self._known) is not None and known.version == version:
            return known
        with self._database.snapshot() as cursor:
            return self.of(cursor)

    @override
    def receipts(self) -> list[Receipt]:
        with self._database.reading() as cursor:
            cursor.execute("SELECT number, receipt FROM forgotten_person ORDER BY number")
            return [Receipt.from_json(json.loads(receipt) | {"number": number}) for number, receipt in cursor]

    @override
    def unscrubbed_count(self) -> int:
        with self._database.reading() as cursor:
            return int(cursor.execute(_COUNT_UNSCRUBBED).fetchone()[0])

    @override
    def update(self, receipt: Receipt) -> None:
        with self._database.writing() as cursor:
            cursor.execute(_UPDATE, _row(receipt))

    def of(self, cursor: sqlite3.Cursor) -> Ledger:
        """The ledger as a cursor's transaction sees it."""
        secret, version = cursor.execute(_STATE).fetchone()
        known = self._known
        if known is None or known.version != version:
            cursor.execute("SELECT digest FROM forgotten_person WHERE NOT is_lifted")
            known = self._known = Ledger(bytes.fromhex(secret), version, [digest for (digest,) in cursor])
        return known


def insert(cursor: sqlite3.Cursor, receipt: Receipt) -> int:
    """Adds a receipt in the transaction of a cursor, and returns its number."""
    cursor.execute(_COUNT)
    cursor.execute(_INSERT, _row(receipt))
    return cursor.lastrowid or 0


def lift(cursor: sqlite3.Cursor, receipt: Receipt) -> None:
    """Takes a person from the ledger in the transaction of a cursor."""
    cursor.execute(_COUNT)
    cursor.execute(_LIFT, _row(receipt))


def _row(receipt: Receipt) -> dict[str, object]:
    return {
        "number": receipt.number,
        "digest": receipt.digest,
        "is_scrubbed": receipt.scrubbed_at is not None,
        "receipt": json.dumps(receipt.to_json()),
    }
