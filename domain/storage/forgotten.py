"""What an adapter of the event store promises about forgotten persons, and what it is asked to look for."""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol, Self

from domain.ledger import Ledger
from domain.receipt import Receipt

SEARCHED_MAX: Final = 500
"""The most events that one search returns."""


class Needles(NamedTuple):
    """What every JSON text holds that has an id in it: its bytes, or an escape.

    A text that holds one of them may still be without the id: `domain.masking` tells.
    """

    id: bytes
    escape: bytes

    @classmethod
    def of(cls, person_id: str) -> Self:
        """What to look for to find a person."""
        has_escapes = any(one in '"\\/' or one < " " for one in person_id)
        return cls(person_id.encode(), b"\\" if has_escapes else b"\\u")


class LedgerTable(Protocol):
    """The receipts of forgotten persons; an `AppendTransaction` adds and lifts them."""

    def read(self, *, version: int | None = None) -> Ledger:
        """Who is forgotten now; asks nothing where the ledger of a given version is known already."""

    def receipts(self) -> list[Receipt]:
        """Every receipt, those that were lifted too, by number."""

    def unscrubbed_count(self) -> int:
        """How many receipts are of erasures that the files may still show."""

    def update(self, receipt: Receipt) -> None:
        """Replaces the receipt of that number; who is forgotten stays."""
