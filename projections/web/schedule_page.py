"""What the page of a schedule shows: one week of it, which appointments overlap, and where the next one is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from domain.appointment import Appointment
from domain.envelope import Status
from domain.identifiers import AppointmentId
from projections.queries.conflicts import conflicts_of
from projections.queries.schedule import Schedule
from projections.queries.schedules import Schedules
from projections.queries.times import local
from projections.rows import Side
from projections.web.view import View
from projections.web.week import Week, bounds_of, week_of

APPOINTMENTS_MAX: Final = 1_000
"""The most that one page shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulePage:
    """One week of a schedule.

    Attributes:
        overlaps: of a PLANNED appointment, the other ones at the same time.
        earlier: where the week is empty, the last appointment before it.
        later: where the week is empty, the first one after it.
        token: what `changes` gives since is what this page does not show yet.
    """

    side: Side
    owner_id: str
    view: View
    schedule: Schedule
    week: Week
    overlaps: dict[AppointmentId, list[Appointment]]
    today: date
    earlier: Appointment | None
    later: Appointment | None
    token: str


def schedule_page(schedules: Schedules, side: Side, owner_id: str, view: View) -> SchedulePage:
    """Asks what the page of a talent or a coach shows."""
    question: Callable[..., Schedule] = schedules.talent if side is Side.TALENT else schedules.coach
    asked: dict[str, Any] = {
        "as_of": view.as_of,
        "known_at": view.known_at,
        "status": view.status,
        "include_deleted": view.include_deleted,
    }
    start, end = bounds_of(view.week, view.zone)
    token = schedules.token(side, owner_id)
    schedule = question(owner_id, start=start, end=end, limit=APPOINTMENTS_MAX, **asked)
    undated = schedules.undated(side, owner_id, limit=APPOINTMENTS_MAX, **asked)
    earlier, later = None, None
    if not len(schedule):
        later = next(iter(question(owner_id, start=end, limit=1, **asked)), None)
        earlier = next(iter(question(owner_id, past=True, now=start, desc=True, limit=1, **asked)), None)
    return SchedulePage(
        side=side,
        owner_id=owner_id,
        view=view,
        schedule=schedule,
        week=week_of(view.week, view.zone, [*schedule, *undated]),
        overlaps=_overlaps(_planned(schedule, start, end, question, asked)),
        today=local(datetime.now(UTC), view.zone).date(),
        earlier=_dated(earlier),
        later=_dated(later),
        token=token,
    )


def _planned(
    schedule: Schedule, start: datetime, end: datetime, question: Callable[..., Schedule], asked: dict[str, Any]
) -> list[Appointment]:
    """The planned appointments of a week, and those that one of them overlaps before the week or after it."""
    planned = [
        one
        for one in schedule
        if one.status is Status.PLANNED and one.deleted_at is None and one.start_date is not None
    ]
    first = min((one.start_date for one in planned if one.start_date), default=start)
    last = max((one.end_date for one in planned if one.end_date), default=end)
    if start <= first and last <= end:
        return planned
    wider = asked | {"status": Status.PLANNED, "include_deleted": False}
    return list(question(schedule.owner_id, start=min(start, first), end=max(end, last), **wider))


def _overlaps(planned: list[Appointment]) -> dict[AppointmentId, list[Appointment]]:
    found: dict[AppointmentId, list[Appointment]] = defaultdict(list)
    for conflict in conflicts_of(planned):
        found[conflict.first.id].append(conflict.second)
        found[conflict.second.id].append(conflict.first)
    return dict(found)


def _dated(one: Appointment | None) -> Appointment | None:
    return one if one is not None and one.start_date is not None else None
