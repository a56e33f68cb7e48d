"""A schedule as an iCalendar file, RFC 5545; the extra `ical` brings the library for it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from domain.appointment import Appointment
from domain.envelope import Status
from domain.errors import UsageError
from projections.rows import Side

_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def ical_of(appointments: Iterable[Appointment], side: Side) -> bytes:
    """Writes appointments as a calendar in UTC, leaving out those without a date.

    Raises:
        UsageError: the `icalendar` library is not installed.
    """
    try:
        from icalendar import Calendar, Event
    except ImportError:
        raise UsageError("calendars need the icalendar library: pip install 'appointments[ical]'") from None
    calendar = Calendar()
    calendar.add("prodid", "-//appointments//EN")
    calendar.add("version", "2.0")
    for one in appointments:
        if one.start_date is None:
            continue
        modified = one.updated_at or one.created_at
        event = Event()
        event.add("uid", _text(one.id))
        event.add("sequence", one.revision - 1)
        event.add("dtstamp", modified)
        event.add("last-modified", modified)
        event.add("created", one.created_at)
        event.add("dtstart", one.start_date)
        if one.end_date is not None and one.end_date > one.start_date:
            event.add("dtend", one.end_date)
        event.add("summary", _text(one.title))
        if one.description:
            event.add("description", _text(one.description))
        is_off = one.status is Status.CANCELED or one.deleted_at is not None
        event.add("status", "CANCELLED" if is_off else "CONFIRMED")
        event.add(f"x-{side.other}-id", _text(side.other.owner_of(one)))
        calendar.add_component(event)
    return bytes(calendar.to_ical())


def _text(value: str) -> str:
    """Replaces the control characters that RFC 5545 forbids: all but tabs and line ends."""
    return _CONTROLS.sub("\ufffd", value.replace("\r\n", "\n"))
