"""Decodes stored envelopes, which were validated once: only the fields that are read, several times faster."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Final, Literal, get_type_hints

import msgspec
from msgspec.structs import FieldInfo, astuple, fields

from domain.envelope import EVENT_ID_MAX, EVENT_NAME, ID_BYTES_MAX, PAYLOAD_VERSION, Envelope, Snapshot, utc_moment

_IDS: Final = ("id", "talent_id", "coach_id")
_TIMES: Final = ("created_at", "updated_at", "deleted_at", "start_date", "end_date")


def decode_envelope(text: bytes) -> Envelope:
    """Returns the envelope of a stored text, equal to what `read_envelope` returned for it.

    Raises:
        ValueError: the text is not an envelope.
    """
    try:
        return _envelope(_USUAL.decode(text), text, datetime.fromisoformat)
    except ValueError:
        return _read_carefully(text)


def decode_usual(text: bytes) -> Envelope:
    """Returns the envelope of well-formed JSON in the publisher's usual spelling: a fast path of validation.

    Raises:
        ValueError: it breaks the contract or is spelled otherwise; full validation decides which.
    """
    envelope = _envelope(_USUAL.decode(text), text, _usual_moment)
    snapshot = envelope.snapshot
    if snapshot.id.isspace() or snapshot.talent_id.isspace() or snapshot.coach_id.isspace():
        raise ValueError("a blank id")
    return envelope


def _usual_moment(text: str) -> datetime:
    """Parses a time such as 2023-07-10T09:00:00.000Z; rejects the other spellings that `fromisoformat` accepts."""
    if text[4:20:3] != "--T::." or text[23] != "Z" or "T24" in text:
        raise ValueError("another spelling of a time")
    return datetime.fromisoformat(text)


def _read_carefully(text: bytes) -> Envelope:
    try:
        decoded = _ANY.decode(text)
    except msgspec.ValidationError:
        # Of duplicate keys only the last counts, while msgspec checks the types of all of them.
        decoded = msgspec.convert(json.loads(text), _ANY.type)
    return _envelope(decoded, text, utc_moment)


def _envelope(decoded: Any, text: bytes, moment: Callable[[str], datetime]) -> Envelope:
    appointment = decoded.eventData.appointment
    appointment.created_at = moment(appointment.created_at)
    if appointment.updated_at is not None:
        appointment.updated_at = moment(appointment.updated_at)
    if appointment.deleted_at is not None:
        appointment.deleted_at = moment(appointment.deleted_at)
    if appointment.start_date is not None:
        appointment.start_date = moment(appointment.start_date)
    if appointment.end_date is not None:
        appointment.end_date = moment(appointment.end_date)
    return Envelope(decoded.id, moment(decoded.createdAt), Snapshot(*astuple(appointment)), text)


def _decoder(time: Any, identifier: Any) -> msgspec.json.Decoder[Any]:
    """Builds a decoder for the fields of a snapshot, under the publisher's names; it skips all other fields."""
    kinds = get_type_hints(Snapshot) | dict.fromkeys(_TIMES, time) | dict.fromkeys(_IDS, identifier)
    appointment = msgspec.defstruct(
        "DecodedAppointment", [_field(one, kinds[one.name]) for one in fields(Snapshot)], rename="camel", gc=False
    )
    event_data = msgspec.defstruct(
        "DecodedEventData", [("version", Literal[PAYLOAD_VERSION]), ("appointment", appointment)], gc=False
    )
    event_id = Annotated[int, msgspec.Meta(ge=1, le=EVENT_ID_MAX)]
    envelope = [("id", event_id), ("createdAt", time), ("eventName", Literal[EVENT_NAME]), ("eventData", event_data)]
    return msgspec.json.Decoder(msgspec.defstruct("DecodedEnvelope", envelope, gc=False))


def _field(one: FieldInfo, kind: Any) -> tuple[str, Any] | tuple[str, Any, None]:
    return (one.name, kind) if one.required else (one.name, kind | None, None)


# The publisher's usual spelling: times of 24 characters, and ids so short that they cannot exceed the limit in bytes.
_USUAL: Final = _decoder(
    Annotated[str, msgspec.Meta(min_length=24, max_length=24)],
    Annotated[str, msgspec.Meta(min_length=1, max_length=ID_BYTES_MAX // 4)],
)
_ANY: Final = _decoder(str, str)
