"""What may be asked of a schedule: the filters, their sense, and the cursor from page to page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, TypedDict
from uuid import UUID

from domain.appointment import Appointment, current_fold_version
from domain.arguments import flag, identifier, member, members, moment, opaque, optional, text, whole_number
from domain.envelope import AppointmentType, Envelope, Status
from domain.errors import InvalidCursor, InvalidToken, UsageError
from domain.identifiers import Position
from domain.storage.base import StoredEnvelope
from projections.queries.cursors import seal, unseal
from projections.rows import Side, milliseconds_of, span_of
from projections.stores.base import ScheduleQuery, SortKey

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
    """A checked question: what the store is asked, and what its cursors belong to."""

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
    start, end, given_now, as_of, known_at = (
        optional(moment, name, filters.get(name)) for name in ("start", "end", "now", "as_of", "known_at")
    )
    upcoming, past, include_deleted, desc = (
        flag(name, filters.get(name, False)) for name in ("upcoming", "past", "include_deleted", "desc")
    )
    starts, ends = (None if one is None else milliseconds_of(one) for one in (start, end))
    if starts is not None and ends is not None and starts > ends:
        raise UsageError("FROM is after TO", argument="start")
    if upcoming and past:
        raise UsageError("no appointment is both upcoming and past", argument="past")
    now = milliseconds_of(given_now or datetime.now(UTC))
    query = ScheduleQuery(
        side=side,
        owner_id=owner_id,
        statuses=optional(_statuses, "status", filters.get("status")),
        ends_after=max(now, now if starts is None else starts) if upcoming else starts,
        starts_before=ends,
        past_before=now if past else None,
        appointment_type=optional(_appointment_type, "appointment_type", filters.get("appointment_type")),
        subphase_id=optional(opaque, "subphase_id", filters.get("subphase_id")),
        counterpart_id=optional(identifier, f"{side.other}_id", counterpart_id),
        include_deleted=include_deleted,
        descending=desc,
        limit=None if limit is None else limit + 1,
    )
    belongs_to = [
        "schedule", side, owner_id, sorted(query.statuses or ()), starts, ends, upcoming, past,
        query.appointment_type, query.subphase_id, query.counterpart_id, include_deleted, desc,
        as_of and milliseconds_of(as_of), known_at and milliseconds_of(known_at),
    ]  # fmt: skip
    after = optional(text, "after", filters.get("after"))
    if after is not None:
        *key, ends_after, past_before = unseal_cursor(after, belongs_to)
        query = replace(query, after=SortKey(*key), ends_after=ends_after, past_before=past_before)
    return Question(query, as_of, known_at, limit, belongs_to)


def limit_of(limit: object) -> int | None:
    """A limit, which is from 1 to 10,000, or None."""
    number = optional(whole_number, "limit", limit)
    if number is not None and not 1 <= number <= LIMIT_MAX:
        raise UsageError(f"expected a limit from 1 to {LIMIT_MAX}, found {number}", argument="limit")
    return number


def unseal_cursor(cursor: str, belongs_to: list[Any]) -> list[Any]:
    """The content of a cursor.

    Raises:
        InvalidCursor: it is damaged, or belongs to another question.
    """
    content = unseal(cursor, belongs_to=belongs_to)
    if content is None:
        raise InvalidCursor("the cursor does not belong to this question; begin again without it")
    return content


class ChangeToken(NamedTuple):
    """What a change token says: how far a feed has been read, and of which event store."""

    position: Position
    epoch: str | None

    def check(self, epoch: str) -> None:
        """Raises `InvalidToken` unless the token is of the event store's present epoch."""
        if self.epoch != epoch:
            raise InvalidToken(
                "the token is of another event store, or of this one before it was restored; start over without it"
            )


def sealed_token(token: ChangeToken, belongs_to: list[Any]) -> str:
    """The token as callers keep it."""
    return seal([current_fold_version(), *token], belongs_to=belongs_to)


def unsealed_token(sealed: str, belongs_to: list[Any]) -> ChangeToken:
    """The token that a caller kept.

    Raises:
        InvalidToken: it is damaged, or belongs to another question or another version of the fold.
    """
    content = unseal(sealed, belongs_to=belongs_to)
    if content is None:
        raise InvalidToken("the token does not belong to this question; start over without it")
    fold_version, position, *epoch = content  # those made before there were epochs have none
    if fold_version != current_fold_version():
        raise InvalidToken(
            f"the token is of version {fold_version} of the fold, this is version {current_fold_version()}; "
            "start over without it"
        )
    return ChangeToken(Position(position), epoch[0] if epoch else None)


def _statuses(name: str, value: object) -> frozenset[str]:
    return members(name, value, Status)


def _appointment_type(name: str, value: object) -> str:
    return member(name, value, AppointmentType)
