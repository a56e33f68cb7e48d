"""What the read models must hold, worked out a second time from raw envelopes, sharing no code with the product.

Slow, plain and over the whole history at once: what the fast and incremental code is compared with.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

_NO_DATE = datetime.min.replace(tzinfo=UTC)


def moment(text: str | None) -> datetime | None:
    """A publisher's time in UTC, cut to milliseconds."""
    if text is None:
        return None
    parsed = datetime.fromisoformat(text.upper()).astimezone(UTC)
    return parsed.replace(microsecond=parsed.microsecond // 1000 * 1000)


def histories(envelopes: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The distinct envelopes of each appointment by id; of several with one id the first counts."""
    first: dict[int, dict[str, Any]] = {}
    for one in envelopes:
        first.setdefault(one["id"], one)
    streams: dict[str, list[dict[str, Any]]] = {}
    for _, one in sorted(first.items()):
        streams.setdefault(one["eventData"]["appointment"]["id"], []).append(one)
    return streams


def expected_appointment(stream: list[dict[str, Any]]) -> dict[str, Any]:
    """One appointment, by the field names of the JSON interface, with datetimes and its lifecycle."""
    snapshots = [one["eventData"]["appointment"] for one in stream]
    newest = snapshots[-1]
    lifecycle: list[dict[str, Any]] = []
    for one, snapshot in zip(stream, snapshots, strict=True):
        if not lifecycle or lifecycle[-1]["status"] != snapshot["status"]:
            is_canceled = snapshot["status"] == "CANCELED"
            lifecycle.append(
                {
                    "status": snapshot["status"],
                    "event_id": one["id"],
                    "at": moment(one["createdAt"]),
                    "canceled_by": snapshot.get("canceledBy") if is_canceled else None,
                    "cancelation_reason": snapshot.get("cancelationReason") if is_canceled else None,
                }
            )
    path = [step["status"] for step in lifecycle]
    spans = [(moment(snapshot.get("startDate")), moment(snapshot.get("endDate"))) for snapshot in snapshots]
    return {
        "id": newest["id"],
        "talent_id": newest["talentId"],
        "coach_id": newest["coachId"],
        "status": newest["status"],
        "title": newest["title"],
        "description": newest["description"],
        "start_date": spans[-1][0],
        "end_date": spans[-1][1],
        "appointment_type": newest["appointmentType"],
        "subphase_id": newest["subphaseId"],
        "talent_block_id": newest["talentBlockId"],
        "canceled_by": newest.get("canceledBy"),
        "cancelation_reason": newest.get("cancelationReason"),
        "cancelation_explanation": newest.get("cancelationExplanation"),
        "created_at": moment(newest["createdAt"]),
        "updated_at": moment(newest.get("updatedAt")),
        "deleted_at": moment(newest.get("deletedAt")),
        "event_id": stream[-1]["id"],
        "revision": len(stream),
        "reschedules": sum(spans[index] != spans[index - 1] for index in range(1, len(spans))),
        "irregular": path not in (["PLANNED"], ["PLANNED", "DONE"], ["PLANNED", "CANCELED"]),
        "lifecycle": lifecycle,
    }


def expected_schedule(
    envelopes: Iterable[dict[str, Any]], side: str, owner_id: str, *, include_deleted: bool = False
) -> list[dict[str, Any]]:
    """A whole schedule in its order: by start, without a date last, then by id."""
    appointments = [expected_appointment(stream) for stream in histories(envelopes).values()]
    chosen = [
        one
        for one in appointments
        if one[f"{side}_id"] == owner_id and (include_deleted or one["deleted_at"] is None)
    ]
    return sorted(chosen, key=lambda one: (one["start_date"] is None, one["start_date"] or _NO_DATE, one["id"]))


def as_plain(appointment: Any) -> dict[str, Any]:
    """An `Appointment` of the product in the same form."""
    lifecycle = [
        {
            "status": str(step.status),
            "event_id": step.event_id,
            "at": step.at,
            "canceled_by": step.canceled_by and str(step.canceled_by),
            "cancelation_reason": step.cancelation_reason and str(step.cancelation_reason),
        }
        for step in appointment.lifecycle
    ]
    plain = {one.name: getattr(appointment, one.name) for one in fields(appointment)}
    plain = {
        name: str(value) if isinstance(value, str) else value
        for name, value in plain.items()
        if name not in ("lifecycle", "stamp")
    }
    return {**plain, "lifecycle": lifecycle}
