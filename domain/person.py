"""A person: a talent or a coach, by id."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, Protocol


class Side(StrEnum):
    """Whose schedule it is."""

    TALENT = "talent"
    COACH = "coach"

    @property
    def other(self) -> Side:
        """The opposite side: the counterpart's."""
        return Side.COACH if self is Side.TALENT else Side.TALENT

    @property
    def plural(self) -> str:
        """The plural, for people and for JSON: "talents" or "coaches"."""
        return "talents" if self is Side.TALENT else "coaches"

    def owner_of(self, appointment: Meeting) -> str:
        """The id of the appointment's talent or coach."""
        return appointment.talent_id if self is Side.TALENT else appointment.coach_id


class Meeting(Protocol):
    """What names a talent and a coach: an appointment, or a snapshot of one."""

    @property
    def talent_id(self) -> str:
        """The talent."""

    @property
    def coach_id(self) -> str:
        """The coach."""


class Person(NamedTuple):
    """A talent or a coach; the same id on the other side is somebody else."""

    side: Side
    id: str
