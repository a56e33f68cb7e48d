"""The event store in memory, on the library's own in-memory recorder: for unit tests, shared by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from threading import Event
from uuid import uuid4

from typing_extensions import override

from domain.envelope import RefusalCode
from domain.identifiers import AppointmentId, EventId, Position
from domain.storage.base import (
    READ_BYTES_MAX,
    Outcomes,
    QuarantineCount,
    QuarantinedItem,
    QuarantineFilter,
    QuarantineTable,
    Recorder,
    Refused,
    StoredEnvelope,
)
from domain.storage.forgotten import Needles
from domain.storage.memory.append import MemoryAppend, search, search_quarantine, stored_of, with_arrival
from domain.storage.memory.database import MemoryDatabase
from domain.storage.memory.ledger import MemoryLedger


class MemoryRecorder(Recorder):
    """The event store and the quarantine of a `memory:NAME`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database
        self.quarantine = MemoryQuarantine(database)
        self.ledger = MemoryLedger(database)

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
    def appending(self) -> Iterator[MemoryAppend]:
        """Carries out everything at the end of the block, at once."""
        contents = self._database.contents
        with contents.lock:
            append = MemoryAppend(contents)
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
            envelopes.append(stored_of(notification, Position(notification.id)))
        return envelopes

    @override
    def stream(self, appointment_id: AppointmentId) -> list[StoredEnvelope]:
        """Sorts: the library's recorder gives envelopes in the order of arrival."""
        contents = self._database.contents
        with contents.lock:
            events = contents.events.select_events(appointment_id)
            return sorted(
                (with_arrival(contents, event) for event in events),
                key=lambda stored: stored.event_id,
            )

    @override
    def envelope(self, event_id: EventId) -> StoredEnvelope | None:
        return MemoryAppend(self._database.contents).stored([event_id]).get(event_id)

    @override
    def search(self, needles: Needles, *, after: Position) -> list[StoredEnvelope]:
        contents = self._database.contents
        with contents.lock:
            return search(contents, needles, after)

    @override
    def search_quarantine(self, needles: Needles) -> list[QuarantinedItem]:
        contents = self._database.contents
        with contents.lock:
            return search_quarantine(contents, needles)

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
