"""The questions a caller may ask of the schedules."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import groupby
from threading import Event
from typing import Final, TypeVar, Unpack

from domain.appointment import appointment_of, fold
from domain.databases import Database, Installation
from domain.envelope import Status, check_identifier
from domain.errors import AppointmentNotFound, InvalidToken, ReadModelBehind, UsageError
from domain.event_store import envelope_of
from domain.identifiers import AppointmentId, Generation, Position
from domain.recorders import recorder_of
from domain.recorders.base import StoredEnvelope
from projections.answers import AppointmentAnswer, Owners, Schedule, Stamped, stamp_fields
from projections.changes import Changes, changes_of
from projections.conflicts import Conflicts, conflicts_of
from projections.cursors import seal
from projections.figures import Figures, figures_of
from projections.history import History, history_of
from projections.projector import check_fold_version
from projections.questions import (
    Page,
    ScheduleFilters,
    Window,
    check_limit,
    position_of,
    question_of,
    token_of,
    unseal_cursor,
)
from projections.schedule import ScheduleRow, Side, appointment_from, folded_from, rows_of
from projections.stores import store_of
from projections.stores.base import GenerationState, Stamp

TIMEOUT_SECONDS: Final = 10.0

_Answer = TypeVar("_Answer")


class Schedules(Installation):
    """The schedules of one installation, for reading. Nothing is ever created."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._recorder = recorder_of(database)
        self._store = store_of(database)

    def talent(self, talent_id: str, **filters: Unpack[ScheduleFilters]) -> Schedule:
        """A talent's appointments; an unknown talent has an empty schedule.

        Raises:
            UsageError: the filters make no sense.
            ReadModelBehind: `at_least` was not reached in time.
            StorageError: the database cannot be used.
        """
        return self._schedule(Side.TALENT, talent_id, filters)

    def coach(self, coach_id: str, **filters: Unpack[ScheduleFilters]) -> Schedule:
        """A coach's appointments; the same as `talent`, from the other side."""
        return self._schedule(Side.COACH, coach_id, filters)

    def appointment(
        self, appointment_id: str, *, at_least: int | None = None, timeout: float = TIMEOUT_SECONDS
    ) -> AppointmentAnswer:
        """One appointment with its lifecycle, deleted or not.

        Raises:
            AppointmentNotFound: no projected envelope names it.
        """
        check_identifier(appointment_id)
        self._wait_for(at_least, timeout)
        stamp, body = self._ask(lambda: self._store.appointment(AppointmentId(appointment_id)))
        if body is None:
            raise AppointmentNotFound(appointment_id)
        return AppointmentAnswer.of(appointment_of(folded_from(body)), stamp)

    def changes(
        self,
        *,
        talent_id: str | None = None,
        coach_id: str | None = None,
        since: str | None = None,
        **window: Unpack[Window],
    ) -> Changes:
        """What changed in a schedule since a token, or without one everything present; with the next token.

        A copy that puts in what came and takes out what was removed stays equal to the schedule, whatever moves,
        comes late, is deleted or rebuilt in between.

        Raises:
            InvalidToken: the token is of another question or of another version of the fold; start over without.
        """
        side, owner_id = _one_owner(talent_id, coach_id)
        question = question_of(side, owner_id, _filters(window))
        belongs_to = ["changes", *question.belongs_to]
        after = Position(0) if since is None else position_of(since, belongs_to)
        self._wait_for(window.get("at_least"), window.get("timeout", TIMEOUT_SECONDS))
        stamp, changed = self._ask(lambda: self._store.changes(side, owner_id, after=after))
        if after > stamp.head:
            raise InvalidToken("the token is ahead of the event store; start over without it")
        return Changes(
            changes=changes_of(question.query, changed, is_first=since is None),
            token=token_of(Position(max(after, stamp.position)), belongs_to),
            **stamp_fields(stamp),
        )  # fmt: skip

    def conflicts(
        self, *, talent_id: str | None = None, coach_id: str | None = None, **window: Unpack[Window]
    ) -> Conflicts:
        """The PLANNED appointments of a talent or a coach that overlap, in a window of time or at all."""
        side, owner_id = _one_owner(talent_id, coach_id)
        schedule = self._schedule(side, owner_id, _filters(window, status=Status.PLANNED))
        return Conflicts(conflicts=tuple(conflicts_of(schedule)), **schedule.stamp())

    def figures(
        self, *, talent_id: str | None = None, coach_id: str | None = None, **window: Unpack[Window]
    ) -> Figures:
        """Counts and hours of a talent or a coach, in a window of time or at all."""
        side, owner_id = _one_owner(talent_id, coach_id)
        schedule = self._schedule(side, owner_id, _filters(window))
        return Figures(**figures_of(schedule), **schedule.stamp())

    def history(self, appointment_id: str) -> History:
        """Every revision of one appointment, with what it changed; read from the event store.

        Raises:
            AppointmentNotFound: no accepted envelope names it.
        """
        check_identifier(appointment_id)
        stream = self._recorder.stream(AppointmentId(appointment_id))
        if not stream:
            raise AppointmentNotFound(appointment_id)
        return history_of(appointment_id, stream)

    def talents(self, **page: Unpack[Page]) -> Owners:
        """The talents who have a schedule, by id, with the number of appointments by status."""
        return self._owners(Side.TALENT, page)

    def coaches(self, **page: Unpack[Page]) -> Owners:
        """The coaches who have a schedule, by id, with the number of appointments by status."""
        return self._owners(Side.COACH, page)

    def stamp(self) -> Stamped:
        """What an answer would be true of now."""
        stamp, _ = self._ask(lambda: (self._store.stamp(), None))
        return Stamped(**stamp_fields(stamp))

    def count(self) -> int:
        """How many appointments there are."""
        return self._store.appointments_count()

    def unfinished_rebuild(self) -> Generation | None:
        """The generation that an interrupted or running rebuild makes, if there is one."""
        building = [one for one in self._store.catalogue().generations if one.state is GenerationState.BUILDING]
        return building[-1].number if building else None

    def _schedule(self, side: Side, owner_id: str, filters: ScheduleFilters) -> Schedule:
        check_identifier(owner_id)
        question = question_of(side, owner_id, filters)
        self._wait_for(filters.get("at_least"), filters.get("timeout", TIMEOUT_SECONDS))
        if question.as_of is None:
            stamp, bodies = self._ask(lambda: self._store.schedule(question.query))
        else:
            as_of = question.as_of
            stamp, streams = self._ask(lambda: self._store.streams(side, owner_id))
            bodies = [row.body or "" for row in question.query.page(rows_as_of(side, owner_id, streams, as_of))]
        appointments = tuple(map(appointment_from, bodies))
        limit = filters.get("limit")
        return Schedule(
            side=side,
            owner_id=owner_id,
            appointments=appointments[:limit],
            as_of=question.as_of,
            next=question.cursor(appointments[limit - 1]) if limit and len(appointments) > limit else None,
            **stamp_fields(stamp),
        )

    def _owners(self, side: Side, page: Page) -> Owners:
        limit, belongs_to = page.get("limit"), ["owners", side]
        check_limit(limit)
        after = page.get("after")
        if after is not None:
            [after] = unseal_cursor(after, belongs_to)
        self._wait_for(page.get("at_least"), page.get("timeout", TIMEOUT_SECONDS))
        one_more = None if limit is None else limit + 1
        stamp, owners = self._ask(lambda: self._store.owners(side, after=after, limit=one_more))
        return Owners(
            side=side,
            owners=tuple(owners[:limit]),
            next=seal([owners[limit - 1].owner_id], belongs_to=belongs_to) if limit and len(owners) > limit else None,
            **stamp_fields(stamp),
        )

    def _ask(self, question: Callable[[], tuple[Stamp, _Answer]]) -> tuple[Stamp, _Answer]:
        stamp, answer = question()
        check_fold_version(stamp.fold_version)
        return stamp, answer

    def _wait_for(self, at_least: int | None, timeout: float) -> None:
        if at_least is None or self._store.stamp().position >= at_least:
            return
        deadline = time.monotonic() + timeout
        never = Event()
        with self._store.waiter() as wait:
            while (stamp := self._store.stamp()).position < at_least:
                seconds = deadline - time.monotonic()
                if seconds <= 0:
                    raise ReadModelBehind(at_least, stamp.position, timeout, head=stamp.head)
                wait(never, seconds)


def _one_owner(talent_id: str | None, coach_id: str | None) -> tuple[Side, str]:
    if talent_id is not None and coach_id is None:
        return Side.TALENT, talent_id
    if coach_id is not None and talent_id is None:
        return Side.COACH, coach_id
    raise UsageError("expected a talent or a coach, one of the two")


def _filters(window: Window, *, status: str | None = None) -> ScheduleFilters:
    return {
        "status": status,
        "start": window.get("start"),
        "end": window.get("end"),
        "at_least": window.get("at_least"),
        "timeout": window.get("timeout", TIMEOUT_SECONDS),
    }


def rows_as_of(side: Side, owner_id: str, streams: Iterable[StoredEnvelope], as_of: datetime) -> list[ScheduleRow]:
    """A schedule's rows as the envelopes published up to a time give them, by the fold of the live rows."""
    folded_appointments = []
    by_stream = sorted(streams, key=lambda stored: (stored.appointment_id, stored.event_id))
    for _, stream in groupby(by_stream, key=lambda stored: stored.appointment_id):
        known = [envelope for envelope in map(envelope_of, stream) if envelope.published_at <= as_of]
        if known:
            folded_appointments.append((fold(None, known), Position(0)))
    return [row for row in rows_of(folded_appointments).of(side) if row.owner_id == owner_id]
