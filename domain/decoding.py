"""Decodes stored envelopes, which were validated once: only the fields that are read, several times faster."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Final, Literal, get_type_hints

import msgspec
from msgspec.structs import FieldInfo, astuple, fields

from domain.envelope import EVENT_ID_MAX, EVENT_NAME, ID_BYTES_MAX, PAYLOAD_VERSION, Envelope, Snapshot, utc_moment

_IDS: Final = ("id", "talent_id", "coach_id")
_TIMES: Final = ("created_at", "updated_at", "deleted_at", "start_date", "end_date")

_DIGITS_TO_ZERO: Final = bytes.maketrans(b"123456789", b"000000000")
_USUAL_TIMES: Final = frozenset(b"0000-00-00T00:00:00.000Z" * count for count in range(1, len(_TIMES) + 2))


def decode_envelope(text: bytes) -> Envelope:
    """Returns the envelope of a stored text, equal to what `read_envelope` returned for it.

    Raises:
        ValueError: the text is not an envelope.
    """
    try:
        return _usual_envelope(_USUAL.decode(text), text)
    except ValueError:
        return _read_carefully(text)


def decode_usual(text: bytes) -> Envelope:
    """Returns the envelope of well-formed JSON in the publisher's usual spelling: a fast path of validation.

    Raises:
        ValueError: it breaks the contract or is spelled otherwise; full validation decides which.
    """
    decoded = _USUAL.decode(text)
    told = decoded.eventData.appointment
    if told.id.isspace() or told.talent_id.isspace() or told.coach_id.isspace():
        raise ValueError("a blank id")
    _check_usual_times(decoded.createdAt, told)
    return _usual_envelope(decoded, text)


def _check_usual_times(published_at: str, told: Any) -> None:
    """Rejects times spelled otherwise than 2023-07-10T09:00:00.000Z, which `fromisoformat` accepts."""
    optional = [told.updated_at, told.deleted_at, told.start_date, told.end_date]
    times = "".join([published_at, told.created_at, *filter(None, optional)])
    if times.encode().translate(_DIGITS_TO_ZERO) not in _USUAL_TIMES or "T24" in times:
        raise ValueError("another spelling of a time")


def _usual_envelope(decoded: Any, text: bytes) -> Envelope:
    appointment, moment = decoded.eventData.appointment, datetime.fromisoformat
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


def _read_carefully(text: bytes) -> Envelope:
    try:
        decoded = _ANY.decode(text)
    except msgspec.ValidationError:
        # Of duplicate keys only the last counts, while msgspec checks the types of all of them.
        decoded = msgspec.convert(json.loads(text), _ANY.type)
    appointment = decoded.eventData.appointment
    for name in _TIMES:
        told = getattr(appointment, name)
        setattr(appointment, name, told and utc_moment(told))
    return Envelope(decoded.id, utc_moment(decoded.createdAt), Snapshot(*astuple(appointment)), text)


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
