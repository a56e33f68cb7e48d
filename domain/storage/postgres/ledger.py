"""The ledger of forgotten persons in a PostgreSQL schema."""

from __future__ import annotations

import json
from typing import Final

from psycopg import Cursor
from typing_extensions import override

from domain.ledger import Ledger
from domain.receipt import Receipt
from domain.storage.forgotten import LedgerTable
from domain.storage.postgres.database import PostgresDatabase, Row

_STATE: Final = "SELECT secret, erasures FROM {schema}.event_store WHERE singleton = 1"

_DIGESTS: Final = "SELECT digest FROM {schema}.forgotten_person WHERE NOT is_lifted"

_RECEIPTS: Final = "SELECT number, receipt FROM {schema}.forgotten_person ORDER BY number"

_INSERT: Final = """
    INSERT INTO {schema}.forgotten_person (digest, is_lifted, is_scrubbed, receipt)
    VALUES (%(digest)s, false, %(is_scrubbed)s, %(receipt)s)
    RETURNING number
"""

_LIFT: Final = """
    UPDATE {schema}.forgotten_person
    SET is_lifted = true, receipt = %(receipt)s
    WHERE number = %(number)s
"""

_UPDATE: Final = """
    UPDATE {schema}.forgotten_person
    SET is_scrubbed = %(is_scrubbed)s, receipt = %(receipt)s
    WHERE number = %(number)s
"""

_COUNT_UNSCRUBBED: Final = "SELECT COUNT(*) FROM {schema}.forgotten_person WHERE NOT is_scrubbed"

_COUNT: Final = "UPDATE {schema}.event_store SET erasures = erasures + 1"


class PostgresLedger(LedgerTable):
    """The table `forgotten_person`; its digests are kept in memory as long as they are those of the schema."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self._known: Ledger | None = None

    @override
    def read(self, *, version: int | None = None) -> Ledger:
        if (known := self._known) is not None and known.version == version:
            return known
        with self._database.snapshot() as cursor:
            cursor.execute(self._database.statement(_STATE))
            [[secret, version]] = cursor.fetchall()
            return self.of(cursor, secret, version)

    @override
    def receipts(self) -> list[Receipt]:
        rows = self._database.fetch(self._database.statement(_RECEIPTS))
        return [Receipt.from_json(json.loads(receipt) | {"number": number}) for number, receipt in rows]

    @override
    def unscrubbed_count(self) -> int:
        [[count]] = self._database.fetch(self._database.statement(_COUNT_UNSCRUBBED))
        return int(count)

    @override
    def update(self, receipt: Receipt) -> None:
        with self._database.writing() as cursor:
            cursor.execute(self._database.statement(_UPDATE), _row(receipt))

    def of(self, cursor: Cursor[Row], secret: str, version: int) -> Ledger:
        """The ledger of that version as a cursor's transaction sees it; nobody is forgotten in version 0."""
        known = self._known
        if known is None or known.version != version:
            if version:
                cursor.execute(self._database.statement(_DIGESTS))
            digests = [digest for (digest,) in cursor] if version else []
            known = self._known = Ledger(bytes.fromhex(secret), version, digests)
        return known

    def insert(self, cursor: Cursor[Row], receipt: Receipt) -> int:
        """Adds a receipt in the transaction of a cursor, and returns its number."""
        cursor.execute(self._database.statement(_COUNT))
        [[number]] = cursor.execute(self._database.statement(_INSERT), _row(receipt)).fetchall()
        return int(number)

    def lift(self, cursor: Cursor[Row], receipt: Receipt) -> None:
        """Takes a person from the ledger in the transaction of a cursor."""
        cursor.execute(self._database.statement(_COUNT))
        cursor.execute(self._database.statement(_LIFT), _row(receipt))


def _row(receipt: Receipt) -> dict[str, object]:
    return {
        "number": receipt.number,
        "digest": receipt.digest,
        "is_scrubbed": receipt.scrubbed_at is not None,
        "receipt": json.dumps(receipt.to_json()),
    }
