"""Changes stored envelopes in place with a marker for their appointment, as the event store's operations do."""

from __future__ import annotations

from typing import Any

from domain.identifiers import EventId
from domain.markers import Change, Marker
from domain.storage.arrivals import arrival_now
from domain.storage.base import Rewritten
from domain.topics import MARKER_TOPIC, TOPIC
from tests.conftest import Place
from tests.support.builders import as_json


def rewrite(place: Place, event_id: int, text: bytes | dict[str, Any], *, topic: str = TOPIC, **marked: Any) -> None:
    """Changes one stored envelope, with a marker."""
    text = text if isinstance(text, bytes) else as_json(text)
    with place.events().recorder.appending() as append:
        stored = append.stored([EventId(event_id)])[EventId(event_id)]
        append.rewrite([Rewritten(stored.position, topic, text)])
        marker = Marker(
            appointment_id=stored.appointment_id,
            change=Change.REPLACED,
            at=arrival_now(),
            positions=(stored.position,),
            **marked,
        )
        append.mark([(stored.appointment_id, marker.to_json())], MARKER_TOPIC)
