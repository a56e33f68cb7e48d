"""The history of an appointment: every revision, and what it changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import Any, Final

from domain.envelope import Snapshot
from domain.identifiers import EventId, Position
from domain.storage.base import StoredEnvelope
from domain.topics import envelope_of, has_envelope
from projections.queries.answer import counted
from projections.queries.documents import document_of

_FIELDS: Final = tuple(name for name in Snapshot.__struct_fields__ if name != "id")


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of an appointment before and after a revision; before the first revision every field is None."""

    field: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class RevisionChange:
    """What one envelope changed against the one published before it.

    Attributes:
        at: when the envelope was published.
        late: whether an envelope published later had arrived earlier.
        arrived_at: when this system stored it; None where that was not recorded yet.
    """

    event_id: EventId
    at: datetime
    position: Position
    late: bool
    changes: tuple[FieldChange, ...]
    arrived_at: datetime | None


@dataclass(frozen=True, slots=True, repr=False)
class History:
    """All revisions of one appointment in the publisher's order."""

    id: str
    revisions: tuple[RevisionChange, ...]

    def __repr__(self) -> str:
        return f"<History of appointment {self.id!r}: {counted(len(self.revisions), 'revision')}>"

    def to_json(self) -> dict[str, Any]:
        """The document of `appointments history ID --json`, ready for `json.dumps`."""
        revisions = [
            {
                "event_id": one.event_id,
                "at": one.at,
                "arrived_at": one.arrived_at,
                "position": one.position,
                "late": one.late,
                "changes": [{"field": it.field, "old": it.old, "new": it.new} for it in one.changes],
            }
            for one in self.revisions
        ]
        return document_of({"id": self.id, "revisions": revisions})


def history_of(appointment_id: str, stream: Sequence[StoredEnvelope]) -> History:
    """The history of a stream, which is in the order of its event ids."""
    stream = [stored for stored in stream if has_envelope(stored)]
    revisions: list[RevisionChange] = []
    before: Snapshot | None = None
    for stored, is_late in zip(stream, _lateness(stream), strict=True):
        envelope = envelope_of(stored)
        revisions.append(
            RevisionChange(
                event_id=stored.event_id,
                at=envelope.published_at,
                position=stored.position,
                late=is_late,
                changes=tuple(_changes(before, envelope.snapshot)),
                arrived_at=stored.arrived_at,
            )
        )
        before = envelope.snapshot
    return History(appointment_id, tuple(revisions))


def _lateness(stream: Sequence[StoredEnvelope]) -> list[bool]:
    """For each envelope, whether one published later arrived earlier."""
    lowest_from = list(accumulate((one.position for one in reversed(stream)), min))[::-1]
    return [lowest < one.position for lowest, one in zip(lowest_from, stream, strict=True)]


def _changes(before: Snapshot | None, after: Snapshot) -> Iterable[FieldChange]:
    for name in _FIELDS:
        old, new = getattr(before, name, None), getattr(after, name)
        if old != new:
            yield FieldChange(name, old, new)
