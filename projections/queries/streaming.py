"""Answers that are read while they are written, so that a schedule of any size needs little memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from typing import Any
from uuid import UUID

from domain.appointment import Appointment
from projections.queries.changes import AskedChanges, ChangesStream, changes_streamed
from projections.queries.documents import document_of
from projections.queries.filters import Filters, Question, question_of
from projections.queries.pages import past_rows
from projections.queries.reader import Reader
from projections.queries.schedule import schedule_members
from projections.rows import Side, appointment_from
from projections.stores.base import Stamp
from projections.stores.sqlite.sorting import sorted_on_disk


class ScheduleStream(Iterator[Appointment]):
    """A schedule, or one page of it, whose appointments are read when the loop comes to them, all of one snapshot.

    Attributes:
        next: at the end, the cursor of the next page; None on the last page, and before the end.
    """

    def __init__(self, question: Question, stamp: Stamp, bodies: Iterator[str]) -> None:
        self.side = question.query.side
        self.owner_id = question.query.owner_id
        self.as_of = question.as_of
        self.known_at = question.known_at
        self.stamp = stamp
        self.next: str | None = None
        self._question = question
        self._bodies = bodies
        self._appointments = self._read()

    def __next__(self) -> Appointment:
        return next(self._appointments)

    def _read(self) -> Iterator[Appointment]:
        for body in islice(self._bodies, self._question.limit):
            one = appointment_from(body)
            yield one
        if self._question.limit is not None and next(self._bodies, None) is not None:
            self.next = self._question.cursor(one)

    def head(self) -> dict[str, Any]:
        """The members of the JSON document before `appointments`; behind them comes `next`."""
        return document_of(
            schedule_members(self.side, self.owner_id, stamp=self.stamp, as_of=self.as_of, known_at=self.known_at)
        )


class Streaming:
    """The part of `Schedules` for answers of any size."""

    _reader: Reader

    @contextmanager
    def schedule_stream(
        self,
        side: Side,
        owner_id: str | UUID,
        filters: Filters,
        *,
        counterpart_id: str | UUID | None = None,
        at_least: int | None = None,
        timeout: float | None = None,
    ) -> Iterator[ScheduleStream]:
        """Opens what `talent` or `coach` returns, to be read in the block; the timeout is for its beginning.

        A schedule of the past is folded before its first appointment comes, and then the timeout is for the fold.
        """
        question = question_of(side, owner_id, filters, counterpart_id=counterpart_id)
        bodies = _past_bodies if question.is_of_the_past else _present_bodies
        with bodies(self._reader, question, at_least=at_least, timeout=timeout) as (stamp, found):
            yield ScheduleStream(question, stamp, found)

    def changes_stream(
        self,
        side: Side,
        owner_id: str | UUID,
        filters: Filters,
        *,
        since: str | None = None,
        limit: int | None = None,
        at_least: int | None = None,
        timeout: float | None = None,
    ) -> AbstractContextManager[ChangesStream]:
        """Opens what `changes` returns, to be read in the block; the timeout is for its beginning."""
        asked = AskedChanges.of(question_of(side, owner_id, filters), since, limit)
        return changes_streamed(self._reader, asked, at_least=at_least, timeout=timeout)


def _present_bodies(
    reader: Reader, question: Question, *, at_least: int | None, timeout: float | None
) -> AbstractContextManager[tuple[Stamp, Iterator[str]]]:
    query = question.query
    return reader.scan(
        lambda: reader.store.scan_schedule(query), about=query.owner, at_least=at_least, timeout=timeout
    )


@contextmanager
def _past_bodies(
    reader: Reader, question: Question, *, at_least: int | None, timeout: float | None
) -> Iterator[tuple[Stamp, Iterator[str]]]:
    query = question.query
    with reader.read(
        lambda: reader.store.scan_streams(query.side, query.owner_id),
        about=query.owner,
        at_least=at_least,
        timeout=timeout,
    ) as (stamp, streams):
        rows = past_rows(question, streams)
        if query.limit is not None:
            yield stamp, iter([row.body or "" for row in query.page(rows)])
            return
        with sorted_on_disk((key, row.body or "") for key, row in query.later(rows)) as bodies:
            yield stamp, bodies
