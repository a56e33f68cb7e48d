"""The calendar feed of one person, for programs that subscribe to it."""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from importlib.metadata import version
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import Response

from projections.appointments import Appointments
from projections.queries.schedule import Schedule
from projections.rows import Side
from projections.web.problems import problem

_SUFFIX: Final = ".ics"


def add_feed(app: FastAPI, appointments: Appointments) -> None:
    """Adds `/calendar/TOKEN.ics`, which asks for nothing but its token."""

    @app.api_route("/calendar/{name}", methods=["GET", "HEAD"], include_in_schema=False)
    def calendar(request: Request, name: str) -> Response:
        link = appointments.calendar_links.find(name.removesuffix(_SUFFIX)) if name.endswith(_SUFFIX) else None
        if link is None:
            return problem(HTTPStatus.NOT_FOUND, "there is no such calendar, or its link was revoked")
        if link.side is Side.TALENT:
            schedule = appointments.schedules.talent(link.owner_id, include_deleted=True)
        else:
            schedule = appointments.schedules.coach(link.owner_id, include_deleted=True)
        tag = _tag(schedule)
        # Kept by the subscriber alone, and asked for anew each time: that is what the tag is for.
        headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
        if tag in {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}:
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(schedule.to_ical(), media_type="text/calendar; charset=utf-8", headers=headers)


def _tag(schedule: Schedule) -> str:
    """Another one whenever the calendar is: when an envelope came, or when a person was forgotten."""
    digest = hashlib.sha256(f"{version('appointments')} {schedule.side} {schedule.owner_id}".encode())
    for one in schedule:
        digest.update(
            f"\0{one.id}\0{one.event_id}\0{one.revision}\0{one.title}\0{one.talent_id}\0{one.coach_id}".encode()
        )
    return f'"{digest.hexdigest()[:32]}"'
