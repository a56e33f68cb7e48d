"""Takes envelopes from the outbox of another database, again and again over a window of ids.

Ids are handed out before their transactions commit, so a row may become visible after rows with higher ids. Reading
the last `overlap` ids anew each time finds it; what was taken already is recognised and costs nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import Final, NamedTuple, Protocol

from domain.arguments import positive_number, text, whole_number
from domain.errors import UsageError
from domain.event_store import AppendReport, EventStore
from domain.input.batches import BATCH_ITEMS_MAX
from domain.input.items import ITEM_BYTES_MAX, TOO_LARGE_BYTES_KEPT, Item
from domain.storage.base import OutboxCursor

OVERLAP_DEFAULT: Final = 1_000
"""How many ids below the highest one are read again."""

_ID_BEFORE_ALL: Final = -1
_PARAMETERS: Final = ("%(after)s", "%(limit)s")


class OutboxRow(Protocol):
    """A row of an outbox: an id, and an envelope as JSON."""

    @property
    def id(self) -> int:
        """What rows are ordered by."""

    @property
    def text(self) -> bytes:
        """The envelope."""


@dataclass(frozen=True, slots=True)
class OutboxQuery:
    """Where an outbox is and how it is read.

    Attributes:
        dsn: the URL of its database; it may hold a password.
        query: a SELECT of two columns, an ascending integer id and an envelope, with `%(after)s` and `%(limit)s`.
        overlap: how many ids below the highest one are read again.
        limit: how many rows are read at once.
    """

    dsn: str = field(repr=False)
    query: str
    overlap: int = OVERLAP_DEFAULT
    limit: int = BATCH_ITEMS_MAX

    def __post_init__(self) -> None:
        """Checks what was given.

        Raises:
            UsageError: a number makes no sense, or the query lacks a parameter.
        """
        text("dsn", self.dsn)
        positive_number("limit", self.limit)
        if whole_number("overlap", self.overlap) < 0:
            raise UsageError(f"overlap: expected a whole number from 0, found {self.overlap}", argument="overlap")
        missing = [name for name in _PARAMETERS if name not in text("query", self.query)]
        if missing:
            raise UsageError(f"query: expected {' and '.join(_PARAMETERS)} in it", argument="query")

    @property
    def sha256(self) -> str:
        """The hex digest of the query."""
        return hashlib.sha256(self.query.encode("utf-8", "surrogatepass")).hexdigest()


class Taken(NamedTuple):
    """What one round took, and the highest id that was ever read; None before the first row."""

    report: AppendReport
    last_id: int | None


class Pull:
    """One connection to an outbox, and what was taken through it.

    Attributes:
        place: where the outbox is, without a secret.
    """

    def __init__(
        self,
        place: str,
        rows: Callable[[int], list[OutboxRow]],
        events: EventStore,
        outbox: OutboxQuery,
        *,
        restart: bool,
    ) -> None:
        self.place = place
        self._rows = rows
        self._events = events
        self._outbox = outbox
        self._last_id = None if restart else events.recorder.outbox_read_upto(place, outbox.sha256)
        self._window: dict[int, bytes] = {}

    def round(self, *, stop: Event | None = None, progress: Callable[[AppendReport], None] | None = None) -> Taken:
        """Takes what the outbox holds above the window's begin, page by page, each in one transaction."""
        report = AppendReport()
        after = _ID_BEFORE_ALL if self._last_id is None else max(_ID_BEFORE_ALL, self._last_id - self._outbox.overlap)
        while rows := self._rows(after):
            after = rows[-1].id
            report += self._take(rows)
            if progress is not None:
                progress(report)
            if len(rows) < self._outbox.limit or (stop is not None and stop.is_set()):
                break
        return Taken(report, self._last_id)

    def _take(self, rows: list[OutboxRow]) -> AppendReport:
        """Appends the rows that are new, and keeps the highest id in the same transaction."""
        digests = {row.id: hashlib.blake2b(row.text, digest_size=16).digest() for row in rows}
        items = [_item(row.text, self.place) for row in rows if self._window.get(row.id) != digests[row.id]]
        last_id = rows[-1].id if self._last_id is None else max(self._last_id, rows[-1].id)
        report = AppendReport()
        if items or last_id != self._last_id:
            cursor = OutboxCursor(self.place, self._outbox.sha256, last_id)
            report = self._events.append_batch(items, cursor=cursor)
        self._last_id = last_id
        self._window |= digests
        begin = last_id - self._outbox.overlap
        self._window = {row_id: digest for row_id, digest in self._window.items() if row_id > begin}
        return report


def _item(text: bytes, source: str) -> Item:
    content = text.strip()
    if len(content) <= ITEM_BYTES_MAX:
        return Item(content, source, 0, len(content), None)
    digest = hashlib.sha256(content).hexdigest()
    return Item(content[:TOO_LARGE_BYTES_KEPT], source, 0, len(content), digest)


@contextmanager
def pulling(events: EventStore, outbox: OutboxQuery, *, restart: bool = False) -> Iterator[Pull]:
    """Connects to an outbox for the block; creates the tables of the event store where they are missing.

    Args:
        events: where the envelopes go.
        outbox: where they come from.
        restart: read from the first row on instead of where reading ended.

    Raises:
        StorageError: either database cannot be used.
    """
    from domain.storage.postgres.outbox import connected_outbox

    events.install()
    with connected_outbox(outbox.dsn) as connection:

        def rows(after: int) -> list[OutboxRow]:
            return list(connection.rows(outbox.query, after=after, limit=outbox.limit))

        yield Pull(connection.place, rows, events, outbox, restart=restart)
