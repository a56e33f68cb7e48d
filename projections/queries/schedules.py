"""The questions a caller may ask of the schedules."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from domain.appointment import appointment_of
from domain.arguments import identifier, optional, text
from domain.envelope import Status
from domain.errors import AppointmentNotFound, InvalidToken, UsageError
from domain.identifiers import AppointmentId, Position
from projections.queries.changes import Changes, changes_of
from projections.queries.conflicts import Conflicts, conflicts_of
from projections.queries.figures import Figures, figures_of
from projections.queries.filters import ChangeToken, Filters, question_of, sealed_token, unsealed_token
from projections.queries.history import History, history_of
from projections.queries.reading import Reading
from projections.queries.schedule import AppointmentAnswer, Owners, Schedule, appointment_answer
from projections.rows import Side, folded_from
from projections.stores.base import Stamp


class Schedules(Reading):
    """The schedules of one installation, for reading. Nothing is ever created.

    Every id may be a text or a `UUID`; every time is a datetime with an offset from UTC. An argument of a wrong type
    is a `TypeError`, one that makes no sense a `UsageError`; both name it.
    """

    def talent(
        self,
        talent_id: str | UUID,
        *,
        status: str | Iterable[str] | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        upcoming: bool = False,
        past: bool = False,
        now: datetime | None = None,
        coach_id: str | UUID | None = None,
        appointment_type: str | None = None,
        subphase_id: str | UUID | None = None,
        include_deleted: bool = False,
        desc: bool = False,
        as_of: datetime | None = None,
        known_at: datetime | None = None,
        limit: int | None = None,
        after: str | None = None,
        at_least: int | None = None,
        timeout: float | None = None,
    ) -> Schedule:
        """A talent's appointments; an unknown talent has an empty schedule. Every combination of filters is allowed.

        Args:
            talent_id: whose schedule.
            status: one status or several; without it, all.
            start: FROM of a window: appointments that end after it, or start at it or later.
            end: TO of a window: appointments that start before it.
            upcoming: the same as `start=now`.
            past: dated and not upcoming.
            now: what `upcoming` and `past` mean by now; the present time unless given.
            coach_id: only with this coach.
            appointment_type: only of this type.
            subphase_id: only of this subphase.
            include_deleted: with the softly deleted ones.
            desc: latest first; those without a date are last all the same.
            as_of: the schedule as the envelopes published up to this time give it.
            known_at: the schedule as the envelopes that had arrived here by this time give it; with `as_of`, of those
                published up to that.
            limit: how many appointments at most, 1 to 10,000; without it, all.
            after: the `next` of the page before.
            at_least: wait until the read model has reached this position.
            timeout: how many seconds the question may take, 0 to 86,400, the wait for `at_least` included; without
                it, as many as the database's URL says, else 30.

        Raises:
            UsageError: the filters make no sense.
            ReadModelBehind: `at_least` was not reached in time.
            StorageUnavailable: the database gave no answer in time.
            StorageError: the database cannot be used.
        """
        filters = Filters(
            status=status, start=start, end=end, upcoming=upcoming, past=past, now=now,
            appointment_type=appointment_type, subphase_id=subphase_id, include_deleted=include_deleted, desc=desc,
            as_of=as_of, known_at=known_at, limit=limit, after=after,
        )  # fmt: skip
        return self._schedule(
            Side.TALENT, talent_id, filters, counterpart_id=coach_id, at_least=at_least, timeout=timeout
        )

    def coach(
        self,
        coach_id: str | UUID,
        *,
        status: str | Iterable[str] | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        upcoming: bool = False,
        past: bool = False,
        now: datetime | None = None,
        talent_id: str | UUID | None = None,
        appointment_type: str | None = None,
        subphase_id: str | UUID | None = None,
        include_deleted: bool = False,
        desc: bool = False,
        as_of: datetime | None = None,
        known_at: datetime | None = None,
        limit: int | None = None,
        after: str | None = None,
        at_least: int | None = None,
        timeout: float | None = None,
    ) -> Schedule:
        """A coach's appointments; the same as `talent` from the other side: `talent_id` is only with this talent."""
        filters = Filters(
            status=status, start=start, end=end, upcoming=upcoming, past=past, now=now,
            appointment_type=appointment_type, subphase_id=subphase_id, include_deleted=include_deleted, desc=desc,
            as_of=as_of, known_at=known_at, limit=limit, after=after,
        )  # fmt: skip
        return self._schedule(
            Side.COACH, coach_id, filters, counterpart_id=talent_id, at_least=at_least, timeout=timeout
        )

    def appointment(
        self, appointment_id: str | UUID, *, at_least: int | None = None, timeout: float | None = None
    ) -> AppointmentAnswer:
        """One appointment with its lifecycle, deleted or not.

        Raises:
            AppointmentNotFound: no projected envelope names it.
        """
        found_id = AppointmentId(identifier("appointment_id", appointment_id))
        stamp, body = self._ask(lambda: self._store.appointment(found_id), at_least, timeout)
        if body is None:
            raise AppointmentNotFound(found_id)
        return appointment_answer(appointment_of(folded_from(body)), stamp)

    def changes(
        self,
        *,
        talent_id: str | UUID | None = None,
        coach_id: str | UUID | None = None,
        since: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        at_least: int | None = None,
        timeout: float | None = None,
    ) -> Changes:
        """What changed in a schedule since a token, or without one everything present; with the next token.

        A copy that puts in what came and takes out what was removed stays equal to the schedule (in the window from
        `start` to `end`), whatever moves, comes late, is deleted or rebuilt in between.

        Raises:
            InvalidToken: the token is of another question, of another version of the fold, or was given before the
                event store was restored; start over without.
        """
        side, owner_id = _one_owner(talent_id, coach_id)
        question = question_of(side, owner_id, {"start": start, "end": end})
        belongs_to = ["changes", *question.belongs_to]
        since = optional(text, "since", since)
        token = None if since is None else unsealed_token(since, belongs_to)
        after = Position(0) if token is None else token.position
        stamp, changed = self._ask(
            lambda: self._store.changes(side, question.query.owner_id, after=after), at_least, timeout
        )
        if token is not None:
            token.check(stamp.epoch)
        if after > stamp.head:
            raise InvalidToken("the token is ahead of the event store; start over without it")
        return Changes(
            changes=changes_of(question.query, changed, is_first=since is None),
            token=sealed_token(ChangeToken(Position(max(after, stamp.position)), stamp.epoch), belongs_to),
            stamp=stamp,
        )  # fmt: skip

    def conflicts(
        self,
        *,
        talent_id: str | UUID | None = None,
        coach_id: str | UUID | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        upcoming: bool = False,
        past: bool = False,
        now: datetime | None = None,
        appointment_type: str | None = None,
        subphase_id: str | UUID | None = None,
        as_of: datetime | None = None,
        known_at: datetime | None = None,
        at_least: int | None = None,
        timeout: float | None = None,
    ) -> Conflicts:
        """Which PLANNED appointments of a talent or a coach overlap, among those that `talent`'s filters select."""
        side, owner_id = _one_owner(talent_id, coach_id)
        filters = Filters(
            status=Status.PLANNED, start=start, end=end, upcoming=upcoming, past=past, now=now,
            appointment_type=appointment_type, subphase_id=subphase_id, as_of=as_of,
            known_at=known_at,
        )  # fmt: skip
        schedule = self._schedule(side, owner_id, filters, at_least=at_least, timeout=timeout)
        return Conflicts(
            conflicts=tuple(conflicts_of(schedule)), as_of=as_of, known_at=known_at, stamp=schedule.stamp
        )

    def figures(
        self,
        *,
        talent_id: str | UUID | None = None,
        coach_id: str | UUID | None = None,
        status: str | Iterable[str] | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        upcoming: bool = False,
        past: bool = False,
        now: datetime | None = None,
        appointment_type: str | None = None,
        subphase_id: str | UUID | None = None,
        as_of: datetime | None = None,
        known_at: datetime | None = None,
        at_least: int | None = None,
        timeout: float | None = None,
    ) -> Figures:
        """Counts and hours of a talent's or a coach's appointments, of those that `talent`'s filters select."""
        side, owner_id = _one_owner(talent_id, coach_id)
        filters = Filters(
            status=status, start=start, end=end, upcoming=upcoming, past=past, now=now,
            appointment_type=appointment_type, subphase_id=subphase_id, as_of=as_of,
            known_at=known_at,
        )  # fmt: skip
        schedule = self._schedule(side, owner_id, filters, at_least=at_least, timeout=timeout)
        return Figures(**figures_of(schedule), as_of=as_of, known_at=known_at, stamp=schedule.stamp)

    def history(self, appointment_id: str | UUID, *, timeout: float | None = None) -> History:
        """Every revision of one appointment, with what it changed; read from the event store.

        Raises:
            AppointmentNotFound: no accepted envelope names it.
        """
        found_id = AppointmentId(identifier("appointment_id", appointment_id))
        with self._within(timeout):
            self._recorder.check()
            stream = self._recorder.stream(found_id)
        if not stream:
            raise AppointmentNotFound(found_id)
        return history_of(found_id, stream)

    def talents(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        at_least: int | None = None,
        timeout: float | None = None,
    ) -> Owners:
        """The talents who have a schedule, by id, with the number of appointments by status; in pages as `talent`."""
        return self._owners(Side.TALENT, limit=limit, after=after, at_least=at_least, timeout=timeout)

    def coaches(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        at_least: int | None = None,
        timeout: float | None = None,
    ) -> Owners:
        """The coaches who have a schedule, by id, with the number of appointments by status; in pages as `coach`."""
        return self._owners(Side.COACH, limit=limit, after=after, at_least=at_least, timeout=timeout)

    def stamp(self, *, timeout: float | None = None) -> Stamp:
        """What an answer would be true of now."""
        stamp, _ = self._ask(lambda: (self._store.stamp(), None), None, timeout)
        return stamp

    def count(self, *, timeout: float | None = None) -> int:
        """How many appointments there are."""
        with self._within(timeout):
            return self._store.appointments_count()


def _one_owner(talent_id: str | UUID | None, coach_id: str | UUID | None) -> tuple[Side, str | UUID]:
    if talent_id is not None and coach_id is None:
        return Side.TALENT, talent_id
    if coach_id is not None and talent_id is None:
        return Side.COACH, coach_id
    raise UsageError("expected a talent or a coach, one of the two")
