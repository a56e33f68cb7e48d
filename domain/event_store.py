"""The event store: each envelope is appended once, whatever the order and the repetition of its delivery."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from eventsourcing.utils import register_topic

from domain.databases import Database, Installation
from domain.decision import Decision, decide
from domain.door import as_json, read_envelope
from domain.envelope import Envelope, EnvelopeRefused, Ignored, RefusalCode
from domain.errors import NotInstalled, PoisonEvent
from domain.identifiers import AppointmentId, EventId, Position
from domain.items import PAUSE_SECONDS, Item, Pause
from domain.quarantine import Quarantine, is_too_large, refused_by
from domain.recorded import read_recorded
from domain.recorders import recorder_of
from domain.recorders.base import QuarantinedItem, Recorder, Refused, StoredEnvelope

TOPIC: Final = "VCSessionScheduledEvent.v1"
"""The name under which a payload of version 1 is stored. Never a Python path, so code may move."""

BATCH_ITEMS_MAX: Final = 1000
BATCH_BYTES_MAX: Final = 32 * 1024 * 1024

EnvelopeInput = bytes | str | Mapping[str, Any] | Item


class LibraryEvent:
    """A stored envelope as the library's mapper makes it: every field the publisher sent is an attribute."""

    originator_id: str
    originator_version: int


register_topic(TOPIC, LibraryEvent)


@dataclass(frozen=True, slots=True)
class AppendReport:
    """What became of the input: `read = appended + duplicates + ignored + quarantined`, always.

    `position` is the head of the event store after the append.
    """

    read: int = 0
    appended: int = 0
    duplicates: int = 0
    ignored: int = 0
    quarantined: int = 0
    position: Position = Position(0)

    def __add__(self, other: AppendReport) -> AppendReport:
        return AppendReport(
            self.read + other.read,
            self.appended + other.appended,
            self.duplicates + other.duplicates,
            self.ignored + other.ignored,
            self.quarantined + other.quarantined,
            max(self.position, other.position),
        )


class EventStore(Installation):
    """The envelopes of all appointments in the order of their arrival. Nothing is created before an append."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._recorder = recorder_of(database)
        self._installed = False

    @property
    def recorder(self) -> Recorder:
        """The adapter beneath, for those who read stored envelopes in bulk."""
        return self._recorder

    def install(self) -> None:
        """Creates what is missing, unless everything is there."""
        if not self._installed:
            try:
                self._recorder.check()
            except NotInstalled:
                self._recorder.create()
            self._installed = True

    def append(
        self,
        envelopes: Iterable[EnvelopeInput | Pause],
        *,
        progress: Callable[[AppendReport], None] | None = None,
    ) -> AppendReport:
        """Appends envelopes from any iterable, lazily, in atomic batches.

        Whatever cannot be accepted is quarantined with the batch it came in. When this raises, every batch
        reported to `progress` is committed and nothing of a later one is; appending the same again is harmless.

        Raises:
            StorageError: the database cannot be used.
        """
        self.install()
        report = AppendReport()
        for batch in _batches(envelopes):
            report += self._append_batch(batch)
            if progress is not None:
                progress(report)
        return replace(report, position=max(report.position, self.head()))

    def history(self, appointment_id: str) -> list[Envelope]:
        """The accepted envelopes of one appointment in the publisher's order; empty when there are none."""
        return [envelope_of(stored) for stored in self.stream(appointment_id)]

    def stream(self, appointment_id: str) -> list[StoredEnvelope]:
        """The same as `history`, as stored: with positions and undecoded."""
        return self._recorder.stream(AppointmentId(appointment_id))

    def stored_text(self, event_id: EventId) -> bytes | None:
        """The JSON of one stored envelope as received; None when there is none of that id."""
        stored = self._recorder.envelope(event_id)
        return None if stored is None else stored.text

    def count(self) -> int:
        """How many envelopes are stored."""
        return self._recorder.envelopes_count()

    def head(self) -> Position:
        """The highest position; 0 when nothing is stored."""
        return self._recorder.head()

    @property
    def quarantine(self) -> Quarantine:
        """What could not be accepted."""
        return Quarantine(self._recorder, self._retry)

    def _append_batch(self, items: Sequence[Item]) -> AppendReport:
        candidates, refused, ignored = _through_the_door(items)
        decision = Decision([], 0, [])
        if candidates or refused:
            with self._recorder.appending() as append:
                stored = append.stored([envelope.event_id for envelope, _ in candidates])
                decision = decide(candidates, stored)
                append.insert(decision.new, TOPIC)
                append.quarantine(refused + decision.conflicts)
        return AppendReport(
            read=len(items),
            appended=len(decision.new),
            duplicates=decision.duplicates,
            ignored=ignored,
            quarantined=len(refused) + len(decision.conflicts),
        )

    def _retry(self, item: QuarantinedItem) -> bool:
        """Whether the item could leave the quarantine."""
        if is_too_large(item):
            return False
        kept = item.refused
        retried = Item(kept.content, kept.source, kept.line or 0, kept.length, None)
        candidates, refused, _ = _through_the_door([retried])
        with self._recorder.appending() as append:
            decision = decide(candidates, append.stored([envelope.event_id for envelope, _ in candidates]))
            append.insert(decision.new, TOPIC)
            still_refused = next(iter(refused + decision.conflicts), None)
            append.replace(item.number, still_refused and replace(still_refused, received_at=kept.received_at))
        return still_refused is None


def _batches(envelopes: Iterable[EnvelopeInput | Pause]) -> Iterator[list[Item]]:
    """Cuts the input where a batch is full, where a pipe is silent, or where the next item was slow to come."""
    batch: list[Item] = []
    size = 0
    began = time.monotonic()
    for one in envelopes:
        if not isinstance(one, Pause):
            item = one if isinstance(one, Item) else _item(one)
            batch.append(item)
            size += len(item.content)
            if len(batch) == 1:
                began = time.monotonic()
            is_full = len(batch) == BATCH_ITEMS_MAX or size > BATCH_BYTES_MAX
            if not is_full and time.monotonic() - began < PAUSE_SECONDS:
                continue
        if batch:
            yield batch
        batch, size = [], 0
    if batch:
        yield batch


def _item(content: bytes | str | Mapping[str, Any]) -> Item:
    try:
        text = as_json(content)
    except EnvelopeRefused:
        text = repr(content).encode("utf-8", "backslashreplace")
    return Item(text, "python", 0, len(text), None)


def _through_the_door(items: Sequence[Item]) -> tuple[list[tuple[Envelope, Item]], list[Refused], int]:
    """The envelopes among the items, the refused ones, and the number of ignored ones."""
    candidates: list[tuple[Envelope, Item]] = []
    refused: list[Refused] = []
    ignored = 0
    for item in items:
        try:
            outcome = _read(item)
        except EnvelopeRefused as error:
            refused.append(refused_by(error, item))
        else:
            if isinstance(outcome, Ignored):
                ignored += 1
            else:
                candidates.append((outcome, item))
    return candidates, refused, ignored


def _read(item: Item) -> Envelope | Ignored:
    if item.too_large:
        raise EnvelopeRefused(
            RefusalCode.TOO_LARGE, expected="an item within --item-bytes-max", found=f"{item.length:,} bytes"
        )
    return read_envelope(item.content)


def envelope_of(stored: StoredEnvelope) -> Envelope:
    """The envelope of a stored event.

    Raises:
        PoisonEvent: it is not one that this version can read.
    """
    if stored.topic != TOPIC:
        raise _poison(stored, f"the topic {stored.topic!r} is unknown")
    try:
        envelope = read_recorded(stored.text)
    except (ValueError, OverflowError) as error:
        raise _poison(stored, str(error)) from error
    if (envelope.event_id, envelope.snapshot.id) != (stored.event_id, stored.appointment_id):
        raise _poison(stored, "its ids are not those it is stored under")
    return envelope


def _poison(stored: StoredEnvelope, reason: str) -> PoisonEvent:
    return PoisonEvent(stored.position, stored.appointment_id, stored.event_id, reason)
