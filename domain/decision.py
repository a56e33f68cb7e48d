"""New, a duplicate or a conflict: what an envelope is beside those that came before."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from domain.envelope import Envelope, EnvelopeRefused, RefusalCode
from domain.identifiers import EventId
from domain.items import Item
from domain.quarantine import refused_by
from domain.recorders.base import Refused, StoredEnvelope


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of the envelopes of one batch."""

    new: list[Envelope]
    duplicates: int
    conflicts: list[Refused]


def decide(candidates: Sequence[tuple[Envelope, Item]], stored: Mapping[EventId, StoredEnvelope]) -> Decision:
    """Which envelopes are new, which repeat what is stored, and which contradict it. The first arrival wins."""
    texts = {event_id: (one.appointment_id, one.text) for event_id, one in stored.items()}
    new: list[Envelope] = []
    duplicates = 0
    conflicts: list[Refused] = []
    for envelope, item in candidates:
        first = texts.get(envelope.event_id)
        if first is None:
            texts[envelope.event_id] = (envelope.snapshot.id, envelope.text)
            new.append(envelope)
        elif first[0] == envelope.snapshot.id and has_same_event_data(first[1], envelope.text):
            duplicates += 1
        else:
            conflicts.append(refused_by(_conflict(envelope, first[0]), item))
    return Decision(new, duplicates, conflicts)


def _conflict(envelope: Envelope, first_appointment_id: str) -> EnvelopeRefused:
    is_same_appointment = first_appointment_id == envelope.snapshot.id
    error = EnvelopeRefused(
        RefusalCode.CONFLICT,
        field="eventData" if is_same_appointment else "eventData.appointment.id",
        expected=f"what envelope {envelope.event_id} said when it first came"
        + ("" if is_same_appointment else f", the appointment {first_appointment_id!r}"),
        found="other content" if is_same_appointment else repr(envelope.snapshot.id),
    )
    error.event_id, error.appointment_id = envelope.event_id, envelope.snapshot.id
    return error


def has_same_event_data(first: bytes, second: bytes) -> bool:
    """Whether two envelopes say the same: equal as JSON values, so 1 equals 1.0 and `true` is not 1."""
    return first == second or _is_equal(_event_data(first), _event_data(second))


def _event_data(text: bytes) -> object:
    # Decimal tells numbers apart that floats would round to the same.
    return json.loads(text, parse_int=Decimal, parse_float=_number)["eventData"]


def _number(digits: str) -> Decimal | tuple[str]:
    try:
        return Decimal(digits)
    except InvalidOperation:
        return (digits,)


def _is_equal(first: object, second: object) -> bool:
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(_is_equal(first[key], second[key]) for key in first)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(_is_equal, first, second))
    return type(first) is type(second) and first == second
