"""What may be asked of a schedule: the filters, their sense, and the cursor from page to page."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, TypedDict

from domain.appointment import FOLD_VERSION, Appointment
from domain.envelope import AppointmentType, Status, check_identifier
from domain.errors import InvalidCursor, InvalidToken, UsageError
from domain.identifiers import Position
from projections.cursors import seal, unseal
from projections.schedule import Side, milliseconds_of, span_of
from projections.stores.base import ScheduleQuery, SortKey

LIMIT_MAX: Final = 10_000


class ScheduleFilters(TypedDict, total=False):
    """What narrows a schedule; every combination is allowed. Times are aware datetimes.

    Attributes:
        status: one status or several; without it, all.
        start: FROM of a window: appointments that end after it (or start at it or later).
        end: TO of a window: appointments that start before it.
        upcoming: the same as `start=now`.
        past: dated and not upcoming.
        now: what `upcoming` and `past` mean by now; the present time unless given.
        appointment_type: only of this type.
        subphase_id: only of this subphase.
        counterpart: on a talent's schedule a coach's id, on a coach's schedule a talent's.
        include_deleted: with the softly deleted ones.
        descending: latest first; those without a date are last all the same.
        as_of: the schedule as the envelopes published up to this time give it.
        at_least: wait until the read model has reached this position.
        timeout: for how many seconds to wait at most.
        limit: how many appointments at most, 1 to 10,000; without it, all.
        after: the `next` of the page before.
    """

    status: str | Collection[str] | None
    start: datetime | None
    end: datetime | None
    upcoming: bool
    past: bool
    now: datetime | None
    appointment_type: str | None
    subphase_id: str | None
    counterpart: str | None
    include_deleted: bool
    descending: bool
    as_of: datetime | None
    at_least: int | None
    timeout: float
    limit: int | None
    after: str | None


class Page(TypedDict, total=False):
    """What narrows a listing; see `ScheduleFilters`."""

    limit: int | None
    after: str | None
    at_least: int | None
    timeout: float


class Window(TypedDict, total=False):
    """A window of time; see `ScheduleFilters`."""

    start: datetime | None
    end: datetime | None
    at_least: int | None
    timeout: float


@dataclass(frozen=True, slots=True)
class Question:
    """A checked question: what the store is asked, and what its cursors belong to."""

    query: ScheduleQuery
    as_of: datetime | None
    belongs_to: list[Any]

    def cursor(self, last: Appointment) -> str:
        """The cursor of the page after an appointment; it carries what `now` was on the first page."""
        key = self.query.sort_key(span_of(last)[0], last.id)
        return seal([*key, self.query.ends_after, self.query.past_before], belongs_to=self.belongs_to)


def question_of(side: Side, owner_id: str, filters: ScheduleFilters) -> Question:
    """Checks the filters of a schedule.

    Raises:
        UsageError: they make no sense.
        InvalidCursor: `after` belongs to another question.
    """
    check_identifier(owner_id)
    counterpart_id, subphase_id = filters.get("counterpart"), filters.get("subphase_id")
    if counterpart_id is not None:
        check_identifier(counterpart_id)
    if subphase_id is not None:
        _check_storable("subphase_id", subphase_id)
    limit = filters.get("limit")
    check_limit(limit)
    start, end, now = (_milliseconds(filters, name) for name in ("start", "end", "now"))
    if start is not None and end is not None and start > end:
        raise UsageError("FROM is after TO")
    if filters.get("upcoming") and filters.get("past"):
        raise UsageError("no appointment is both upcoming and past")
    now = milliseconds_of(datetime.now(UTC)) if now is None else now
    query = ScheduleQuery(
        side=side,
        owner_id=owner_id,
        statuses=_statuses(filters.get("status")),
        ends_after=max(now, now if start is None else start) if filters.get("upcoming") else start,
        starts_before=end,
        past_before=now if filters.get("past") else None,
        appointment_type=_member(AppointmentType, filters.get("appointment_type")),
        subphase_id=subphase_id,
        counterpart_id=counterpart_id,
        include_deleted=filters.get("include_deleted", False),
        descending=filters.get("descending", False),
        limit=None if limit is None else limit + 1,
    )
    as_of = filters.get("as_of")
    _milliseconds(filters, "as_of")
    belongs_to = [
        "schedule", side, owner_id, sorted(query.statuses or ()), start, end, filters.get("upcoming", False),
        filters.get("past", False), query.appointment_type, query.subphase_id, query.counterpart_id,
        query.include_deleted, query.descending, as_of and milliseconds_of(as_of),
    ]  # fmt: skip
    after = filters.get("after")
    if after is not None:
        *key, ends_after, past_before = unseal_cursor(after, belongs_to)
        query = replace(query, after=SortKey(*key), ends_after=ends_after, past_before=past_before)
    return Question(query, as_of, belongs_to)


def check_limit(limit: int | None) -> None:
    """Raises `UsageError` unless the limit is None or from 1 to 10,000."""
    if limit is not None and not 1 <= limit <= LIMIT_MAX:
        raise UsageError(f"expected a limit from 1 to {LIMIT_MAX}, found {limit}")


def unseal_cursor(cursor: str, belongs_to: list[Any]) -> list[Any]:
    """The content of a cursor.

    Raises:
        InvalidCursor: it is damaged, or belongs to another question.
    """
    content = unseal(cursor, belongs_to=belongs_to)
    if content is None:
        raise InvalidCursor("the cursor does not belong to this question; begin again without it")
    return content


def token_of(position: Position, belongs_to: list[Any]) -> str:
    """The token of a change feed that has been read up to a position."""
    return seal([FOLD_VERSION, position], belongs_to=belongs_to)


def position_of(token: str, belongs_to: list[Any]) -> Position:
    """The position of a change token.

    Raises:
        InvalidToken: it is damaged, or belongs to another question or another version of the fold.
    """
    content = unseal(token, belongs_to=belongs_to)
    if content is None:
        raise InvalidToken("the token does not belong to this question; start over without it")
    fold_version, position = content
    if fold_version != FOLD_VERSION:
        raise InvalidToken(
            f"the token is of version {fold_version} of the fold, this is version {FOLD_VERSION}; "
            "start over without it"
        )
    return Position(position)


def _milliseconds(filters: ScheduleFilters, name: str) -> int | None:
    moment: datetime | None = filters.get(name)  # type: ignore[assignment] # mypy cannot see which name it is
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise UsageError(f"expected {name} with an offset from UTC, found {moment.isoformat()}")
    return milliseconds_of(moment)


def _check_storable(name: str, text: str) -> None:
    if "\0" in text or text.encode("utf-8", "ignore").decode() != text:
        raise UsageError(f"expected {name} without U+0000 and without lone surrogates, found {text[:60]!r}")


def _statuses(status: str | Collection[str] | None) -> frozenset[str] | None:
    if status is None:
        return None
    names = {status} if isinstance(status, str) else set(status)
    return frozenset(_member(Status, name) or "" for name in names)


def _member(kind: type[Status | AppointmentType], name: str | None) -> str | None:
    if name is not None and name not in kind.__members__:
        raise UsageError(f"expected one of {', '.join(kind.__members__)}, found {name[:60]!r}")
    return name
