"""One atomic append in memory, and how stored events are found there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from eventsourcing.persistence import StoredEvent
from typing_extensions import override

from domain.envelope import Envelope
from domain.identifiers import AppointmentId, EventId, Position
from domain.ledger import Ledger
from domain.receipt import Receipt
from domain.storage.arrivals import arrival_now
from domain.storage.base import (
    AppendTransaction,
    OutboxCursor,
    Outcomes,
    QuarantinedItem,
    Refused,
    Rewritten,
    StoredEnvelope,
)
from domain.storage.forgotten import SEARCHED_MAX, Needles
from domain.storage.memory.database import MemoryContents
from domain.storage.memory.ledger import keep, ledger_of
from domain.storage.user import user_of_system


class MemoryAppend(AppendTransaction):
    """An append that carries everything out at its end."""

    def __init__(self, contents: MemoryContents) -> None:
        self._contents = contents
        self._inserts: list[StoredEvent] = []
        self._rewritten: list[Rewritten] = []
        self._markers: list[StoredEvent] = []
        self._refused: list[Refused] = []
        self._replacements: list[tuple[int, Refused | None]] = []
        self._cursors: list[OutboxCursor] = []
        self._outcomes: list[Outcomes] = []
        self._receipts: list[Receipt] = []
        self._commits: list[Callable[[], None]] = []

    @property
    @override
    def ledger(self) -> Ledger:
        return ledger_of(self._contents)

    @override
    def stored(self, event_ids: Sequence[EventId]) -> dict[EventId, StoredEnvelope]:
        found: dict[EventId, StoredEnvelope] = {}
        for event_id in event_ids:
            position = self._contents.positions.get(event_id)
            if position is not None:
                [event] = self._contents.events.select_notifications(position, 1)
                found[event_id] = stored_of(event, position)
        return found

    @override
    def user(self) -> str:
        return user_of_system()

    @override
    def at(self, position: Position) -> StoredEnvelope | None:
        events = self._contents.events.select_notifications(position, 1, stop=position)
        return stored_of(events[0], position) if events else None

    @override
    def stream(self, appointment_id: AppointmentId) -> list[StoredEnvelope]:
        events = self._contents.events.select_events(appointment_id)
        stored = [stored_of(one, self._contents.positions[EventId(one.originator_version)]) for one in events]
        return sorted(stored, key=lambda one: one.event_id)

    @override
    def insert(self, envelopes: Sequence[Envelope], topic: str) -> None:
        self._inserts += [
            StoredEvent(envelope.snapshot.id, envelope.event_id, topic, envelope.text) for envelope in envelopes
        ]

    @override
    def rewrite(self, events: Sequence[Rewritten]) -> None:
        self._rewritten += events

    @override
    def mark(self, markers: Sequence[tuple[AppointmentId, bytes]], topic: str) -> None:
        lowest = min([0, *self._contents.positions]) - len(self._markers)
        self._markers += [
            StoredEvent(appointment_id, lowest - number, topic, text)
            for number, (appointment_id, text) in enumerate(markers, start=1)
        ]

    @override
    def quarantine(self, refused: Sequence[Refused]) -> None:
        self._refused += refused

    @override
    def replace(self, number: int, refused: Refused | None) -> None:
        self._replacements.append((number, refused))

    @override
    def advance(self, cursor: OutboxCursor) -> None:
        self._cursors.append(cursor)

    @override
    def count(self, outcomes: Outcomes) -> None:
        self._outcomes.append(outcomes)

    @override
    def search(self, needles: Needles, *, after: Position) -> list[StoredEnvelope]:
        return search(self._contents, needles, after)

    @override
    def search_quarantine(self, needles: Needles) -> list[QuarantinedItem]:
        return search_quarantine(self._contents, needles)

    @override
    def forget(self, receipt: Receipt) -> int:
        number = len(self._contents.receipts) + len(self._receipts) + 1
        self._receipts.append(replace(receipt, number=number))
        return number

    @override
    def lift(self, receipt: Receipt) -> None:
        self._receipts.append(receipt)

    def at_commit(self, commit: Callable[[], None]) -> None:
        """Calls a function of another part of the same place at the end, where everything is carried out."""
        self._commits.append(commit)

    def commit(self) -> None:
        """Carries everything out; the lock is held."""
        for one in self._rewritten:
            self._rewrite(one)
        events = [*self._inserts, *self._markers]
        positions = self._contents.events.insert_events(events) or ()
        arrived_at = arrival_now()
        for event, position in zip(events, positions, strict=True):
            self._contents.positions[EventId(event.originator_version)] = Position(position)
            self._contents.arrivals[EventId(event.originator_version)] = arrived_at
        for number, refused in self._replacements:
            item = self._contents.quarantine.pop(number, None)
            if item is not None and refused is not None:
                self._keep(refused, number=number, count=item.count)
        for refused in self._refused:
            self._contents.quarantine_number += 1
            self._keep(refused, number=self._contents.quarantine_number, count=1)
        for source, query_sha256, last_id in self._cursors:
            self._contents.outboxes[source, query_sha256] = last_id
        self._contents.outcomes = Outcomes(*map(sum, zip(self._contents.outcomes, *self._outcomes, strict=True)))
        for receipt in self._receipts:
            keep(self._contents, receipt)
        for commit in self._commits:
            commit()

    def _rewrite(self, one: Rewritten) -> None:
        stored_events = self._contents.events._stored_events  # noqa: SLF001 - the library changes no stored event
        before = stored_events[one.position - 1]
        stored_events[one.position - 1] = replace(before, topic=one.topic, state=one.text)
        if one.arrived_at is not None:
            self._contents.arrivals[EventId(before.originator_version)] = one.arrived_at

    def _keep(self, refused: Refused, *, number: int, count: int) -> None:
        quarantine = self._contents.quarantine
        for item in quarantine.values():
            if (item.refused.sha256, item.refused.code) == (refused.sha256, refused.code):
                quarantine[item.number] = replace(item, count=item.count + count)
                return
        quarantine[number] = QuarantinedItem(number, refused, count)


def with_arrival(contents: MemoryContents, event: StoredEvent) -> StoredEnvelope:
    """The event of the library's recorder, with its time of arrival."""
    event_id = EventId(event.originator_version)
    return stored_of(event, contents.positions[event_id])._replace(arrived_at=contents.arrivals.get(event_id))


def search(contents: MemoryContents, needles: Needles, after: Position) -> list[StoredEnvelope]:
    """The events of `Recorder.search`."""
    every = contents.events.select_notifications(after, len(contents.positions), inclusive_of_start=False)
    found = [stored_of(one, Position(one.id)) for one in every if any(needle in one.state for needle in needles)]
    return found[:SEARCHED_MAX]


def search_quarantine(contents: MemoryContents, needles: Needles) -> list[QuarantinedItem]:
    """The items of `Recorder.search_quarantine`."""
    return [
        item
        for _, item in sorted(contents.quarantine.items())
        if any(needle in item.refused.content for needle in needles) or needles.id in item.refused.reason.encode()
    ]


def stored_of(event: StoredEvent, position: Position) -> StoredEnvelope:
    """The stored event of one of the library's recorder."""
    return StoredEnvelope(
        position,
        EventId(event.originator_version),
        AppointmentId(str(event.originator_id)),
        event.topic,
        event.state,
    )
