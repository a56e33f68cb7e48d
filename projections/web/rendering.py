"""Pages from templates: whatever comes from outside is escaped, and every time is shown by the clocks of a zone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta, tzinfo
from enum import Enum
from functools import cache
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlencode

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context

from projections.queries.times import iso, local, zone_label
from projections.rows import Side
from projections.web.problems import RETRY_SECONDS

TITLE_CHARACTERS_MAX: Final = 160
"""How much of a title a list shows; the page of the appointment shows all of it."""

_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def page(
    template: str, status: HTTPStatus = HTTPStatus.OK, *, zone: tzinfo | None = None, **values: Any
) -> HTMLResponse:
    """An answer with a rendered template, whose times are shown in a zone."""
    text = _environment().get_template(template).render(zone=zone, zone_name=zone_label(zone), **values)
    headers = {"Retry-After": str(RETRY_SECONDS)} if status is HTTPStatus.SERVICE_UNAVAILABLE else {}
    return HTMLResponse(text, status, headers)


def error_page(status: HTTPStatus, error: str) -> HTMLResponse:
    """An answer that says what was wrong, and what was expected."""
    return page("error.html", status, title=status.phrase.capitalize(), error=error)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("projections.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "clock": _clock,
        "code": _code,
        "day": _day,
        "hour": _hour,
        "iso": iso,
        "moment": _moment,
        "offset": _offset,
        "query": _query,
        "shortened": _shortened,
        "shown": shown,
        "value": _value,
    }
    environment.globals |= {"appointment_url": appointment_url, "owner_url": owner_url, "duration": _duration}
    return environment


def appointment_url(appointment_id: str, query: Mapping[str, str] | None = None) -> str:
    """The address of an appointment's page."""
    return _url("appointments", appointment_id, query)


def owner_url(side: str, owner_id: str, query: Mapping[str, str] | None = None) -> str:
    """The address of a talent's or a coach's page."""
    return _url(Side(side).plural, owner_id, query)


def _url(place: str, one_id: str, query: Mapping[str, str] | None) -> str:
    """An address; the ids . and .. go into the query, because clients would take them for steps of the path."""
    parameters = dict(query or {})
    segment = quote(one_id, safe="")
    if one_id in (".", ".."):
        parameters, segment = {"id": one_id, **parameters}, ""
    return f"/{place}/{segment}{_query(parameters)}"


def _query(parameters: Mapping[str, str]) -> str:
    return f"?{urlencode(parameters)}" if parameters else ""


def shown(text: str) -> str:
    """A text without control characters, which no page may hold; ends of lines and tabs stay."""
    return _CONTROLS.sub("\ufffd", text)


def _shortened(text: str) -> str:
    one_line = " ".join(shown(text[: 4 * TITLE_CHARACTERS_MAX]).split())
    if len(one_line) <= TITLE_CHARACTERS_MAX:
        return one_line or "Without a title"
    return f"{one_line[:TITLE_CHARACTERS_MAX]}…"


def _code(value: str) -> str:
    """A code of the publisher as words: COACH_NO_LONGER_AVAILABLE is "coach no longer available"."""
    return value.replace("_", " ").lower()


def _day(day: date) -> str:
    return f"{day:%A} {day.day} {day:%B} {day.year}"


@pass_context
def _hour(context: Context, moment: datetime) -> str:
    return f"{local(moment, context['zone']):%H:%M}"


@pass_context
def _offset(context: Context, moment: datetime) -> str:
    """What the clocks of the zone are called at a moment: CET or CEST."""
    return f"{local(moment, context['zone']):%Z}"


@pass_context
def _clock(context: Context, moment: datetime) -> str:
    """A moment to the minute, such as "10 July 2023, 09:00 CEST"."""
    there = local(moment, context["zone"])
    return f"{there.day} {there:%B} {there.year}, {there:%H:%M %Z}".rstrip()


@pass_context
def _moment(context: Context, moment: datetime) -> str:
    """A moment to the second."""
    there = local(moment, context["zone"])
    return f"{there.day} {there:%B} {there.year}, {there:%H:%M:%S %Z}".rstrip()


@pass_context
def _value(context: Context, value: object) -> str:
    """The value of a field of an appointment."""
    match value:
        case None:
            return "none"
        case datetime():
            return str(_moment(context, value))
        case Enum():
            return str(value.value)
    return shown(str(value))


def _duration(start: datetime, end: datetime | None) -> str:
    """How long something takes: "45 min", "1 h 30 min", "2 days"."""
    if end is None or end <= start:
        return ""
    minutes = round((end - start) / timedelta(minutes=1))
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} days"
    return " ".join(part for part in (f"{hours} h" if hours else "", f"{minutes} min" if minutes else "") if part)
