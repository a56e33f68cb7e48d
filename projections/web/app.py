"""The HTTP application of one installation: its routes, and what it answers them with."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from importlib.metadata import version

from fastapi import FastAPI
from starlette.types import ASGIApp

from projections.appointments import Appointments
from projections.follower import Follower
from projections.web import api
from projections.web.configuration import Access
from projections.web.errors import tell_errors
from projections.web.feed import add_feed
from projections.web.guard import Guard
from projections.web.health import add_health
from projections.web.intake import add_intake
from projections.web.live import add_live
from projections.web.openapi import describe
from projections.web.pages import add_pages
from projections.web.problems import answer_with_problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What the routes of one application share.

    Attributes:
        appointments: the installation that is asked.
        intake: the same installation as a role that may append; None where nothing is taken in.
        access: who may do what.
        follower: what projects in this process; None where that is another's work.
        closing: set when the service ends; streams end then.
    """

    appointments: Appointments
    intake: Appointments | None = None
    access: Access = field(default_factory=Access)
    follower: Follower | None = None
    closing: asyncio.Event = field(default_factory=asyncio.Event)


def create_app(service: Service) -> ASGIApp:
    """The application as a server runs it, with its guard in front."""
    app = FastAPI(
        title="Appointments",
        version=version("appointments"),
        description="Schedules of talents and coaches, projected from published envelopes.",
        openapi_url=None,  # that is `describe`'s, and the two pages of it would load scripts from elsewhere
        redirect_slashes=False,
    )
    answer_with_problems(app)
    tell_errors(app)
    app.state.appointments = service.appointments
    app.include_router(api.router)
    add_health(app, service.appointments, service.follower)
    if service.intake is not None:
        add_intake(app, service.intake, service.access)
    add_pages(app, service.appointments)
    add_feed(app, service.appointments)
    add_live(app, service.appointments.schedules, service.closing)
    describe(app, asks_for_token=service.access.token is not None)
    return Guard(app, access=service.access)
