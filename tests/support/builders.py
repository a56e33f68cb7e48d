"""Envelopes for tests; each test mentions only what it is about."""

from __future__ import annotations

import json
from typing import Any

TALENT = "talent-1"
COACH = "coach-1"
APPOINTMENT = "appointment-1"


def appointment(**fields: Any) -> dict[str, Any]:
    """The publisher's appointment: planned for an hour, unless said otherwise, with the publisher's field names."""
    return {
        "id": APPOINTMENT,
        "talentId": TALENT,
        "coachId": COACH,
        "status": "PLANNED",
        "title": "Séance Découverte",
        "description": None,
        "startDate": "2023-07-10T09:00:00.000Z",
        "endDate": "2023-07-10T10:00:00.000Z",
        "appointmentType": "STANDALONE",
        "subphaseId": None,
        "talentBlockId": None,
        "canceledBy": None,
        "cancelationReason": None,
        "cancelationExplanation": None,
        "createdAt": "2023-07-01T12:00:00.000Z",
        "updatedAt": None,
        "deletedAt": None,
    } | fields


def envelope(event_id: int = 1, *, at: str | None = None, **fields: Any) -> dict[str, Any]:
    """An envelope of an appointment with these fields; published `event_id` seconds into 2023-07-02 unless `at`."""
    minutes, seconds = divmod(event_id, 60)
    hours, minutes = divmod(minutes, 60)
    return {
        "id": event_id,
        "createdAt": at or f"2023-07-02T{hours % 24:02}:{minutes:02}:{seconds:02}.000Z",
        "eventName": "VCSessionScheduledEvent",
        "eventData": {"version": 1, "appointment": appointment(**fields)},
    }


def as_json(one: dict[str, Any]) -> bytes:
    """Compact UTF-8 JSON."""
    return json.dumps(one, ensure_ascii=False, separators=(",", ":")).encode()


def as_lines(envelopes: list[dict[str, Any]]) -> bytes:
    """JSON Lines."""
    return b"".join(as_json(one) + b"\n" for one in envelopes)
