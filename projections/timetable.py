"""Schedules and appointments as people like to read them: by day, in local time."""

from __future__ import annotations

from datetime import datetime, tzinfo
from itertools import groupby
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from domain.appointment import Appointment
from domain.envelope import Status
from projections.answers import AppointmentAnswer, Schedule
from projections.schedule import Side, span_of
from projections.terminal import console, plain_table, show, status_text, text
from projections.times import local

_COLUMNS: Final = (11, 6, 8)
"""The widths of the time, the duration and the status."""

WIDE: Final = 140
"""From this width on an appointment takes one line instead of two."""


def print_schedule(schedule: Schedule, zone: tzinfo | None) -> None:
    """Prints a schedule grouped by day, with what it is true of."""
    out = console()
    title = f"{schedule.side.capitalize()} {schedule.owner_id}"
    as_of = "" if schedule.as_of is None else f" as of {clock(schedule.as_of, zone)}"
    out.print(text(title, "bold"), Text(as_of), sep="", soft_wrap=True)
    if not len(schedule):
        out.print("No appointments." if as_of == "" else "No appointments then.")
    for day, appointments in groupby(schedule, key=lambda one: _day(one, zone)):
        out.print(Text(f"\n{day}", style="bold underline"))
        show(out, Padding(_timetable(out, schedule.side, list(appointments), zone), (0, 0, 0, 2)))
    lag = f", {schedule.lag:,} behind the event store" if schedule.lag else ""
    out.print(f"\n{_counted(schedule)}. Position {schedule.position:,}{lag}, generation {schedule.generation}.")
    if schedule.next:
        out.print(f"More: --after {schedule.next}", soft_wrap=True)


def _timetable(out: Console, side: Side, appointments: list[Appointment], zone: tzinfo | None) -> RenderableType:
    """The appointments of one day; with fixed columns, so that the days stand in line."""
    is_wide = out.width >= WIDE
    table = Table.grid(padding=(0, 2, 0, 0))
    rest = out.width - sum(_COLUMNS) - 2 * (len(_COLUMNS) + 1)
    for column in (*_COLUMNS, *((rest - 84, 42, 40) if is_wide else (rest,))):
        table.add_column(width=column, overflow="fold")
    for one in appointments:
        counterpart = text(f"{side.other} {side.other.owner_of(one)}", "dim")
        details: list[RenderableType] = [_headline(one), counterpart, text(one.id, "dim")]
        cells = details if is_wide else [Group(*details)]
        table.add_row(_hours(one, zone), _duration(one), status_text(one.status), *cells)
    return table


def _headline(one: Appointment) -> Text:
    marks = [
        f"rescheduled {one.reschedules}x" if one.reschedules else "",
        "irregular" if one.irregular else "",
        "deleted" if one.deleted_at else "",
        f"{one.canceled_by or ''} {one.cancelation_reason or ''}".strip() if one.status is Status.CANCELED else "",
    ]
    said = ", ".join(mark for mark in marks if mark)
    return Text.assemble(text(one.title), Text(f"  ({said})" if said else "", style="yellow"))


def _day(one: Appointment, zone: tzinfo | None) -> str:
    return "No date" if one.start_date is None else f"{local(one.start_date, zone):%A %Y-%m-%d}"


def _hours(one: Appointment, zone: tzinfo | None) -> str:
    if one.start_date is None:
        return ""
    start = f"{local(one.start_date, zone):%H:%M}"
    return start if one.end_date is None else f"{start}-{local(one.end_date, zone):%H:%M}"


def _duration(one: Appointment) -> str:
    starts_at, ends_at = span_of(one)
    if starts_at is None or ends_at is None or one.end_date is None:
        return ""
    minutes = round((ends_at - starts_at) / 60_000)
    return f"{minutes} min" if minutes < 600 else f"{minutes // 60} h"


def clock(moment: datetime, zone: tzinfo | None) -> str:
    """A moment by the clocks of a zone, to the second."""
    return f"{local(moment, zone):%Y-%m-%d %H:%M:%S %Z}".strip()


def _counted(schedule: Schedule) -> str:
    return "1 appointment" if len(schedule) == 1 else f"{len(schedule):,} appointments"


def print_appointment(answer: AppointmentAnswer, zone: tzinfo | None) -> None:
    """Prints one appointment field by field, then its lifecycle."""
    out = console()
    fields = plain_table("field", "value")
    fields.show_header = False
    for name, value in answer.to_dict().items():
        if value is not None:
            shown = clock(value, zone) if isinstance(value, datetime) else value
            fields.add_row(text(name, "dim"), status_text(value) if name == "status" else text(shown))
    lifecycle = plain_table("status", "envelope", "at", "who", "why")
    for step in answer.lifecycle:
        lifecycle.add_row(
            status_text(step.status),
            str(step.event_id),
            clock(step.at, zone),
            text(step.canceled_by),
            text(step.cancelation_reason),
        )
    show(out, fields)
    out.print(Text("\nLifecycle", style="bold"))
    show(out, lifecycle)
    out.print(f"\nPosition {answer.position:,}, lag {answer.lag:,}, generation {answer.generation}.")
