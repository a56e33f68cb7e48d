"""The change feed of a schedule: what to put into a copy of it and what to remove, since a token."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from domain.appointment import Appointment
from domain.arguments import optional, text
from domain.errors import InvalidToken
from domain.identifiers import AppointmentId, Position
from projections.queries.answer import Answer, Listed
from projections.queries.cursors import ChangeToken, sealed_token, unsealed_token
from projections.queries.filters import Question, limit_of
from projections.queries.reader import Reader
from projections.rows import appointment_from, span_of
from projections.stores.base import ChangesQuery, ScheduleChange, ScheduleQuery, SortKey, Stamp


@dataclass(frozen=True, slots=True)
class Change:
    """One appointment to put into a copy of the schedule, or, without it, to remove from it."""

    id: AppointmentId
    appointment: Appointment | None

    @property
    def removed(self) -> bool:
        """Whether it moved away, was deleted, or is not in the asked window; removing it twice is harmless."""
        return self.appointment is None

    def to_dict(self) -> dict[str, Any]:
        """Its members in the JSON document."""
        appointment = None if self.appointment is None else self.appointment.to_dict()
        return {"id": self.id, "removed": self.removed, "appointment": appointment}


@dataclass(frozen=True, kw_only=True, repr=False)
class Changes(Answer, Listed[Change]):
    """What changed in a schedule since a token; iterable and sized.

    In the order it was projected; the first time, without a token, in the schedule's own order of time.

    Attributes:
        token: what goes on behind these changes.
        more: whether the limit left some of this answer over.
    """

    changes: tuple[Change, ...]
    token: str
    more: bool = False

    @property
    def _elements(self) -> tuple[Change, ...]:
        return self.changes

    def __repr__(self) -> str:
        removed = sum(one.removed for one in self.changes)
        return f"<Changes: {len(self) - removed:,} to put in, {removed:,} to remove, at position {self.position:,}>"

    def _document(self) -> Mapping[str, Any]:
        return {"changes": [one.to_dict() for one in self.changes], "token": self.token, **self.stamp.to_json()}


class ChangesStream(Iterator[Change]):
    """The changes of one answer, made when the loop comes to them, all of one snapshot.

    Attributes:
        token: at the end, what goes on behind the last of them.
        more: at the end, whether the limit left some of this answer over.
    """

    def __init__(self, asked: AskedChanges, stamp: Stamp, found: Iterator[tuple[Change, ChangeToken]]) -> None:
        self.stamp = stamp
        self.token = asked.sealed(asked.end(stamp))
        self.more = False
        self._asked = asked
        self._found = found
        self._changes = self._read()

    def __next__(self) -> Change:
        return next(self._changes)

    def _read(self) -> Iterator[Change]:
        last = None
        for change, token in islice(self._found, self._asked.limit):
            last = token
            yield change
        if last is not None and next(self._found, None) is not None:
            self.more, self.token = True, self._asked.sealed(last)


@dataclass(frozen=True, slots=True)
class AskedChanges:
    """A question for changes, checked.

    The first answer lists the schedule; its token stands for the position at which the list began, so that whatever
    moves while it is given in parts comes again afterwards.

    Attributes:
        token: since when; None for everything present.
    """

    question: Question
    token: ChangeToken | None
    limit: int | None

    @classmethod
    def of(cls, question: Question, since: str | None, limit: int | None) -> AskedChanges:
        """Checks the token and the limit."""
        given = optional(text, "since", since)
        token = None if given is None else unsealed_token(given, _belongs_to(question))
        return cls(question, token, limit_of(limit))

    @property
    def lists(self) -> bool:
        """Whether the answer is of the first list, and not of what changed since."""
        return self.token is None or self.token.listed is not None

    @property
    def schedule(self) -> ScheduleQuery:
        """What lists the schedule behind the token."""
        listed = None if self.token is None or self.token.listed is None else SortKey(*self.token.listed)
        return replace(self.question.query, after=listed, limit=self._one_more)

    @property
    def changes(self) -> ChangesQuery:
        """What selects the changes behind the token."""
        query, token = self.question.query, self.token or ChangeToken(Position(0), None)
        return ChangesQuery(query.side, query.owner_id, token.position, token.changed_id, self._one_more)

    @property
    def _one_more(self) -> int | None:
        return None if self.limit is None else self.limit + 1

    def check(self, stamp: Stamp) -> None:
        """Raises `InvalidToken` when the token is of another event store than the answer."""
        if self.token is None:
            return
        self.token.check(stamp.epoch)
        if self.token.position > stamp.head:
            raise InvalidToken("the token is ahead of the event store; start over without it")

    def end(self, stamp: Stamp) -> ChangeToken:
        """The token behind the whole answer."""
        if self.token is None or self.token.listed is None:
            reached = stamp.position if self.token is None else max(self.token.position, stamp.position)
            return ChangeToken(Position(reached), stamp.epoch)
        return ChangeToken(self.token.position, stamp.epoch)

    def sealed(self, token: ChangeToken) -> str:
        """The text of a token."""
        return sealed_token(token, _belongs_to(self.question))

    def listed(self, stamp: Stamp, bodies: Iterable[str]) -> Iterator[tuple[Change, ChangeToken]]:
        """The changes that put a list of the schedule in, each with the token behind it."""
        self.check(stamp)
        begun = self.end(stamp)
        for one in map(appointment_from, bodies):
            place = self.question.query.sort_key(span_of(one)[0], one.id)
            yield Change(one.id, one), begun._replace(listed=place)

    def changed(self, stamp: Stamp, found: Iterable[ScheduleChange]) -> Iterator[tuple[Change, ChangeToken]]:
        """The changes that rows and tombstones are, each with the token behind it."""
        self.check(stamp)
        query = self.question.query
        for one in found:
            is_there = one.row.body is not None and query.selects(one.row)
            change = Change(one.appointment_id, appointment_from(one.row.body or "") if is_there else None)
            yield change, ChangeToken(one.position, stamp.epoch, changed_id=one.appointment_id)


def changes_since(reader: Reader, asked: AskedChanges, *, at_least: int | None, timeout: float | None) -> Changes:
    """What changed in the schedule that a question asks for since a token; see `Schedules.changes`."""
    store, owner = reader.store, asked.question.query.owner
    if asked.lists:
        query = asked.schedule
        stamp, bodies = reader.ask(lambda: store.schedule(query), about=owner, at_least=at_least, timeout=timeout)
        found = asked.listed(stamp, bodies)
    else:
        above = asked.changes
        stamp, changed = reader.ask(lambda: store.changes(above), about=owner, at_least=at_least, timeout=timeout)
        found = asked.changed(stamp, changed)
    stream = ChangesStream(asked, stamp, found)
    return Changes(changes=tuple(stream), token=stream.token, more=stream.more, stamp=stamp)


@contextmanager
def changes_streamed(
    reader: Reader, asked: AskedChanges, *, at_least: int | None, timeout: float | None
) -> Iterator[ChangesStream]:
    """The same, read while the block goes on."""
    store, owner = reader.store, asked.question.query.owner
    if asked.lists:
        query = asked.schedule
        with reader.scan(lambda: store.scan_schedule(query), about=owner, at_least=at_least, timeout=timeout) as (
            stamp,
            bodies,
        ):
            asked.check(stamp)
            yield ChangesStream(asked, stamp, asked.listed(stamp, bodies))
    else:
        above = asked.changes
        with reader.scan(lambda: store.scan_changes(above), about=owner, at_least=at_least, timeout=timeout) as (
            stamp,
            changed,
        ):
            asked.check(stamp)
            yield ChangesStream(asked, stamp, asked.changed(stamp, changed))


def token_of_now(reader: Reader, question: Question, *, timeout: float | None) -> str:
    """The token that is given with the changes up to now."""
    stamp, _ = reader.ask(lambda: (reader.store.stamp(), None), about=question.query.owner, timeout=timeout)
    return sealed_token(ChangeToken(stamp.position, stamp.epoch), _belongs_to(question))


def _belongs_to(question: Question) -> list[Any]:
    return ["changes", *question.belongs_to]
