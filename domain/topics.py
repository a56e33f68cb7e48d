"""What a stored event is, by its topic: an envelope, or what came in the place of one."""

from __future__ import annotations

from typing import Final

from eventsourcing.utils import register_topic

from domain.decoding import decode_envelope
from domain.envelope import Envelope
from domain.errors import PoisonEvent
from domain.masking import MaskedEnvelope
from domain.storage.base import StoredEnvelope

TOPIC: Final = "VCSessionScheduledEvent.v1"
"""An envelope of payload version 1, as received; not a Python path, so that code can be moved."""

MASKED_TOPIC: Final = f"{TOPIC}.masked"
"""An envelope of a forgotten person: what is left of it after masking, under its id and at its position."""

SET_ASIDE_TOPIC: Final = f"{TOPIC}.set-aside"
"""An envelope that the fold passes over; the text is the record of who set it aside, when and why."""

MARKER_TOPIC: Final = f"{TOPIC}.marker"
"""No envelope: it says that envelopes of its appointment were changed in place (`domain.markers`)."""

WITHOUT_ENVELOPE: Final = frozenset({SET_ASIDE_TOPIC, MARKER_TOPIC})
"""The topics of events that the fold passes over. A topic that is not known here stops it."""


class LibraryEvent:
    """A stored event as the library's own mapper decodes it: each field is an attribute."""

    originator_id: str
    originator_version: int


for _topic in (TOPIC, MASKED_TOPIC, SET_ASIDE_TOPIC, MARKER_TOPIC):
    register_topic(_topic, LibraryEvent)


def envelope_of(stored: StoredEnvelope) -> Envelope:
    """Returns the envelope of a stored event.

    Raises:
        PoisonEvent: this version cannot decode it.
    """
    if stored.topic not in (TOPIC, MASKED_TOPIC):
        raise _poison(stored, f"the topic {stored.topic!r} is unknown; upgrade this code if newer code stored it")
    try:
        envelope = decode_envelope(stored.text)
    except (ValueError, OverflowError) as error:
        raise _poison(stored, str(error)) from error
    if envelope.event_id != stored.event_id or envelope.snapshot.id != stored.appointment_id:
        raise _poison(stored, "its ids are not those it is stored under")
    return envelope


def topic_of(envelope: Envelope) -> str:
    """The topic under which an envelope is stored."""
    return MASKED_TOPIC if isinstance(envelope, MaskedEnvelope) else TOPIC


def has_envelope(stored: StoredEnvelope) -> bool:
    """Returns whether a stored event is an envelope, and not one that the fold passes over."""
    return stored.topic not in WITHOUT_ENVELOPE


def _poison(stored: StoredEnvelope, reason: str) -> PoisonEvent:
    return PoisonEvent(stored.position, stored.appointment_id, stored.event_id, reason)
