"""The event store in memory, on the library's own in-memory recorder: for unit tests, shared by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from threading import Event
from uuid import uuid4

from eventsourcing.persistence import StoredEvent

from domain.envelope import Envelope
from domain.identifiers import AppointmentId, EventId, Position
from domain.storage.base import READ_BYTES_MAX, QuarantinedItem, Refused, StoredEnvelope
from domain.storage.memory.database import MemoryContents, MemoryDatabase


class MemoryRecorder:
    """See `Recorder`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    def create(self) -> None:
        """See `Recorder.create`; nothing is ever missing in memory."""
        self.check()

    def check(self) -> None:
        """See `Recorder.check`; nothing is ever missing in memory."""
        _ = self._database.contents

    def renew_epoch(self) -> None:
        """See `Recorder.renew_epoch`."""
        self._database.contents.epoch = uuid4().hex

    @contextmanager
    def appending(self) -> Iterator[_MemoryAppend]:
        """See `Recorder.appending`: what the block asked for is carried out at its end, at once."""
        contents = self._database.contents
        with contents.lock:
            append = _MemoryAppend(contents)
            yield append
            append.commit()
        contents.notify()

    def read(self, *, after: Position, upto: Position, limit: int) -> list[StoredEnvelope]:
        """See `Recorder.read`."""
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

    def stream(self, appointment_id: AppointmentId) -> list[StoredEnvelope]:
        """See `Recorder.stream`; the library's memory recorder gives them in the order of arrival."""
        contents = self._database.contents
        with contents.lock:
            events = contents.events.select_events(appointment_id)
            return sorted(
                (_stored(event, contents.positions[EventId(event.originator_version)]) for event in events),
                key=lambda stored: stored.event_id,
            )

    def envelope(self, event_id: EventId) -> StoredEnvelope | None:
        """See `Recorder.envelope`."""
        return _MemoryAppend(self._database.contents).stored([event_id]).get(event_id)

    def head(self) -> Position:
        """See `Recorder.head`."""
        return Position(self._database.contents.events.max_notification_id() or 0)

    @contextmanager
    def waiter(self) -> Iterator[Callable[[Event, float], None]]:
        """See `Recorder.waiter`."""
        with self._database.waiter() as wait:
            yield wait

    def quarantined(self) -> Iterator[QuarantinedItem]:
        """See `Recorder.quarantined`."""
        contents = self._database.contents
        with contents.lock:
            items = [item for _, item in sorted(contents.quarantine.items())]
        yield from items

    def quarantined_item(self, number: int) -> QuarantinedItem | None:
        """See `Recorder.quarantined_item`."""
        return self._database.contents.quarantine.get(number)

    def quarantine_count(self) -> int:
        """See `Recorder.quarantine_count`."""
        return len(self._database.contents.quarantine)

    def envelopes_count(self) -> int:
        """See `Recorder.envelopes_count`."""
        return self.head()


class _MemoryAppend:
    def __init__(self, contents: MemoryContents) -> None:
        self._contents = contents
        self._inserts: list[StoredEvent] = []
        self._refused: list[Refused] = []
        self._replacements: list[tuple[int, Refused | None]] = []

    def stored(self, event_ids: Sequence[EventId]) -> dict[EventId, StoredEnvelope]:
        found: dict[EventId, StoredEnvelope] = {}
        for event_id in event_ids:
            position = self._contents.positions.get(event_id)
            if position is not None:
                [event] = self._contents.events.select_notifications(position, 1)
                found[event_id] = _stored(event, position)
        return found

    def insert(self, envelopes: Sequence[Envelope], topic: str) -> None:
        self._inserts += [
            StoredEvent(envelope.snapshot.id, envelope.event_id, topic, envelope.text) for envelope in envelopes
        ]

    def quarantine(self, refused: Sequence[Refused]) -> None:
        self._refused += refused

    def replace(self, number: int, refused: Refused | None) -> None:
        self._replacements.append((number, refused))

    def commit(self) -> None:
        positions = self._contents.events.insert_events(self._inserts) or ()
        for event, position in zip(self._inserts, positions, strict=True):
            self._contents.positions[EventId(event.originator_version)] = Position(position)
        for number, refused in self._replacements:
            item = self._contents.quarantine.pop(number, None)
            if item is not None and refused is not None:
                self._keep(refused, number=number, count=item.count)
        for refused in self._refused:
            self._contents.quarantine_number += 1
            self._keep(refused, number=self._contents.quarantine_number, count=1)

    def _keep(self, refused: Refused, *, number: int, count: int) -> None:
        quarantine = self._contents.quarantine
        for item in quarantine.values():
            if (item.refused.sha256, item.refused.code) == (refused.sha256, refused.code):
                quarantine[item.number] = replace(item, count=item.count + count)
                return
        quarantine[number] = QuarantinedItem(number, refused, count)


def _stored(event: StoredEvent, position: Position) -> StoredEnvelope:
    return StoredEnvelope(
        position,
        EventId(event.originator_version),
        AppointmentId(str(event.originator_id)),
        event.topic,
        event.state,
    )
