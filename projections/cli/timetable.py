"""Prints schedules by day in local time, and single appointments."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, tzinfo
from itertools import count, groupby, islice
from typing import Final

from rich.text import Text

from domain.appointment import Appointment
from domain.envelope import Status
from projections.cli.terminal import (
    console,
    plain_table,
    show,
    show_lines,
    stacked,
    status_text,
    text,
    words_wrapped,
)
from projections.queries.answer import counted
from projections.queries.schedule import AppointmentAnswer
from projections.queries.streaming import ScheduleStream
from projections.queries.times import local, zone_label
from projections.rows import Side, span_of

_INDENT: Final = 36
"""The column of an appointment's details, to the right of its time, duration and status."""

_INDENT_NARROW: Final = 4
"""Their column on a narrow terminal, where they stand below the time."""

_LINES_AT_ONCE: Final = 1_000

NARROW: Final = 80
"""Terminals of fewer columns are narrow."""

WIDE: Final = 140
"""From this width on, the other person's id and the appointment's share a line."""


def print_schedule(schedule: ScheduleStream, zone: tzinfo | None) -> None:
    """Prints a schedule grouped by day while it is read, and the position and generation it was read at."""
    out = console()
    title = f"{schedule.side.capitalize()} {schedule.owner_id}"
    then = "" if schedule.as_of is None else f" as of {clock(schedule.as_of, zone)}"
    then += "" if schedule.known_at is None else f" as known at {clock(schedule.known_at, zone)}"
    out.print(text(title, "bold"), Text(then), sep="", soft_wrap=True)
    out.print(Text(f"Times in {zone_label(zone)}", style="dim"), soft_wrap=True)
    counter = count()
    lines = _schedule_lines(out.width, schedule, zone, counter)
    while batch := list(islice(lines, _LINES_AT_ONCE)):
        show_lines(out, batch)
    number, stamp = next(counter), schedule.stamp
    if number == 0:
        out.print("No appointments." if then == "" else "No appointments were known then.")
    lag = f", {stamp.lag:,} behind the event store" if stamp.lag else ""
    shown = f"{counted(number, 'appointment')}. " if number else ""
    out.print(f"\n{shown}Position {stamp.position:,}{lag}, generation {stamp.generation}.")
    if schedule.next:
        out.print(f"More: --after {schedule.next}", soft_wrap=True)


def _schedule_lines(
    width: int, schedule: ScheduleStream, zone: tzinfo | None, counter: Iterator[int]
) -> Iterator[Text]:
    for day, appointments in groupby(schedule, key=lambda one: _day(one, zone)):
        yield Text()
        yield Text(day, style="bold underline")
        for one in appointments:
            next(counter)
            yield from _entry(width, schedule.side, one, zone)


def _entry(width: int, side: Side, one: Appointment, zone: tzinfo | None) -> Iterator[Text]:
    """Yields the lines of one appointment, wrapped between words; ids and reasons stay whole."""
    head = Text.assemble(f"  {_hours(one, zone):<13}  {_duration(one):<7}  ", status_text(one.status))
    details = _details(side, one, is_wide=width >= WIDE)
    if width < NARROW:
        yield head
        yield from _indented(details, _INDENT_NARROW, width)
        return
    first, *rest = _indented(details, 0, width - _INDENT)
    head.pad_right(_INDENT - len(head))
    yield head.append_text(first)
    for line in rest:
        line.pad_left(_INDENT)
        yield line


def _details(side: Side, one: Appointment, *, is_wide: bool) -> Iterator[Text]:
    yield _headline(one)
    if one.status is Status.CANCELED and one.cancelation_explanation:
        yield text(one.cancelation_explanation, "yellow")
    counterpart, own = text(f"{side.other} {side.other.owner_of(one)}", "dim"), text(one.id, "dim")
    if is_wide:
        counterpart.append("  ")
        yield counterpart.append_text(own)
    else:
        yield from (counterpart, own)


def _indented(details: Iterator[Text], indent: int, width: int) -> Iterator[Text]:
    for detail in details:
        for line in words_wrapped(detail, width - indent):
            line.pad_left(indent)
            yield line


def _headline(one: Appointment) -> Text:
    marks = [
        f"rescheduled {one.reschedules}x" if one.reschedules else "",
        "irregular" if one.irregular else "",
        "deleted" if one.deleted_at else "",
        f"by {one.canceled_by}" if one.status is Status.CANCELED and one.canceled_by else "",
        one.cancelation_reason if one.status is Status.CANCELED and one.cancelation_reason else "",
    ]
    said = ", ".join(mark for mark in marks if mark)
    return Text.assemble(text(one.heading), Text(f"  ({said})" if said else "", style="yellow"))


def _day(one: Appointment, zone: tzinfo | None) -> str:
    if one.start_date is None:
        return "No date"
    start = local(one.start_date, zone)
    return f"{start:%A} {start.date()}"


def _hours(one: Appointment, zone: tzinfo | None) -> str:
    if one.start_date is None:
        return ""
    return hours(one.start_date, one.end_date, zone)


def hours(start: datetime, end: datetime | None, zone: tzinfo | None) -> str:
    """Returns begin and end in a zone, to the minute; `+1` marks an end on the next day."""
    first = local(start, zone)
    if end is None:
        return f"{first:%H:%M}"
    last = local(end, zone)
    days = (last.date() - first.date()).days
    return f"{first:%H:%M}-{last:%H:%M}" + (f"{days:+}" if days else "")


def _duration(one: Appointment) -> str:
    starts_at, ends_at = span_of(one)
    if starts_at is None or ends_at is None or one.end_date is None:
        return ""
    minutes = round((ends_at - starts_at) / 60_000)
    return f"{minutes} min" if minutes < 600 else f"{minutes // 60} h"


def clock(moment: datetime, zone: tzinfo | None) -> str:
    """Returns a time in a zone, to the second."""
    shown = local(moment, zone)
    return f"{shown.date()} {shown:%H:%M:%S %Z}".strip()


def print_appointment(answer: AppointmentAnswer, zone: tzinfo | None) -> None:
    """Prints one appointment field by field, then its lifecycle."""
    out = console()
    fields = plain_table("field", "value")
    fields.show_header = False
    for name, value in answer.to_dict().items():
        if value is not None:
            shown = clock(value, zone) if isinstance(value, datetime) else value
            fields.add_row(text(name, "dim"), status_text(value) if name == "status" else text(shown))
    lifecycle = plain_table("status", "envelope", "at", "by whom, why")
    for step in answer.lifecycle:
        lifecycle.add_row(
            status_text(step.status),
            str(step.event_id),
            clock(step.at, zone),
            stacked(step.canceled_by, step.cancelation_reason),
        )
    show(out, fields)
    out.print(Text("\nLifecycle", style="bold"))
    show(out, lifecycle)
    out.print(f"\nPosition {answer.position:,}, lag {answer.lag:,}, generation {answer.generation}.")
