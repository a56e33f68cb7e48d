"""Decides what becomes of items: refused, ignored, new, a duplicate, or in conflict with a stored envelope."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from domain.contract import read_envelope
from domain.envelope import Envelope, EnvelopeRefused, Ignored, RefusalCode
from domain.identifiers import EventId
from domain.input.items import Item
from domain.masking import MaskedEnvelope
from domain.quarantine import refused_by
from domain.storage.base import Refused, StoredEnvelope
from domain.topics import MASKED_TOPIC, SET_ASIDE_TOPIC


class StoredTextUnreadable(Exception):  # noqa: N818 - named after what went wrong
    """A stored text is no longer an envelope: it was damaged in the database."""


class Replacement(NamedTuple):
    """An event that is set aside, and an envelope with its id, in the item that brought it."""

    stored: StoredEnvelope
    envelope: Envelope
    item: Item


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome of one batch.

    Attributes:
        new: the envelopes to insert.
        duplicates: how many are stored already.
        conflicts: those that differ from what is stored.
        replacements: those that may take the place of an event that is set aside.
    """

    new: list[Envelope]
    duplicates: int
    conflicts: list[Refused]
    replacements: list[Replacement] = field(default_factory=list)

    @property
    def accepted(self) -> list[Envelope]:
        """The new envelopes and those that take a place."""
        return [*self.new, *(envelope for _, envelope, _ in self.replacements)]


def validated(items: Sequence[Item]) -> tuple[list[tuple[Envelope, Item]], list[Refused], int]:
    """Returns the valid envelopes with their items, the refused items, and the number of ignored ones."""
    candidates: list[tuple[Envelope, Item]] = []
    refused: list[Refused] = []
    ignored = 0
    for item in items:
        try:
            outcome = read_item(item)
        except EnvelopeRefused as error:
            refused.append(refused_by(error, item))
        else:
            if isinstance(outcome, Ignored):
                ignored += 1
            else:
                candidates.append((outcome, item))
    return candidates, refused, ignored


def read_item(item: Item) -> Envelope | Ignored:
    """Returns the valid envelope of an item; raises `EnvelopeRefused`."""
    if item.refusal is not None:
        raise item.refusal
    if item.too_large:
        raise EnvelopeRefused(
            RefusalCode.TOO_LARGE, expected="an item within --item-bytes-max", found=f"{item.length:,} bytes"
        )
    return read_envelope(item.content)


def decide(candidates: Sequence[tuple[Envelope, Item]], stored: Mapping[EventId, StoredEnvelope]) -> Decision:
    """Sorts envelopes into new ones, duplicates and conflicts; of two with one id the first to arrive is kept.

    Args:
        candidates: validated envelopes in the order of their arrival, each with the item it came in.
        stored: what the event store holds under their ids.
    """
    masked = {event_id for event_id, one in stored.items() if one.topic == MASKED_TOPIC}
    set_aside = {event_id: one for event_id, one in stored.items() if one.topic == SET_ASIDE_TOPIC}
    texts = {event_id: (one.appointment_id, one.text) for event_id, one in stored.items()}
    new: list[Envelope] = []
    duplicates = 0
    conflicts: list[Refused] = []
    replacements: list[Replacement] = []
    for envelope, item in candidates:
        first = texts.get(envelope.event_id)
        if envelope.event_id in masked:  # whatever it says: what it said first is forgotten
            duplicates += 1
        elif envelope.event_id in set_aside and first == (envelope.snapshot.id, set_aside[envelope.event_id].text):
            replacements.append(Replacement(set_aside.pop(envelope.event_id), envelope, item))
            texts[envelope.event_id] = (envelope.snapshot.id, envelope.text)
            if isinstance(envelope, MaskedEnvelope):
                masked.add(envelope.event_id)
        elif first is None:
            texts[envelope.event_id] = (envelope.snapshot.id, envelope.text)
            new.append(envelope)
            if isinstance(envelope, MaskedEnvelope):
                masked.add(envelope.event_id)
        elif (conflict := _conflict(envelope, *first)) is None:
            duplicates += 1
        else:
            conflicts.append(refused_by(conflict, item))
    return Decision(new, duplicates, conflicts, replacements)


def _conflict(envelope: Envelope, first_appointment_id: str, first_text: bytes) -> EnvelopeRefused | None:
    """Returns the refusal of an envelope that differs from the stored one with its id, None if they are equal."""
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
    """Returns whether the `eventData` of two envelopes are equal as JSON values: 1 equals 1.0, `true` is not 1.

    Raises:
        StoredTextUnreadable: one of them is not an envelope, so it was damaged after it was accepted.
    """
    return first == second or _is_equal(event_data_of(first), event_data_of(second))


def event_data_of(text: bytes) -> object:
    """Returns the `eventData` of a stored envelope, with exact numbers.

    Raises:
        StoredTextUnreadable: it is not an envelope, so it was damaged after it was accepted.
    """
    try:
        # Decimal keeps apart numbers that floats would round to one.
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
