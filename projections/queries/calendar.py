"""A schedule as an iCalendar file, RFC 5545; the extra `ical` brings the library for it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from domain.appointment import Appointment
from domain.envelope import Status
from domain.errors import UsageError
from projections.rows import Side

REFRESH: Final = timedelta(hours=1)
"""How often a program that subscribes is asked to look again."""

_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def ical_of(appointments: Iterable[Appointment], side: Side) -> bytes:
    """Writes appointments as a calendar in UTC, leaving out those without a date.

    Raises:
        UsageError: the `icalendar` library is not installed.
    """
    return b"".join(ical_parts(appointments, side))


def ical_parts(appointments: Iterable[Appointment], side: Side) -> Iterator[bytes]:
    """The same in parts, each made when the caller comes to it.

    Raises:
        UsageError: the `icalendar` library is not installed.
    """
    try:
        import icalendar  # noqa: F401 - only whether it is there
    except ImportError:
        raise UsageError("calendars need the icalendar library: pip install 'appointments[ical]'") from None
    return _parts(appointments, side)


def _parts(appointments: Iterable[Appointment], side: Side) -> Iterator[bytes]:
    from icalendar import Calendar, vDuration

    calendar = Calendar()
    calendar.add("prodid", "-//appointments//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", "Appointments")
    calendar.add("refresh-interval", vDuration(REFRESH), parameters={"VALUE": "DURATION"})
    calendar.add("x-published-ttl", "PT1H")
    head, end = calendar.to_ical(sorted=False).split(b"END:VCALENDAR")
    yield head
    events = (_event(one, one.start_date, side) for one in appointments if one.start_date is not None)
    first = next(events, None)
    yield _some_component() if first is None else first
    yield from events
    yield b"END:VCALENDAR" + end


def _event(one: Appointment, start: datetime, side: Side) -> bytes:
    from icalendar import Event

    modified = one.updated_at or one.created_at
    event = Event()
    event.add("uid", _text(one.id))
    event.add("sequence", one.revision - 1)
    event.add("dtstamp", modified)
    event.add("last-modified", modified)
    event.add("created", one.created_at)
    event.add("dtstart", start)
    if one.end_date is not None and one.end_date > start:
        event.add("dtend", one.end_date)
    event.add("summary", _text(one.heading))
    description = "\n\n".join(_descriptions(one))
    if description:
        event.add("description", _text(description))
    is_off = one.status is Status.CANCELED or one.deleted_at is not None
    event.add("status", "CANCELLED" if is_off else "CONFIRMED")
    event.add(f"x-{side.other}-id", _text(side.other.owner_of(one)))
    if one.canceled_by:
        event.add("x-canceled-by", one.canceled_by)
    if one.cancelation_reason:
        event.add("x-cancelation-reason", one.cancelation_reason)
    return bytes(event.to_ical(sorted=False))  # the order sorted by differs between its versions


def _some_component() -> bytes:
    """What an empty calendar has, because the standard asks for a component, and some programs insist."""
    from icalendar import Timezone, TimezoneStandard

    always = TimezoneStandard()
    always.add("dtstart", datetime(1970, 1, 1))  # noqa: DTZ001 - in the zone's own time
    always.add("tzoffsetfrom", timedelta(0))
    always.add("tzoffsetto", timedelta(0))
    utc = Timezone()
    utc.add("tzid", "UTC")
    utc.add_component(always)
    return bytes(utc.to_ical(sorted=False))


def _descriptions(one: Appointment) -> Iterator[str]:
    """What is said of an appointment: its description, and of a cancelation by whom, why, and in which words."""
    if one.description:
        yield one.description
    if one.status is Status.CANCELED:
        by = f" by {one.canceled_by}" if one.canceled_by else ""
        yield f"Canceled{by}" + (f": {one.cancelation_reason}" if one.cancelation_reason else "")
        if one.cancelation_explanation:
            yield one.cancelation_explanation
    if one.deleted_at is not None:
        yield "Deleted"


def _text(value: str) -> str:
    """Replaces the control characters that RFC 5545 forbids: all but tabs and line ends."""
    return _CONTROLS.sub("\ufffd", value.replace("\r\n", "\n"))
