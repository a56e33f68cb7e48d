"""What the questions answer: frozen values, each stamped with what it is true of."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar, overload

from domain.appointment import Appointment
from domain.identifiers import Generation, Position
from projections.queries.calendar import ical_of
from projections.queries.documents import document_of
from projections.queries.times import iso
from projections.rows import Side
from projections.stores.base import OwnerCounts, Stamp

Element_co = TypeVar("Element_co", covariant=True)


@dataclass(frozen=True, kw_only=True)
class Stamped:
    """What an answer is true of. Without slots, so that an `Appointment` can be stamped as well.

    Attributes:
        position: the envelopes up to this position are in the answer, later ones are not.
        lag: how many positions the event store is ahead of that.
        generation: the generation of the read models that answered.
    """

    position: Position
    lag: int
    generation: Generation

    def stamp(self) -> dict[str, Any]:
        """The stamp as it stands in JSON."""
        return {"position": self.position, "lag": self.lag, "generation": self.generation}


class Listed(Sequence[Element_co]):
    """An answer that is a sequence of what was asked for."""

    __slots__ = ()

    @property
    @abstractmethod
    def _elements(self) -> tuple[Element_co, ...]: ...

    def __len__(self) -> int:
        return len(self._elements)

    @overload
    def __getitem__(self, index: int) -> Element_co: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Element_co, ...]: ...
    def __getitem__(self, index: int | slice) -> Element_co | tuple[Element_co, ...]:
        return self._elements[index]


def counted(number: int, one: str, *, many: str | None = None) -> str:
    """A number with its noun."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def stamp_fields(stamp: Stamp) -> dict[str, Any]:
    """The fields of `Stamped`."""
    return {
        "position": stamp.position,
        "lag": max(0, stamp.head - stamp.position),
        "generation": stamp.generation,
    }


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Schedule(Stamped, Listed[Appointment]):
    """One page of a talent's or a coach's appointments, in order; iterable and sized.

    Attributes:
        as_of: the time whose knowledge this is, or None for the present.
        next: the cursor of the next page, or None on the last.
    """

    side: Side
    owner_id: str
    appointments: tuple[Appointment, ...]
    as_of: datetime | None = None
    next: str | None = None

    @property
    def _elements(self) -> tuple[Appointment, ...]:
        return self.appointments

    def __repr__(self) -> str:
        more = ", more on the next page" if self.next else ""
        as_of = f" as of {iso(self.as_of)}" if self.as_of else ""
        return f"<Schedule of {self.side} {self.owner_id!r}{as_of}: {counted(len(self), 'appointment')}{more}>"

    def to_dicts(self) -> list[dict[str, Any]]:
        """One flat dict an appointment, times as aware datetimes: ready for a data frame."""
        return [appointment.to_dict() for appointment in self.appointments]

    def to_ical(self) -> bytes:
        """The dated appointments as an iCalendar file (RFC 5545); needs the extra `ical`."""
        return ical_of(self.appointments, self.side)

    def to_json(self) -> dict[str, Any]:
        """The document of `appointments talent ID --json`, ready for `json.dumps`."""
        return document_of(
            {
                f"{self.side}_id": self.owner_id,
                **self.stamp(),
                "as_of": self.as_of,
                "appointments": self.to_dicts(),
                "next": self.next,
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AppointmentAnswer(Appointment, Stamped):
    """One appointment with the stamp of the answer."""

    def to_json(self) -> dict[str, Any]:
        """The document of `appointments appointment ID --json`, ready for `json.dumps`."""
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
        return document_of({**self.to_dict(), "lifecycle": lifecycle, **self.stamp()})


def stamped(appointment: Appointment, stamp: Stamp) -> AppointmentAnswer:
    """The appointment as an answer."""
    return AppointmentAnswer(**appointment.to_dict(), lifecycle=appointment.lifecycle, **stamp_fields(stamp))


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Owners(Stamped, Listed[OwnerCounts]):
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

    def to_json(self) -> dict[str, Any]:
        """The document of `appointments talents --json`, ready for `json.dumps`."""
        owners = [
            {f"{self.side}_id": one.owner_id, "PLANNED": one.planned, "DONE": one.done, "CANCELED": one.canceled}
            for one in self.owners
        ]
        return {self.side.plural: owners, **self.stamp(), "next": self.next}
