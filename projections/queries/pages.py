"""Pages: one of a schedule, each of a schedule in turn, and one of those who have a schedule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, groupby

from domain.appointment import fold
from domain.arguments import optional, text
from domain.identifiers import Position
from domain.storage.base import StoredEnvelope
from domain.topics import envelope_of, has_envelope
from projections.queries.cursors import seal, unseal_cursor
from projections.queries.filters import Question, limit_of
from projections.queries.reader import Reader
from projections.queries.schedule import Owners, Schedule
from projections.rows import ScheduleRow, Side, appointment_from, rows_of


def schedule_page(reader: Reader, question: Question, *, at_least: int | None, timeout: float | None) -> Schedule:
    """The page that a question asks for: from the read models, or, of the past, by a fold of history."""
    store, query, limit = reader.store, question.query, question.limit
    if question.is_of_the_past:
        with reader.read(
            lambda: store.scan_streams(query.side, query.owner_id),
            about=query.owner,
            at_least=at_least,
            timeout=timeout,
        ) as (stamp, streams):
            bodies = [row.body or "" for row in query.page(past_rows(question, streams))]
    else:
        stamp, bodies = reader.ask(
            lambda: store.schedule(query), about=query.owner, at_least=at_least, timeout=timeout
        )
    appointments = tuple(map(appointment_from, bodies))
    return Schedule(
        side=query.side,
        owner_id=query.owner_id,
        appointments=appointments[:limit],
        as_of=question.as_of,
        known_at=question.known_at,
        next=question.cursor(appointments[limit - 1]) if limit and len(appointments) > limit else None,
        stamp=stamp,
    )


def schedule_pages(
    reader: Reader, question: Question, *, at_least: int | None, timeout: float | None
) -> Iterator[Schedule]:
    """The page that a question asks for, and all those after it, each read when the caller comes to it."""

    def later_pages(page: Schedule) -> Iterator[Schedule]:
        while page.next is not None:
            page = schedule_page(reader, question.after(page.next), at_least=at_least, timeout=timeout)
            yield page

    first = schedule_page(reader, question, at_least=at_least, timeout=timeout)
    return chain([first], later_pages(first))


def owners_page(
    reader: Reader, side: Side, *, limit: int | None, after: str | None, at_least: int | None, timeout: float | None
) -> Owners:
    """One page of the talents or coaches who have a schedule."""
    belongs_to = ["owners", side]
    limit = limit_of(limit)
    after = optional(text, "after", after)
    if after is not None:
        [after] = unseal_cursor(after, belongs_to=belongs_to)
    one_more = None if limit is None else limit + 1
    stamp, owners = reader.ask(
        lambda: reader.store.owners(side, after=after, limit=one_more), at_least=at_least, timeout=timeout
    )
    return Owners(
        side=side,
        owners=tuple(owners[:limit]),
        next=seal([owners[limit - 1].owner_id], belongs_to=belongs_to) if limit and len(owners) > limit else None,
        stamp=stamp,
    )


def past_rows(question: Question, streams: Iterable[StoredEnvelope]) -> Iterator[ScheduleRow]:
    """A schedule's rows as the envelopes that count for the question give them, by the fold of the live rows.

    Each is made when the caller comes to it; the envelopes come stream by stream.
    """
    side, owner_id = question.query.side, question.query.owner_id
    for _, stream in groupby(streams, key=lambda stored: stored.appointment_id):
        envelopes = [(stored, envelope_of(stored)) for stored in stream if has_envelope(stored)]
        known = [envelope for stored, envelope in envelopes if question.counts(stored, envelope)]
        if known:
            rows = rows_of([(fold(None, known), Position(0))]).of(side)
            yield from (row for row in rows if row.owner_id == owner_id)
