"""Re-reading history: a partial decode of what the door accepted once, in a fraction of the door's time."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Final, get_type_hints

import msgspec

from domain.envelope import Envelope, Snapshot, utc_moment

_TIMES: Final = ("created_at", "updated_at", "deleted_at", "start_date", "end_date")


def read_recorded(text: bytes) -> Envelope:
    """The envelope of a stored text: equal to what the door made of it.

    Raises:
        ValueError: it is no envelope.
    """
    try:
        recorded = _RECORDED.decode(text)
    except msgspec.ValidationError:
        # Of duplicate keys the last wins, whatever the others say; the fast way checks the others too.
        recorded = msgspec.convert(json.loads(text), _RECORDED.type)
    appointment = recorded.eventData.appointment
    for name in _TIMES:
        if (time := getattr(appointment, name)) is not None:
            setattr(appointment, name, utc_moment(time))
    snapshot = msgspec.convert(appointment, Snapshot, from_attributes=True)
    return Envelope(recorded.id, utc_moment(recorded.createdAt), snapshot, text)


def _decoder() -> msgspec.json.Decoder[Any]:
    """Decodes the fields of a snapshot by their publisher's names and passes over everything else."""
    appointment = msgspec.defstruct(
        "RecordedAppointment", list(map(_field, dataclasses.fields(Snapshot))), rename="camel", gc=False
    )
    event_data = msgspec.defstruct("RecordedEventData", [("appointment", appointment)], gc=False)
    fields = [("id", int), ("createdAt", str), ("eventData", event_data)]
    envelope = msgspec.defstruct("RecordedEnvelope", fields, gc=False)
    return msgspec.json.Decoder(envelope)


def _field(one: dataclasses.Field[Any]) -> tuple[str, Any] | tuple[str, Any, None]:
    kind = str if one.name in _TIMES else get_type_hints(Snapshot)[one.name]
    return (one.name, kind) if one.default is dataclasses.MISSING else (one.name, kind | None, None)


_RECORDED: Final = _decoder()
