"""What may be asked of a schedule: checks the filters and turns them into a query for the store."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, TypedDict
from uuid import UUID

from domain.appointment import Appointment
from domain.arguments import flag, identifier, member, members, moment, opaque, optional, text, whole_number
from domain.envelope import AppointmentType, Envelope, Status
from domain.errors import ContradictoryFilters, UsageError
from domain.storage.base import StoredEnvelope
from projections.queries.cursors import seal, unseal_cursor
from projections.rows import Side, milliseconds_of, span_of
from projections.stores.base import UNDATED_SORT_KEY, ScheduleQuery, SortKey

LIMIT_MAX: Final = 10_000


class Filters(TypedDict, total=False):
    """What narrows a schedule; `Schedules.talent` says what each of them means."""

    status: str | Iterable[str] | None
    start: datetime | None
    end: datetime | None
    upcoming: bool
    past: bool
    now: datetime | None
    appointment_type: str | None
    subphase_id: str | UUID | None
    include_deleted: bool
    desc: bool
    as_of: datetime | None
    known_at: datetime | None
    limit: int | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Question:
    """The filters of a schedule, checked.

    Attributes:
        query: the same for the store. It selects one appointment more than `limit`, which tells whether there is
            another page.
        belongs_to: what a cursor of another question differs in.
    """

    query: ScheduleQuery
    as_of: datetime | None
    known_at: datetime | None
    limit: int | None
    belongs_to: list[Any]

    @property
    def is_of_the_past(self) -> bool:
        """Whether the read models, which hold the present, cannot answer it."""
        return self.as_of is not None or self.known_at is not None

    def counts(self, stored: StoredEnvelope, envelope: Envelope) -> bool:
        """Whether an envelope had been published, and had arrived, by the asked times.

        One whose time of arrival was not recorded counts as here from the beginning.
        """
        return (self.as_of is None or envelope.published_at <= self.as_of) and (
            self.known_at is None or stored.arrived_at is None or stored.arrived_at <= self.known_at
        )

    def cursor(self, last: Appointment) -> str:
        """The cursor of the page after an appointment; it carries what `now` was on the first page."""
        key = self.query.sort_key(span_of(last)[0], last.id)
        return seal([*key, self.query.ends_after, self.query.past_before], belongs_to=self.belongs_to)

    def after(self, cursor: str) -> Question:
        """The same question for the page that a cursor leads to.

        Raises:
            InvalidCursor: the cursor is damaged, or belongs to another question.
        """
        *key, ends_after, past_before = unseal_cursor(cursor, belongs_to=self.belongs_to)
        query = replace(self.query, after=SortKey(*key), ends_after=ends_after, past_before=past_before)
        return replace(self, query=query)

    def cursor_of_undated(self) -> str:
        """The cursor of the page that begins behind everything that has a date."""
        return seal([UNDATED_SORT_KEY - 1, "", None, None], belongs_to=self.belongs_to)


def question_of(
    side: Side, owner_id: str | UUID, filters: Filters, *, counterpart_id: str | UUID | None = None
) -> Question:
    """Checks whose schedule is asked for, and its filters.

    Raises:
        TypeError: one of them is of a wrong type.
        UsageError: they make no sense.
        InvalidCursor: `after` belongs to another question.
    """
    owner_id = identifier(f"{side}_id", owner_id)
    limit = limit_of(filters.get("limit"))
    as_of, known_at = (optional(moment, name, filters.get(name)) for name in ("as_of", "known_at"))
    window = _window_of(filters)
    query = ScheduleQuery(
        side=side,
        owner_id=owner_id,
        statuses=optional(_statuses, "status", filters.get("status")),
        ends_after=window.ends_after,
        starts_before=window.end,
        past_before=window.now if window.past else None,
        appointment_type=optional(_appointment_type, "appointment_type", filters.get("appointment_type")),
        subphase_id=optional(opaque, "subphase_id", filters.get("subphase_id")),
        counterpart_id=optional(identifier, f"{side.other}_id", counterpart_id),
        include_deleted=flag("include_deleted", filters.get("include_deleted", False)),
        descending=flag("desc", filters.get("desc", False)),
        limit=None if limit is None else limit + 1,
    )
    belongs_to = [
        "schedule", side, owner_id, sorted(query.statuses or ()), window.start, window.end, window.upcoming,
        window.past, query.appointment_type, query.subphase_id, query.counterpart_id, query.include_deleted,
        query.descending, as_of and milliseconds_of(as_of), known_at and milliseconds_of(known_at),
    ]  # fmt: skip
    question = Question(query, as_of, known_at, limit, belongs_to)
    after = optional(text, "after", filters.get("after"))
    return question if after is None else question.after(after)


class _Window(NamedTuple):
    """The filters of time, in milliseconds since 1970 in UTC."""

    start: int | None
    end: int | None
    now: int
    upcoming: bool
    past: bool

    @property
    def ends_after(self) -> int | None:
        """FROM of the window: `upcoming` is `start=now`, and with a later `start` that one."""
        if not self.upcoming:
            return self.start
        return self.now if self.start is None else max(self.now, self.start)


def _window_of(filters: Filters) -> _Window:
    start, end, now = (
        None if one is None else milliseconds_of(one)
        for one in (optional(moment, name, filters.get(name)) for name in ("start", "end", "now"))
    )
    upcoming, past = (flag(name, filters.get(name, False)) for name in ("upcoming", "past"))
    if start is not None and end is not None and start > end:
        raise ContradictoryFilters("FROM is after TO", argument="start")
    if upcoming and past:
        raise ContradictoryFilters("no appointment is both upcoming and past", argument="past")
    return _Window(start, end, milliseconds_of(datetime.now(UTC)) if now is None else now, upcoming, past)


def owner_of(talent_id: str | UUID | None, coach_id: str | UUID | None) -> tuple[Side, str | UUID]:
    """The side and the id of the one whose schedule is asked for.

    Raises:
        UsageError: neither is given, or both are.
    """
    if talent_id is not None and coach_id is None:
        return Side.TALENT, talent_id
    if coach_id is not None and talent_id is None:
        return Side.COACH, coach_id
    raise UsageError("expected a talent or a coach, one of the two")


def limit_of(limit: object) -> int | None:
    """Checks how many elements a page may have: 1 to 10,000, or None for all."""
    number = optional(whole_number, "limit", limit)
    if number is not None and not 1 <= number <= LIMIT_MAX:
        raise UsageError(f"expected a limit from 1 to {LIMIT_MAX}, found {number}", argument="limit")
    return number


def _statuses(name: str, value: object) -> frozenset[str]:
    return members(name, value, Status)


def _appointment_type(name: str, value: object) -> str:
    return member(name, value, AppointmentType)
