"""The ledger of forgotten persons of a `memory:NAME`."""

from __future__ import annotations

from typing_extensions import override

from domain.ledger import Ledger
from domain.receipt import Receipt
from domain.storage.forgotten import LedgerTable
from domain.storage.memory.database import MemoryContents, MemoryDatabase


class MemoryLedger(LedgerTable):
    """The receipts of a `memory:NAME`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    @override
    def read(self, *, version: int | None = None) -> Ledger:
        return ledger_of(self._database.contents)

    @override
    def receipts(self) -> list[Receipt]:
        contents = self._database.contents
        with contents.lock:
            return [one for _, one in sorted(contents.receipts.items())]

    @override
    def unscrubbed_count(self) -> int:
        return sum(one.scrubbed_at is None for one in self.receipts())

    @override
    def update(self, receipt: Receipt) -> None:
        contents = self._database.contents
        with contents.lock:
            contents.receipts[receipt.number] = receipt


def ledger_of(contents: MemoryContents) -> Ledger:
    """Who is forgotten; the same object as long as that does not change."""
    with contents.lock:
        known = contents.ledger
        if known.version != contents.erasures:
            digests = [one.digest for one in contents.receipts.values() if one.lifted_at is None]
            known = contents.ledger = Ledger(contents.secret, contents.erasures, digests)
        return known


def keep(contents: MemoryContents, receipt: Receipt) -> None:
    """Adds a receipt, or replaces that of its number, and counts that the ledger changed."""
    contents.receipts[receipt.number] = receipt
    contents.erasures += 1
