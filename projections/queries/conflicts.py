"""Conflicts: PLANNED appointments of one schedule that overlap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.appointment import Appointment
from projections.queries.answer import Answer, Listed, counted


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two appointments that overlap, the earlier first, and from when to when they do.

    `start` equals `end` where one of them has no length.
    """

    first: Appointment
    second: Appointment
    start: datetime
    end: datetime


@dataclass(frozen=True, kw_only=True, repr=False)
class Conflicts(Answer, Listed[Conflict]):
    """The conflicts of one schedule, by start; iterable and sized.

    Attributes:
        as_of: the time up to whose publications this is, or None for the present.
        known_at: the time up to whose arrivals this is, or None for the present.
    """

    conflicts: tuple[Conflict, ...]
    as_of: datetime | None = None
    known_at: datetime | None = None

    @property
    def _elements(self) -> tuple[Conflict, ...]:
        return self.conflicts

    def __repr__(self) -> str:
        return f"<Conflicts: {counted(len(self), 'conflict')}>"

    def _document(self) -> Mapping[str, Any]:
        conflicts = [
            {"first": one.first.to_dict(), "second": one.second.to_dict(), "start": one.start, "end": one.end}
            for one in self.conflicts
        ]
        return {"conflicts": conflicts, **self.stamp.to_json()}


def conflicts_of(appointments: Iterable[Appointment]) -> Iterator[Conflict]:
    """Finds the pairs that overlap, by ascending start.

    Touching ends do not overlap. One of no length conflicts when it starts inside another, its start included.
    """
    dated = [(one.start_date, _end(one.start_date, one.end_date), one) for one in appointments if one.start_date]
    # The longer of two that begin together comes first: one of no length is inside it.
    dated.sort(key=lambda item: (item[0], item[0] - item[1], item[2].id))
    under_way: list[tuple[datetime, Appointment]] = []
    for start, end, one in dated:
        under_way = [(other_end, other) for other_end, other in under_way if other_end > start]
        for other_end, other in under_way:
            yield Conflict(other, one, start, min(end, other_end))
        under_way.append((end, one))


def _end(start: datetime, end: datetime | None) -> datetime:
    return start if end is None else max(start, end)
