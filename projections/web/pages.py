"""The pages for people: whole without any script, with their state in their address."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import wraps
from http import HTTPStatus
from importlib import resources
from itertools import islice
from typing import Final, ParamSpec

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response

from domain.appointment import Appointment
from domain.arguments import identifier
from domain.errors import AppointmentNotFound, AppointmentsError, Forgotten, UsageError
from projections.appointments import Appointments
from projections.queries.schedules import Schedules
from projections.rows import Side
from projections.web.addresses import id_of
from projections.web.problems import status_of
from projections.web.rendering import appointment_url, error_page, owner_url, page
from projections.web.schedule_page import APPOINTMENTS_MAX, schedule_page
from projections.web.view import ZONES, view_of
from projections.web.week import ROWS_AN_HOUR

OWNERS_MAX: Final = 25
"""How many talents and how many coaches the overview lists at once."""

QUARANTINED_MAX: Final = 100
"""How many quarantined items a page lists."""

LANES_MAX: Final = 4
"""How many appointments the grid shows side by side; the list has them all."""

_STATIC: Final = {
    "appointments.css": "text/css; charset=utf-8",
    "live.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}

_Parameters = ParamSpec("_Parameters")


def add_pages(app: FastAPI, appointments: Appointments) -> None:
    """Adds the pages and the files that they load."""
    pages = _Pages(appointments)
    routes: Mapping[str, Callable[..., Response]] = {
        "/": pages.overview,
        "/talents/": pages.talent,
        "/talents/{segment}": pages.talent,
        "/coaches/": pages.coach,
        "/coaches/{segment}": pages.coach,
        "/appointments/": pages.appointment,
        "/appointments/{segment}": pages.appointment,
        "/quarantine": pages.quarantine,
        "/static/{name}": _static,
    }
    for path, endpoint in routes.items():
        app.add_api_route(
            path, endpoint, methods=["GET", "HEAD"], include_in_schema=False, response_class=HTMLResponse
        )


def _explained(endpoint: Callable[_Parameters, Response]) -> Callable[_Parameters, Response]:
    """An endpoint whose foreseen errors are pages too."""

    @wraps(endpoint)
    def explained(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> Response:
        try:
            return endpoint(*args, **kwargs)
        except AppointmentsError as error:
            return error_page(status_of(error), str(error))

    return explained


class _Pages:
    def __init__(self, appointments: Appointments) -> None:
        self._appointments = appointments
        # Bound here, so that each is a function whose arguments are those of the address.
        self.overview = _explained(self._overview)
        self.talent = _explained(self._talent)
        self.coach = _explained(self._coach)
        self.appointment = _explained(self._appointment)
        self.quarantine = _explained(self._quarantine)

    def _overview(self, request: Request) -> Response:
        view, schedules = view_of(request.query_params), self._appointments.schedules
        searched = request.query_params.get("q", "").strip()
        if searched:
            identifier("id", searched)
        after = {side: request.query_params.get(f"after_{side}") or None for side in Side}
        return page(
            "overview.html",
            zone=view.zone,
            view=view,
            installation=self._appointments.status(),
            searched=searched,
            found=_found(schedules, searched, view.in_zone) if searched else [],
            owners=[
                schedules.talents(limit=OWNERS_MAX, after=after[Side.TALENT]),
                schedules.coaches(limit=OWNERS_MAX, after=after[Side.COACH]),
            ],
        )

    def _talent(self, request: Request, segment: str = "") -> Response:
        return self._schedule(request, Side.TALENT, segment)

    def _coach(self, request: Request, segment: str = "") -> Response:
        return self._schedule(request, Side.COACH, segment)

    def _schedule(self, request: Request, side: Side, segment: str) -> Response:
        owner_id, view = _id_in(request, segment), view_of(request.query_params)
        return page(
            "schedule.html",
            zone=view.zone,
            zones=ZONES,
            view=view,
            lanes_max=LANES_MAX,
            appointments_max=APPOINTMENTS_MAX,
            rows_an_hour=ROWS_AN_HOUR,
            shown_page=schedule_page(self._appointments.schedules, side, owner_id, view),
        )

    def _appointment(self, request: Request, segment: str = "") -> Response:
        appointment_id, view = _id_in(request, segment), view_of(request.query_params)
        schedules = self._appointments.schedules
        answer = schedules.appointment(appointment_id)
        return page(
            "appointment.html",
            zone=view.zone,
            zones=ZONES,
            view=view,
            one=answer,
            token=schedules.token(Side.TALENT, answer.talent_id),
            history=schedules.history(appointment_id),
        )

    def _quarantine(self, request: Request) -> Response:
        view, quarantine = view_of(request.query_params), self._appointments.events.quarantine
        after = _number(request.query_params.get("after") or "0")
        items = list(islice((item for item in quarantine.list() if item.number > after), QUARANTINED_MAX + 1))
        return page(
            "quarantine.html",
            zone=view.zone,
            view=view,
            count=len(quarantine),
            items=items[:QUARANTINED_MAX],
            next=items[QUARANTINED_MAX - 1].number if len(items) > QUARANTINED_MAX else None,
        )


def _id_in(request: Request, segment: str) -> str:
    return id_of(segment) if segment else request.query_params.get("id", "")


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise UsageError(f"after: expected the number of a quarantined item, found {text[:60]!r}", argument="after")
    return int(text)


def _found(schedules: Schedules, searched: str, query: Mapping[str, str]) -> list[tuple[str, str]]:
    """What has an id: a word for it and the address of its page."""
    found = []
    if _appointment_of(schedules, searched) is not None:
        found.append(("Appointment", appointment_url(searched, query)))
    for side, question in ((Side.TALENT, schedules.talent), (Side.COACH, schedules.coach)):
        with suppress(Forgotten):
            if len(question(searched, include_deleted=True, limit=1)):
                found.append((side.capitalize(), owner_url(side, searched, query)))
    return found


def _appointment_of(schedules: Schedules, appointment_id: str) -> Appointment | None:
    try:
        return schedules.appointment(appointment_id)
    except AppointmentNotFound:
        return None


def _static(name: str) -> Response:
    if name not in _STATIC:
        return error_page(HTTPStatus.NOT_FOUND, "there is no such file")
    content = (resources.files("projections.web") / "static" / name).read_bytes()
    return Response(content, media_type=_STATIC[name], headers={"Cache-Control": "private, max-age=300"})
