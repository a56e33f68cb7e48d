"""Figures: the counts and hours of one schedule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from domain.appointment import Appointment
from domain.envelope import CancelationReason, Status
from projections.queries.answer import Answer
from projections.rows import span_of

_MILLISECONDS_PER_HOUR: Final = 3_600_000


@dataclass(frozen=True, kw_only=True)
class Figures(Answer):
    """What a schedule adds up to; softly deleted appointments do not count.

    Attributes:
        appointments: how many there are.
        by_status: how many of each status, also where there are none.
        canceled_by: how many cancelations by whom, `None` where nobody was named (in JSON `UNKNOWN`).
        cancelation_reasons: how many cancelations for which reason, `None` where none was given (in JSON `UNKNOWN`).
        no_shows: how many were canceled because the talent did not show up.
        reschedules: how often appointments were moved in time, together.
        hours_planned: hours of the PLANNED ones.
        hours_done: hours of the DONE ones.
        as_of: the time up to whose publications this is, or None for the present.
        known_at: the time up to whose arrivals this is, or None for the present.
    """

    appointments: int
    by_status: Mapping[str, int]
    canceled_by: Mapping[str | None, int]
    cancelation_reasons: Mapping[str | None, int]
    no_shows: int
    reschedules: int
    hours_planned: float
    hours_done: float
    as_of: datetime | None = None
    known_at: datetime | None = None

    def _document(self) -> Mapping[str, Any]:
        return {
            "appointments": self.appointments,
            "by_status": dict(self.by_status),
            "canceled_by": {name or "UNKNOWN": count for name, count in self.canceled_by.items()},
            "cancelation_reasons": {name or "UNKNOWN": count for name, count in self.cancelation_reasons.items()},
            "no_shows": self.no_shows,
            "reschedules": self.reschedules,
            "hours_planned": self.hours_planned,
            "hours_done": self.hours_done,
            **self.stamp.to_json(),
        }


def figures_of(appointments: Collection[Appointment]) -> dict[str, Any]:
    """Counts appointments; returns the fields of `Figures`."""
    canceled = [one for one in appointments if one.status is Status.CANCELED]
    statuses = Counter(one.status.value for one in appointments)
    return {
        "appointments": len(appointments),
        "by_status": {status.value: statuses[status.value] for status in Status},
        "canceled_by": dict(Counter(one.canceled_by and one.canceled_by.value for one in canceled)),
        "cancelation_reasons": dict(
            Counter(one.cancelation_reason and one.cancelation_reason.value for one in canceled)
        ),
        "no_shows": sum(one.cancelation_reason is CancelationReason.TALENT_NO_SHOW for one in canceled),
        "reschedules": sum(one.reschedules for one in appointments),
        "hours_planned": _hours(appointments, Status.PLANNED),
        "hours_done": _hours(appointments, Status.DONE),
    }


def _hours(appointments: Collection[Appointment], status: Status) -> float:
    spans = (span_of(one) for one in appointments if one.status is status)
    return sum((ends_at or 0) - (starts_at or 0) for starts_at, ends_at in spans) / _MILLISECONDS_PER_HOUR
