"""What could not be accepted, kept as it came until somebody retries or discards it."""

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
    """An item as the quarantine keeps it, with the reason the door gave."""
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
    """What became of retried items: `accepted` left the quarantine, `kept` are still in it."""

    accepted: int = 0
    kept: int = 0


class Quarantine:
    """The refused items of one event store: `list`, `show`, `retry`, `discard`."""

    def __init__(self, recorder: Recorder, retry: Callable[[QuarantinedItem], bool]) -> None:
        self._recorder = recorder
        self._retry = retry

    def list(self) -> Iterator[QuarantinedItem]:
        """The items by number, lazily."""
        return self._recorder.quarantined()

    def __len__(self) -> int:
        """How many items there are."""
        return self._recorder.quarantine_count()

    def __bool__(self) -> bool:
        """True: a quarantine is there also when it is empty."""
        return True

    def show(self, number: int) -> QuarantinedItem:
        """One item.

        Raises:
            QuarantinedItemNotFound: there is none of that number.
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
        """Appends what is acceptable now and keeps the rest with its new reason; without numbers, everything.

        Each item leaves the quarantine in the transaction that stores it; `progress` is told the sum after each.

        Raises:
            QuarantinedItemNotFound: there is none of that number; items before it have been retried.
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
        """Deletes items for good and returns how many.

        Raises:
            QuarantinedItemNotFound: there is none of that number; then nothing is deleted.
        """
        items = [self.show(number) for number in dict.fromkeys(numbers)]
        with self._recorder.appending() as append:
            for item in items:
                append.replace(item.number, None)
        return len(items)


def is_too_large(item: QuarantinedItem) -> bool:
    """Whether only the beginning of the item was kept."""
    return item.refused.code is RefusalCode.TOO_LARGE
