"""What an event store holds, read in order, and what an append says became of the envelopes."""

from __future__ import annotations

from collections.abc import Iterable

from domain import AppendReport, EventStore
from domain.identifiers import Position
from domain.storage.base import StoredEnvelope


def stored(events: EventStore, *, after: int = 0, limit: int = 10**6) -> list[StoredEnvelope]:
    return events.recorder.read(after=Position(after), upto=events.head(), limit=limit)


def ids(found: Iterable[StoredEnvelope]) -> list[int]:
    return [one.event_id for one in found]


def outcomes(report: AppendReport) -> tuple[int, int, int, int]:
    return report.appended, report.duplicates, report.ignored, report.quarantined
