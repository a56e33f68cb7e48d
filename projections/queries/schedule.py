"""What is answered about schedules: a page of one, one appointment, and who has one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.appointment import Appointment
from projections.queries.answer import Answer, Listed, counted
from projections.queries.calendar import ical_of
from projections.queries.times import iso
from projections.rows import Side
from projections.stores.base import OwnerCounts, Stamp


@dataclass(frozen=True, kw_only=True, repr=False)
class Schedule(Answer, Listed[Appointment]):
    """One page of a talent's or a coach's appointments, in order; iterable and sized.

    Attributes:
        as_of: the time up to whose publications this is, or None for the present.
        known_at: the time up to whose arrivals this is, or None for the present.
        next: the cursor of the next page, or None on the last.
    """

    side: Side
    owner_id: str
    appointments: tuple[Appointment, ...]
    as_of: datetime | None = None
    known_at: datetime | None = None
    next: str | None = None

    @property
    def _elements(self) -> tuple[Appointment, ...]:
        return self.appointments

    def __repr__(self) -> str:
        more = ", more on the next page" if self.next else ""
        as_of = f" as of {iso(self.as_of)}" if self.as_of else ""
        known_at = f" known at {iso(self.known_at)}" if self.known_at else ""
        return (
            f"<Schedule of {self.side} {self.owner_id!r}{as_of}{known_at}: {counted(len(self), 'appointment')}{more}>"
        )

    def to_dicts(self) -> list[dict[str, Any]]:
        """One flat dict for each appointment, times as aware datetimes; ready for a data frame."""
        return [appointment.to_dict() for appointment in self.appointments]

    def to_ical(self) -> bytes:
        """The dated appointments as an iCalendar file (RFC 5545); needs the extra `ical`."""
        return ical_of(self.appointments, self.side)

    def _document(self) -> Mapping[str, Any]:
        members = schedule_members(
            self.side, self.owner_id, stamp=self.stamp, as_of=self.as_of, known_at=self.known_at
        )
        return {**members, "appointments": self.to_dicts(), "next": self.next}


def schedule_members(
    side: Side, owner_id: str, *, stamp: Stamp, as_of: datetime | None, known_at: datetime | None
) -> dict[str, Any]:
    """The members of a schedule's document that come before its appointments."""
    return {f"{side}_id": owner_id, **stamp.to_json(), "as_of": as_of, "known_at": known_at}


@dataclass(frozen=True, kw_only=True)
class AppointmentAnswer(Appointment, Answer):
    """One appointment with the stamp of the answer."""

    def _document(self) -> Mapping[str, Any]:
        lifecycle = [
            {
                "status": step.status,
                "event_id": step.event_id,
                "at": step.at,
                "canceled_by": step.canceled_by,
                "cancelation_reason": step.cancelation_reason,
            }
            for step in self.lifecycle
        ]
        return {**self.to_dict(), "lifecycle": lifecycle, **self.stamp.to_json()}


def appointment_answer(appointment: Appointment, stamp: Stamp) -> AppointmentAnswer:
    """The appointment with a stamp."""
    return AppointmentAnswer(**appointment.to_dict(), lifecycle=appointment.lifecycle, stamp=stamp)


@dataclass(frozen=True, kw_only=True, repr=False)
class Owners(Answer, Listed[OwnerCounts]):
    """One page of the talents or coaches who have a schedule, by id; iterable and sized."""

    side: Side
    owners: tuple[OwnerCounts, ...]
    next: str | None = None

    @property
    def _elements(self) -> tuple[OwnerCounts, ...]:
        return self.owners

    def __repr__(self) -> str:
        more = ", more on the next page" if self.next else ""
        return f"<Owners: {counted(len(self), self.side, many=self.side.plural)}{more}>"

    def _document(self) -> Mapping[str, Any]:
        owners = [
            {f"{self.side}_id": one.owner_id, "PLANNED": one.planned, "DONE": one.done, "CANCELED": one.canceled}
            for one in self.owners
        ]
        return {self.side.plural: owners, **self.stamp.to_json(), "next": self.next}
