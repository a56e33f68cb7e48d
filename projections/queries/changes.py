"""The change feed of a schedule: what to put into a copy of it and what to remove, since a token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domain.appointment import Appointment
from domain.arguments import optional, text
from domain.errors import InvalidToken
from domain.identifiers import AppointmentId, Position
from projections.queries.answer import Answer, Listed
from projections.queries.cursors import ChangeToken, sealed_token, unsealed_token
from projections.queries.filters import Question
from projections.queries.reader import Reader
from projections.rows import ScheduleRow, appointment_from
from projections.stores.base import ChangesQuery, ScheduleChange, ScheduleQuery


@dataclass(frozen=True, slots=True)
class Change:
    """One appointment to put into a copy of the schedule, or, without it, to remove from it."""

    id: AppointmentId
    appointment: Appointment | None

    @property
    def removed(self) -> bool:
        """Whether it moved away, was deleted, or is not in the asked window; removing it twice is harmless."""
        return self.appointment is None


@dataclass(frozen=True, kw_only=True, repr=False)
class Changes(Answer, Listed[Change]):
    """What changed in a schedule since a token; iterable and sized.

    In the order it was projected; the first time, without a token, in the schedule's own order of time.
    """

    changes: tuple[Change, ...]
    token: str

    @property
    def _elements(self) -> tuple[Change, ...]:
        return self.changes

    def __repr__(self) -> str:
        removed = sum(one.removed for one in self.changes)
        return f"<Changes: {len(self) - removed:,} to put in, {removed:,} to remove, at position {self.position:,}>"

    def _document(self) -> Mapping[str, Any]:
        changes = [
            {"id": one.id, "removed": one.removed, "appointment": one.appointment and one.appointment.to_dict()}
            for one in self.changes
        ]
        return {"changes": changes, "token": self.token, **self.stamp.to_json()}


def changes_of(query: ScheduleQuery, changed: Sequence[ScheduleChange], *, is_first: bool) -> tuple[Change, ...]:
    """Turns rows above a token into changes; the first time only what is present, in the schedule's order."""
    if is_first:
        return tuple(_change(query, row.appointment_id, row) for row in query.page([one.row for one in changed]))
    return tuple(_change(query, one.appointment_id, one.row) for one in changed)


def _change(query: ScheduleQuery, appointment_id: AppointmentId, row: ScheduleRow) -> Change:
    if row.body is None or not query.selects(row):
        return Change(appointment_id, None)
    return Change(appointment_id, appointment_from(row.body))


def changes_since(
    reader: Reader, question: Question, since: str | None, *, at_least: int | None, timeout: float | None
) -> Changes:
    """What changed in the schedule that a question asks for since a token; see `Schedules.changes`."""
    query, belongs_to = question.query, ["changes", *question.belongs_to]
    given = optional(text, "since", since)
    token = None if given is None else unsealed_token(given, belongs_to)
    after = Position(0) if token is None else token.position
    asked = ChangesQuery(query.side, query.owner_id, after)
    stamp, changed = reader.ask(
        lambda: reader.store.changes(asked), about=query.owner, at_least=at_least, timeout=timeout
    )
    if token is not None:
        token.check(stamp.epoch)
    if after > stamp.head:
        raise InvalidToken("the token is ahead of the event store; start over without it")
    return Changes(
        changes=changes_of(query, changed, is_first=token is None),
        token=sealed_token(ChangeToken(Position(max(after, stamp.position)), stamp.epoch), belongs_to),
        stamp=stamp,
    )


def token_of_now(reader: Reader, question: Question, *, timeout: float | None) -> str:
    """The token that is given with the changes up to now."""
    stamp, _ = reader.ask(lambda: (reader.store.stamp(), None), about=question.query.owner, timeout=timeout)
    return sealed_token(ChangeToken(stamp.position, stamp.epoch), ["changes", *question.belongs_to])
