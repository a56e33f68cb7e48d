"""Markers: events that say that stored envelopes were changed in place, so that every projector folds them anew.

Changing them and storing the marker is one transaction of the event store (`AppendTransaction`). A projector that
comes to a marker, in whatever generation, deletes the rows of its appointment and makes them anew from its stream.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from domain.envelope import utc_moment
from domain.errors import PoisonEvent
from domain.identifiers import AppointmentId, Position
from domain.storage.base import StoredEnvelope
from domain.topics import MARKER_TOPIC


class Change(StrEnum):
    """What was done to the stored envelopes of an appointment."""

    SET_ASIDE = "set_aside"
    REPLACED = "replaced"
    FORGOTTEN = "forgotten"


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """The record of a change to stored envelopes of one appointment.

    Attributes:
        positions: the envelopes that were changed.
        by: who did it; None where that is not to be kept.
        reason: why; None where there is none.
        talents: talents in whose schedule the appointment may have been by what is no longer there: they keep a
            tombstone, so that a copy that follows the change feed learns that it is gone.
        coaches: the same of coaches.
    """

    appointment_id: AppointmentId
    change: Change
    at: datetime
    positions: tuple[Position, ...]
    by: str | None = None
    reason: str | None = None
    talents: tuple[str, ...] = ()
    coaches: tuple[str, ...] = ()

    def to_json(self) -> bytes:
        """The text that is stored; the appointment's id is not in it, since it is stored under that."""
        document: dict[str, Any] = {
            "change": self.change,
            "at": self.at.isoformat(timespec="milliseconds"),
            "positions": self.positions,
            "by": self.by,
            "reason": self.reason,
            "talents": self.talents,
            "coaches": self.coaches,
        }
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def of(cls, stored: StoredEnvelope) -> Self:
        """The marker of a stored event.

        Raises:
            PoisonEvent: this version cannot decode it.
        """
        try:
            document = json.loads(stored.text)
            return cls(
                appointment_id=stored.appointment_id,
                change=Change(document["change"]),
                at=utc_moment(document["at"]),
                positions=tuple(document["positions"]),
                by=document["by"],
                reason=document["reason"],
                talents=tuple(document["talents"]),
                coaches=tuple(document["coaches"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            reason = f"it is no marker that this code knows ({type(error).__name__}: {error}); upgrade it"
            raise PoisonEvent(stored.position, stored.appointment_id, stored.event_id, reason) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """The record of an event that is set aside, which stands in its place.

    Attributes:
        by: who set it aside.
        at: when.
        reason: why.
        poison: why it could not be folded.
        topic: what it had been stored as.
    """

    by: str
    at: datetime
    reason: str
    poison: str
    topic: str

    def to_json(self) -> bytes:
        """The text that is stored."""
        document = asdict(self) | {"at": self.at.isoformat(timespec="milliseconds")}
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def of(cls, stored: StoredEnvelope) -> Self:
        """The record in a stored event of `SET_ASIDE_TOPIC`."""
        document = json.loads(stored.text)
        return cls(**document | {"at": utc_moment(document["at"])})


def markers_in(stream: Iterable[StoredEnvelope]) -> list[tuple[Marker, Position]]:
    """The markers among stored events, each with its position."""
    return [(Marker.of(stored), stored.position) for stored in stream if stored.topic == MARKER_TOPIC]
