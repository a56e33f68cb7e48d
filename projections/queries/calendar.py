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
    try:
        from icalendar import Calendar, Event, Timezone, TimezoneStandard, vDuration
    except ImportError:
        raise UsageError("calendars need the icalendar library: pip install 'appointments[ical]'") from None
    calendar = Calendar()
    calendar.add("prodid", "-//appointments//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", "Appointments")
    calendar.add("refresh-interval", vDuration(REFRESH), parameters={"VALUE": "DURATION"})
    calendar.add("x-published-ttl", "PT1H")
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
        calendar.add_component(event)
    if not calendar.subcomponents:  # the standard asks for a component, and some programs insist
        always = TimezoneStandard()
        always.add("dtstart", datetime(1970, 1, 1))  # noqa: DTZ001 - in the zone's own time
        always.add("tzoffsetfrom", timedelta(0))
        always.add("tzoffsetto", timedelta(0))
        utc = Timezone()
        utc.add("tzid", "UTC")
        utc.add_component(always)
        calendar.add_component(utc)
    return bytes(calendar.to_ical(sorted=False))  # the order sorted by differs between its versions


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
