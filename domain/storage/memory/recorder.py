"""The event store in memory, on the library's own in-memory recorder: for unit tests, shared by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime
from threading import Event
from uuid import uuid4

from eventsourcing.persistence import StoredEvent
from typing_extensions import override

from domain.envelope import Envelope, RefusalCode
from domain.identifiers import AppointmentId, EventId, Position
from domain.storage.base import (
    READ_BYTES_MAX,
    AppendTransaction,
    OutboxCursor,
    Outcomes,
    QuarantineCount,
    QuarantinedItem,
    QuarantineFilter,
    QuarantineTable,
    Recorder,
    Refused,
    Rewritten,
    StoredEnvelope,
    arrival_now,
)
from domain.storage.memory.database import MemoryContents, MemoryDatabase
from domain.storage.user import user_of_system


class MemoryRecorder(Recorder):
    """The event store and the quarantine of a `memory:NAME`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database
        self.quarantine = MemoryQuarantine(database)

    @override
    def create(self) -> None:
        """Creates nothing: in memory nothing is ever missing."""
        self.check()

    @override
    def check(self) -> None:
        """Only finds out whether the database was closed: in memory nothing is ever missing."""
        _ = self._database.contents

    @override
    def epoch(self) -> str:
        return self._database.contents.epoch

    @override
    def renew_epoch(self) -> None:
        self._database.contents.epoch = uuid4().hex

    @override
    @contextmanager
    def appending(self) -> Iterator[_MemoryAppend]:
        """Carries out everything at the end of the block, at once."""
        contents = self._database.contents
        with contents.lock:
            append = _MemoryAppend(contents)
            yield append
            append.commit()
        contents.notify()

    @override
    def read(self, *, after: Position, upto: Position, limit: int) -> list[StoredEnvelope]:
        envelopes: list[StoredEnvelope] = []
        size = 0
        for notification in self._database.contents.events.select_notifications(
            after, limit, stop=upto, inclusive_of_start=False
        ):
            size += len(notification.state)
            if envelopes and size > READ_BYTES_MAX:
                break
            envelopes.append(_stored(notification, Position(notification.id)))
        return envelopes

    @override
    def stream(self, appointment_id: AppointmentId) -> list[StoredEnvelope]:
        """Sorts: the library's recorder gives envelopes in the order of arrival."""
        contents = self._database.contents
        with contents.lock:
            events = contents.events.select_events(appointment_id)
            return sorted(
                (_with_arrival(contents, event) for event in events),
                key=lambda stored: stored.event_id,
            )

    @override
    def envelope(self, event_id: EventId) -> StoredEnvelope | None:
        return _MemoryAppend(self._database.contents).stored([event_id]).get(event_id)

    @override
    def head(self) -> Position:
        return Position(self._database.contents.events.max_notification_id() or 0)

    @override
    def arrival_after(self, position: Position) -> datetime | None:
        contents = self._database.contents
        events = contents.events.select_notifications(position, 1, inclusive_of_start=False)
        return contents.arrivals.get(EventId(events[0].originator_version)) if events else None

    @override
    def waiter(self) -> AbstractContextManager[Callable[[Event, float], None]]:
        return self._database.waiter()

    @override
    def envelopes_count(self) -> int:
        return sum(event_id > 0 for event_id in self._database.contents.positions)

    @override
    def outcomes(self) -> Outcomes:
        return self._database.contents.outcomes

    @override
    def set_aside_count(self) -> int:
        contents = self._database.contents
        with contents.lock:
            events = contents.events.select_notifications(1, len(contents.positions) + 1)
            return sum(one.topic == "VCSessionScheduledEvent.v1.set-aside" for one in events)

    @override
    def outbox_read_upto(self, source: str, query_sha256: str) -> int | None:
        return self._database.contents.outboxes.get((source, query_sha256))


class MemoryQuarantine(QuarantineTable):
    """The quarantine of a `memory:NAME`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    @override
    def items(self, chosen: QuarantineFilter) -> Iterator[QuarantinedItem]:
        contents = self._database.contents
        with contents.lock:
            every = [item for _, item in sorted(contents.quarantine.items())]
        return (item for item in every if _is_chosen(chosen, item.refused))

    @override
    def item(self, number: int) -> QuarantinedItem | None:
        return self._database.contents.quarantine.get(number)

    @override
    def numbers(self, chosen: QuarantineFilter) -> list[int]:
        return [item.number for item in self.items(chosen)]

    @override
    def counts(self, chosen: QuarantineFilter) -> list[QuarantineCount]:
        groups: dict[tuple[RefusalCode, str], list[datetime]] = {}
        for item in self.items(chosen):
            groups.setdefault((item.refused.code, item.refused.source), []).append(item.refused.received_at)
        return [QuarantineCount(*group, len(times), min(times)) for group, times in sorted(groups.items())]


def _is_chosen(chosen: QuarantineFilter, refused: Refused) -> bool:
    return (
        chosen.code in (None, refused.code)
        and chosen.source in (None, refused.source)
        and (chosen.since is None or refused.received_at >= chosen.since)
    )


class _MemoryAppend(AppendTransaction):
    def __init__(self, contents: MemoryContents) -> None:
        self._contents = contents
        self._inserts: list[StoredEvent] = []
        self._rewritten: list[Rewritten] = []
        self._markers: list[StoredEvent] = []
        self._refused: list[Refused] = []
        self._replacements: list[tuple[int, Refused | None]] = []
        self._cursors: list[OutboxCursor] = []
        self._outcomes: list[Outcomes] = []

    @override
    def stored(self, event_ids: Sequence[EventId]) -> dict[EventId, StoredEnvelope]:
        found: dict[EventId, StoredEnvelope] = {}
        for event_id in event_ids:
            position = self._contents.positions.get(event_id)
            if position is not None:
                [event] = self._contents.events.select_notifications(position, 1)
                found[event_id] = _stored(event, position)
        return found

    @override
    def user(self) -> str:
        return user_of_system()

    @override
    def at(self, position: Position) -> StoredEnvelope | None:
        events = self._contents.events.select_notifications(position, 1, stop=position)
        return _stored(events[0], position) if events else None

    @override
    def stream(self, appointment_id: AppointmentId) -> list[StoredEnvelope]:
        events = self._contents.events.select_events(appointment_id)
        stored = [_stored(one, self._contents.positions[EventId(one.originator_version)]) for one in events]
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

    def commit(self) -> None:
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


def _with_arrival(contents: MemoryContents, event: StoredEvent) -> StoredEnvelope:
    event_id = EventId(event.originator_version)
    return _stored(event, contents.positions[event_id])._replace(arrived_at=contents.arrivals.get(event_id))


def _stored(event: StoredEvent, position: Position) -> StoredEnvelope:
    return StoredEnvelope(
        position,
        EventId(event.originator_version),
        AppointmentId(str(event.originator_id)),
        event.topic,
        event.state,
    )
