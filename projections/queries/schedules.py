"""The questions a caller may ask of the schedules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from uuid import UUID

from domain.appointment import appointment_of
from domain.arguments import identifier
from domain.envelope import Status
from domain.errors import AppointmentNotFound
from domain.identifiers import AppointmentId
from projections.queries.changes import AskedChanges, Changes, changes_since
from projections.queries.conflicts import Conflicts, conflicts_of
from projections.queries.figures import Figures, figures_of
from projections.queries.filters import Filters, owner_of, question_of
from projections.queries.history import History, history_of
from projections.queries.pages import owners_page, schedule_page, schedule_pages
from projections.queries.schedule import AppointmentAnswer, Owners, Schedule, appointment_answer
from projections.queries.streaming import Streaming
from projections.queries.watching import Watching
from projections.rows import Side, folded_from
from projections.stores.base import Stamp


class Schedules(Watching, Streaming):
    """The schedules of one installation, for reading; `Appointments.schedules` is the one to use.

    Every id may be a text or a `UUID`; every time is a datetime with an offset from UTC. An argument of a wrong type
    is a `TypeError`, one that makes no sense a `UsageError`; both name it. Nothing is ever created.
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
            upcoming: the same as `start=now`; with a later `start` that one.
            past: dated and not upcoming.
            now: what `upcoming` and `past` mean by now; the present time unless given.
            coach_id: only with this coach.
            appointment_type: only of this type.
            subphase_id: only of this subphase.
            include_deleted: with the softly deleted ones.
            desc: latest first; those without a date are last all the same.
            as_of: the schedule as it was published up to this time.
            known_at: the schedule as far as it had arrived here by this time; with `as_of`, both limits hold.
            limit: how many appointments at most, 1 to 10,000; without it, all.
            after: the `next` of the page before.
            at_least: wait until the read model has reached this position.
            timeout: how many seconds the question may take, 0 to 86,400, the wait for `at_least` included; without
                it, as many as `Appointments.open` says.

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
        question = question_of(Side.TALENT, talent_id, filters, counterpart_id=coach_id)
        return schedule_page(self._reader, question, at_least=at_least, timeout=timeout)

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
        question = question_of(Side.COACH, coach_id, filters, counterpart_id=talent_id)
        return schedule_page(self._reader, question, at_least=at_least, timeout=timeout)

    def pages(
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
        include_deleted: bool = False,
        desc: bool = False,
        as_of: datetime | None = None,
        known_at: datetime | None = None,
        limit: int = 100,
        after: str | None = None,
        at_least: int | None = None,
        timeout: float | None = None,
    ) -> Iterator[Schedule]:
        """A talent's or a coach's schedule page by page; each page but the first is read when the loop comes to it.

        With both a talent and a coach: the talent's appointments with that coach. Each page is of its own moment:
        what stays where it is comes once, what is moved between two pages may come twice or not at all.
        """
        filters = Filters(
            status=status, start=start, end=end, upcoming=upcoming, past=past, now=now,
            appointment_type=appointment_type, subphase_id=subphase_id, include_deleted=include_deleted, desc=desc,
            as_of=as_of, known_at=known_at, limit=limit, after=after,
        )  # fmt: skip
        both = talent_id is not None and coach_id is not None
        side, owner_id = owner_of(talent_id, None if both else coach_id)
        question = question_of(side, owner_id, filters, counterpart_id=coach_id if both else None)
        return schedule_pages(self._reader, question, at_least=at_least, timeout=timeout)

    def appointment(
        self, appointment_id: str | UUID, *, at_least: int | None = None, timeout: float | None = None
    ) -> AppointmentAnswer:
        """One appointment with its lifecycle, deleted or not.

        Raises:
            AppointmentNotFound: no projected envelope names it.
        """
        found_id = AppointmentId(identifier("appointment_id", appointment_id))
        stamp, body = self._reader.ask(lambda: self._store.appointment(found_id), at_least=at_least, timeout=timeout)
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
        limit: int | None = None,
        at_least: int | None = None,
        timeout: float | None = None,
    ) -> Changes:
        """What changed in a schedule since a token, or without one everything present; with the next token.

        A copy that puts in what came and takes out what was removed stays equal to the schedule (in the window from
        `start` to `end`), whatever moves, comes late, is deleted or rebuilt in between. With a `limit` the token goes
        on where it cut this answer off; `more` says whether it did.

        Raises:
            InvalidToken: the token is of another question, of another version of the fold, or was given before the
                event store was restored; start over without.
        """
        question = question_of(*owner_of(talent_id, coach_id), {"start": start, "end": end})
        asked = AskedChanges.of(question, since, limit)
        return changes_since(self._reader, asked, at_least=at_least, timeout=timeout)

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
        filters = Filters(
            status=Status.PLANNED, start=start, end=end, upcoming=upcoming, past=past, now=now,
            appointment_type=appointment_type, subphase_id=subphase_id, as_of=as_of, known_at=known_at,
        )  # fmt: skip
        question = question_of(*owner_of(talent_id, coach_id), filters)
        schedule = schedule_page(self._reader, question, at_least=at_least, timeout=timeout)
        conflicts = tuple(conflicts_of(schedule))
        return Conflicts(conflicts=conflicts, as_of=as_of, known_at=known_at, stamp=schedule.stamp)

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
        filters = Filters(
            status=status, start=start, end=end, upcoming=upcoming, past=past, now=now,
            appointment_type=appointment_type, subphase_id=subphase_id, as_of=as_of, known_at=known_at,
        )  # fmt: skip
        question = question_of(*owner_of(talent_id, coach_id), filters)
        schedule = schedule_page(self._reader, question, at_least=at_least, timeout=timeout)
        return Figures(**figures_of(schedule), as_of=as_of, known_at=known_at, stamp=schedule.stamp)

    def history(self, appointment_id: str | UUID, *, timeout: float | None = None) -> History:
        """Every revision of one appointment, with what it changed; read from the event store.

        Raises:
            AppointmentNotFound: no accepted envelope names it.
        """
        found_id = AppointmentId(identifier("appointment_id", appointment_id))
        history = history_of(found_id, self._reader.stream(found_id, timeout=timeout))
        if not history.revisions:
            raise AppointmentNotFound(found_id)
        return history

    def talents(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        at_least: int | None = None,
        timeout: float | None = None,
    ) -> Owners:
        """The talents who have a schedule, by id, with the number of appointments by status; in pages as `talent`."""
        return owners_page(self._reader, Side.TALENT, limit=limit, after=after, at_least=at_least, timeout=timeout)

    def coaches(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        at_least: int | None = None,
        timeout: float | None = None,
    ) -> Owners:
        """The coaches who have a schedule, by id, with the number of appointments by status; in pages as `coach`."""
        return owners_page(self._reader, Side.COACH, limit=limit, after=after, at_least=at_least, timeout=timeout)

    def stamp(self, *, timeout: float | None = None) -> Stamp:
        """The position, the lag and the generation of the read models as they are now."""
        stamp, _ = self._reader.ask(lambda: (self._store.stamp(), None), timeout=timeout)
        return stamp

    def count(self, *, timeout: float | None = None) -> int:
        """How many appointments there are."""
        with self._reader.within(timeout):
            return self._store.appointments_count()
