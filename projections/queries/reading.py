"""How a question is asked of the read models: what it waits for, in which statement, and who may answer it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from itertools import groupby
from threading import Event
from typing import TypeVar
from uuid import UUID

from domain.appointment import fold
from domain.arguments import optional, seconds, text, whole_number
from domain.errors import ReadModelBehind
from domain.event_store import envelope_of
from domain.identifiers import Position
from domain.storage import Database, recorder_of
from domain.storage.base import StoredEnvelope
from domain.storage.time_limit import TimeLimit, time_limit
from projections.projector import check_fold_version
from projections.queries.cursors import seal
from projections.queries.filters import Filters, Question, limit_of, question_of, unseal_cursor
from projections.queries.schedule import Owners, Schedule
from projections.rows import ScheduleRow, Side, appointment_from, rows_of
from projections.stores import store_of
from projections.stores.base import Stamp

_Answer = TypeVar("_Answer")


class Reading:
    """An installation whose read models are asked, and never changed."""

    def __init__(self, database: Database) -> None:
        self._recorder = recorder_of(database)
        self._store = store_of(database)
        self._timeout_seconds = database.timeout_seconds

    def _schedule(
        self,
        side: Side,
        owner_id: str | UUID,
        filters: Filters,
        *,
        counterpart_id: str | UUID | None = None,
        at_least: int | None,
        timeout: float | None,
    ) -> Schedule:
        question = question_of(side, owner_id, filters, counterpart_id=counterpart_id)
        query, limit = question.query, question.limit
        if question.is_of_the_past:
            stamp, streams = self._ask(lambda: self._store.streams(side, query.owner_id), at_least, timeout)
            bodies = [row.body or "" for row in query.page(past_rows(question, streams))]
        else:
            stamp, bodies = self._ask(lambda: self._store.schedule(query), at_least, timeout)
        appointments = tuple(map(appointment_from, bodies))
        return Schedule(
            side=side,
            owner_id=query.owner_id,
            appointments=appointments[:limit],
            as_of=question.as_of,
            known_at=question.known_at,
            next=question.cursor(appointments[limit - 1]) if limit and len(appointments) > limit else None,
            stamp=stamp,
        )

    def _owners(
        self, side: Side, *, limit: int | None, after: str | None, at_least: int | None, timeout: float | None
    ) -> Owners:
        belongs_to = ["owners", side]
        limit = limit_of(limit)
        after = optional(text, "after", after)
        if after is not None:
            [after] = unseal_cursor(after, belongs_to)
        one_more = None if limit is None else limit + 1
        stamp, owners = self._ask(lambda: self._store.owners(side, after=after, limit=one_more), at_least, timeout)
        return Owners(
            side=side,
            owners=tuple(owners[:limit]),
            next=seal([owners[limit - 1].owner_id], belongs_to=belongs_to) if limit and len(owners) > limit else None,
            stamp=stamp,
        )

    def _ask(
        self, question: Callable[[], tuple[Stamp, _Answer]], at_least: int | None, timeout: float | None
    ) -> tuple[Stamp, _Answer]:
        """Waits and asks, both within the timeout."""
        at_least = optional(whole_number, "at_least", at_least)
        with self._within(timeout) as limit:
            if at_least is not None:
                self._wait_for(at_least, limit)
            stamp, answer = question()
        check_fold_version(stamp.fold_version)
        return stamp, answer

    def _within(self, timeout: float | None) -> AbstractContextManager[TimeLimit]:
        return time_limit(self._timeout_seconds if timeout is None else seconds("timeout", timeout))

    def _wait_for(self, at_least: int, limit: TimeLimit) -> None:
        if self._store.stamp().position >= at_least:
            return
        never = Event()
        with self._store.waiter() as wait:
            while (stamp := self._store.stamp()).position < at_least:
                check_fold_version(stamp.fold_version)
                left = limit.deadline - time.monotonic()
                if left <= 0:
                    raise ReadModelBehind(at_least, stamp.position, limit.seconds, head=stamp.head)
                wait(never, left)


def past_rows(question: Question, streams: Iterable[StoredEnvelope]) -> list[ScheduleRow]:
    """A schedule's rows as the envelopes that count for the question give them, by the fold of the live rows."""
    side, owner_id = question.query.side, question.query.owner_id
    folded_appointments = []
    by_stream = sorted(streams, key=lambda stored: (stored.appointment_id, stored.event_id))
    for _, stream in groupby(by_stream, key=lambda stored: stored.appointment_id):
        envelopes = [(stored, envelope_of(stored)) for stored in stream]
        known = [envelope for stored, envelope in envelopes if question.counts(stored, envelope)]
        if known:
            folded_appointments.append((fold(None, known), Position(0)))
    return [row for row in rows_of(folded_appointments).of(side) if row.owner_id == owner_id]
