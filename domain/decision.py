"""New, a duplicate or a conflict: what an envelope is beside those that came before."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from domain.envelope import Envelope, EnvelopeRefused, RefusalCode
from domain.identifiers import EventId
from domain.input.items import Item
from domain.quarantine import refused_by
from domain.storage.base import Refused, StoredEnvelope


class StoredTextUnreadable(Exception):  # noqa: N818 - named after what went wrong
    """A stored envelope is none any more: its bytes were damaged."""


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
        elif (conflict := _conflict(envelope, *first)) is None:
            duplicates += 1
        else:
            conflicts.append(refused_by(conflict, item))
    return Decision(new, duplicates, conflicts)


def _conflict(envelope: Envelope, first_appointment_id: str, first_text: bytes) -> EnvelopeRefused | None:
    """How an envelope contradicts what is stored under its id; None when it says the same."""
    field, said, found = "eventData", "", "other content"
    if first_appointment_id != envelope.snapshot.id:
        field, said = "eventData.appointment.id", f", the appointment {first_appointment_id!r}"
        found = repr(envelope.snapshot.id)
    else:
        try:
            if has_same_event_data(first_text, envelope.text):
                return None
        except StoredTextUnreadable:
            found = "that the stored envelope is damaged and cannot be read"
    expected = f"what envelope {envelope.event_id} said when it first came{said}"
    error = EnvelopeRefused(RefusalCode.CONFLICT, field=field, expected=expected, found=found)
    error.event_id, error.appointment_id = envelope.event_id, envelope.snapshot.id
    return error


def has_same_event_data(first: bytes, second: bytes) -> bool:
    """Whether two envelopes say the same: equal as JSON values, so 1 equals 1.0 and `true` is not 1.

    Raises:
        StoredTextUnreadable: one of them is no envelope, so it was damaged after the door had let it in.
    """
    return first == second or _is_equal(event_data_of(first), event_data_of(second))


def event_data_of(text: bytes) -> object:
    """What a stored envelope says, its numbers exact.

    Raises:
        StoredTextUnreadable: it is no envelope, so it was damaged after the door had let it in.
    """
    try:
        # Decimal tells numbers apart that floats would round to the same.
        document = json.loads(text, parse_int=Decimal, parse_float=_number)
    except (ValueError, RecursionError) as error:
        raise StoredTextUnreadable from error
    if not isinstance(document, dict) or "eventData" not in document:
        raise StoredTextUnreadable
    return document["eventData"]


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
