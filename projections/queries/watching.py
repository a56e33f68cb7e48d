"""What a page that shows a schedule and stays open asks besides: what has no date, and when something changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from datetime import datetime
from threading import Event
from uuid import UUID

from domain.storage import Database
from projections.queries.changes import token_of_now
from projections.queries.filters import Filters, question_of
from projections.queries.pages import schedule_page
from projections.queries.reader import Reader
from projections.queries.schedule import Schedule
from projections.rows import Side


class Watching:
    """The half of `Schedules` for pages that stay open."""

    def __init__(self, database: Database, *, primary: Database | None = None) -> None:
        """Asks the database, or where there is a primary, that one's replica."""
        self._reader = Reader(database, primary=primary)
        self._store = self._reader.store

    def undated(
        self,
        side: Side,
        owner_id: str | UUID,
        *,
        status: str | Iterable[str] | None = None,
        include_deleted: bool = False,
        as_of: datetime | None = None,
        known_at: datetime | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> Schedule:
        """The appointments of a schedule that have no date; they are in no window of time."""
        filters = Filters(status=status, include_deleted=include_deleted, as_of=as_of, known_at=known_at, limit=limit)
        question = question_of(side, owner_id, filters)
        question = question.after(question.cursor_of_undated())
        return schedule_page(self._reader, question, at_least=None, timeout=timeout)

    def token(self, side: Side, owner_id: str | UUID, *, timeout: float | None = None) -> str:
        """A token since which `changes` gives what is projected into a schedule from now on."""
        return token_of_now(self._reader, question_of(side, owner_id, Filters()), timeout=timeout)

    def waiter(self) -> AbstractContextManager[Callable[[Event, float], None]]:
        """Waits for what projectors of any process commit: `wait(stop, seconds)` returns early when one did.

        Raises:
            StorageError: the database cannot be used; then, or while waiting.
        """
        return self._store.waiter()
