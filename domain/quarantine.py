"""The quarantine: items that could not be accepted, kept as received until somebody retries or discards them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from domain.arguments import whole_number
from domain.envelope import EnvelopeRefused, RefusalCode
from domain.errors import QuarantinedItemNotFound
from domain.input.items import Item
from domain.storage.base import QuarantinedItem, Recorder, Refused

_NUMBER_MAX: Final = 2**63 - 1


def refused_by(error: EnvelopeRefused, item: Item) -> Refused:
    """Returns the quarantine entry of an item that was refused with an error."""
    return Refused(
        code=error.code,
        reason=str(error),
        source=item.source,
        line=item.line or None,
        received_at=datetime.now(UTC),
        content=item.content,
        length=item.length,
        sha256=item.sha256 or hashlib.sha256(item.content).hexdigest(),
        event_id=error.event_id,
        appointment_id=error.appointment_id,
    )


@dataclass(frozen=True, slots=True)
class RetryReport:
    """How many retried items were `accepted` and left the quarantine, and how many were `kept` in it."""

    accepted: int = 0
    kept: int = 0


class Quarantine:
    """The refused items of one event store."""

    def __init__(self, recorder: Recorder, retry: Callable[[QuarantinedItem], bool]) -> None:
        self._recorder = recorder
        self._retry = retry

    def list(self) -> Iterator[QuarantinedItem]:
        """Iterates over the items, ordered by number, lazily."""
        return self._recorder.quarantined()

    def __len__(self) -> int:
        """Returns the number of items."""
        return self._recorder.quarantine_count()

    def __bool__(self) -> bool:
        """Always true, even when empty (otherwise `len` would decide)."""
        return True

    def show(self, number: int) -> QuarantinedItem:
        """Returns one item.

        Raises:
            QuarantinedItemNotFound: no item has that number.
        """
        number = whole_number("number", number)
        item = self._recorder.quarantined_item(number) if 1 <= number <= _NUMBER_MAX else None
        if item is None:
            raise QuarantinedItemNotFound(number)
        return item

    def retry(
        self,
        numbers: Iterable[int] | None = None,
        *,
        progress: Callable[[RetryReport], None] | None = None,
    ) -> RetryReport:
        """Appends the items that are acceptable now, and keeps the others with their new reason.

        Each item is appended and removed from the quarantine in one transaction of its own.

        Args:
            numbers: which items; without it, all of them.
            progress: called after each item with the totals so far.

        Raises:
            QuarantinedItemNotFound: no item has one of the numbers; the items before it have been retried.
        """
        items = self.list() if numbers is None else (self.show(number) for number in numbers)
        report = RetryReport()
        for item in items:
            is_accepted = self._retry(item)
            report = RetryReport(report.accepted + is_accepted, report.kept + (not is_accepted))
            if progress is not None:
                progress(report)
        return report

    def discard(self, numbers: Iterable[int]) -> int:
        """Deletes items permanently and returns how many.

        Raises:
            QuarantinedItemNotFound: no item has one of the numbers; nothing was deleted.
        """
        items = [self.show(number) for number in dict.fromkeys(numbers)]
        with self._recorder.appending() as append:
            for item in items:
                append.replace(item.number, None)
        return len(items)


def is_too_large(item: QuarantinedItem) -> bool:
    """Returns whether only the beginning of the item was kept."""
    return item.refused.code is RefusalCode.TOO_LARGE
