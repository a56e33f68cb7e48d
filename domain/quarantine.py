"""The quarantine: items that could not be accepted, kept as received until somebody retries or discards them."""

from __future__ import annotations

import builtins
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from domain.arguments import moment, opaque, optional, positive_number, whole_number
from domain.envelope import EnvelopeRefused, RefusalCode
from domain.errors import QuarantinedItemNotFound, UsageError
from domain.input.items import Item
from domain.storage.base import QuarantineCount, QuarantinedItem, QuarantineFilter, Recorder, Refused

_NUMBER_MAX: Final = 2**63 - 1
_BATCH_ITEMS: Final = 100
_BATCH_BYTES: Final = 16 * 1024 * 1024


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
    """The refused items of one event store.

    Wherever items are chosen, `code`, `source` and `since` narrow them: refused for this, from this file, received at
    this time or later.
    """

    def __init__(self, recorder: Recorder, retry: Callable[[Sequence[QuarantinedItem]], int]) -> None:
        self._recorder = recorder
        self._table = recorder.quarantine
        self._retry = retry

    def list(
        self,
        *,
        code: str | None = None,
        source: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
    ) -> Iterator[QuarantinedItem]:
        """Iterates over the items, at most `limit`, ordered by number, lazily."""
        limit = optional(positive_number, "limit", limit)
        return islice(self._table.items(_chosen(code, source, since)), limit)

    def counts(
        self, *, code: str | None = None, source: str | None = None, since: datetime | None = None
    ) -> builtins.list[QuarantineCount]:
        """Returns how many items there are, by code and source."""
        return self._table.counts(_chosen(code, source, since))

    def numbers(
        self, *, code: str | None = None, source: str | None = None, since: datetime | None = None
    ) -> builtins.list[int]:
        """Returns the numbers of the items, ascending."""
        return self._table.numbers(_chosen(code, source, since))

    def __len__(self) -> int:
        """Returns the number of items."""
        return sum(one.items for one in self.counts())

    def __bool__(self) -> bool:
        """Always true, even when empty (otherwise `len` would decide)."""
        return True

    def show(self, number: int) -> QuarantinedItem:
        """Returns one item.

        Raises:
            QuarantinedItemNotFound: no item has that number.
        """
        number = whole_number("number", number)
        item = self._table.item(number) if 1 <= number <= _NUMBER_MAX else None
        if item is None:
            raise QuarantinedItemNotFound(number)
        return item

    def retry(
        self,
        numbers: Iterable[int] | None = None,
        *,
        code: str | None = None,
        source: str | None = None,
        since: datetime | None = None,
        progress: Callable[[RetryReport], None] | None = None,
    ) -> RetryReport:
        """Appends the items that are acceptable now, and keeps the others with their new reason.

        Items are retried in batches; each batch is appended and leaves the quarantine in one transaction.

        Args:
            numbers: which items; without it, all of them that the filters choose.
            code: only those refused for this.
            source: only those from this file.
            since: only those received at this time or later.
            progress: called after each batch with the totals so far.

        Raises:
            QuarantinedItemNotFound: no item has one of the numbers; nothing was retried.
        """
        chosen = _chosen(code, source, since)
        items = self._table.items(chosen) if numbers is None else map(self.show, self._checked(numbers))
        report = RetryReport()
        for batch in _batches(items):
            accepted = self._retry(batch)
            report = RetryReport(report.accepted + accepted, report.kept + len(batch) - accepted)
            if progress is not None:
                progress(report)
        return report

    def discard(self, numbers: Iterable[int]) -> int:
        """Deletes items permanently, all in one transaction, and returns how many.

        Raises:
            QuarantinedItemNotFound: no item has one of the numbers; nothing was deleted.
        """
        wanted = self._checked(numbers)
        with self._recorder.appending() as append:
            for number in wanted:
                append.replace(number, None)
        return len(wanted)

    def _checked(self, numbers: Iterable[int]) -> builtins.list[int]:
        """The numbers, each once, when every one is in the quarantine."""
        wanted = builtins.list(dict.fromkeys(whole_number("number", number) for number in numbers))
        there = set(self.numbers())
        for number in wanted:
            if number not in there:
                raise QuarantinedItemNotFound(number)
        return wanted


def _chosen(code: str | None, source: str | None, since: datetime | None) -> QuarantineFilter:
    if code is not None and code not in set(RefusalCode):
        raise UsageError(f"code: expected one of {', '.join(RefusalCode)}, found {code[:60]!r}", argument="code")
    return QuarantineFilter(
        None if code is None else RefusalCode(code),
        optional(opaque, "source", source),
        optional(moment, "since", since),
    )


def _batches(items: Iterator[QuarantinedItem]) -> Iterator[builtins.list[QuarantinedItem]]:
    """Up to 100 items at a time, fewer where they are large."""
    batch: list[QuarantinedItem] = []
    size = 0
    for item in items:
        batch.append(item)
        size += len(item.refused.content)
        if len(batch) == _BATCH_ITEMS or size > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def is_too_large(item: QuarantinedItem) -> bool:
    """Returns whether only the beginning of the item was kept."""
    return item.refused.code is RefusalCode.TOO_LARGE
