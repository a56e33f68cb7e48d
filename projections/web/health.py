"""Whether the service lives, whether it can answer, and what it measures."""

from __future__ import annotations

import logging
from http import HTTPStatus

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response

from domain.errors import StorageError
from projections.appointments import Appointments
from projections.follower import Follower
from projections.logs import LogEvent, reason_of, tell
from projections.metrics import CONTENT_TYPE, metrics_text
from projections.web.problems import problem


def add_health(app: FastAPI, appointments: Appointments, follower: Follower | None) -> None:
    """Adds `/healthz`, `/readyz` and `/metrics`."""

    @app.get("/healthz", include_in_schema=False)
    async def health() -> Response:
        """The process lives; nothing else is looked at, so that no restart is made for a database that is away."""
        return JSONResponse({"status": "alive"})

    @app.get("/readyz", include_in_schema=False)
    def readiness() -> Response:
        """Whether queries are answered and the follower goes on; open to everybody, so it does not say why not."""
        try:
            stamp = appointments.schedules.stamp(timeout=5)
        except StorageError as error:
            tell(LogEvent.NOT_READY, level=logging.WARNING, reason=reason_of(error))
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, "the database cannot be used now; the log says why")
        if follower is not None and follower.trouble is not None:
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, "the follower does not go on; the log says why")
        return JSONResponse({"status": "ready", **stamp.to_json()})

    @app.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        """The metrics of `status --prometheus`."""
        return Response(metrics_text(appointments), media_type=CONTENT_TYPE)
