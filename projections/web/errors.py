"""How an error is told: as a page to a person's browser, as a problem document to a program."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from projections.web.problems import defect, problem
from projections.web.rendering import error_page

NOWHERE: Final = "there is nothing at this address"

_FOR_PROGRAMS: Final = (
    "/api",
    "/envelopes",
    "/live/",
    "/calendar/",
    "/metrics",
    "/healthz",
    "/readyz",
    "/openapi.json",
)


def told(
    path: str, asked: Headers, status: HTTPStatus, detail: str, *, headers: Mapping[str, str] | None = None
) -> Response:
    """The answer that says what was wrong.

    Args:
        path: what was asked for.
        asked: the headers of the request; a browser says in them that it takes pages.
        status: what was wrong, as a status.
        detail: the same in words.
        headers: further headers of the answer.
    """
    if "text/html" not in asked.get("accept", "") or path.startswith(_FOR_PROGRAMS):
        return problem(status, detail, headers=headers)
    page = error_page(status, detail)
    page.headers.update(headers or {})
    return page


def tell_errors(app: FastAPI) -> None:
    """Lets browsers have pages about what no page was found for."""

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        status = HTTPStatus(error.status_code)
        detail = NOWHERE if error.detail == HTTPStatus.NOT_FOUND.phrase else str(error.detail)
        return told(request.url.path, request.headers, status, detail, headers=error.headers)

    @app.exception_handler(Exception)
    async def unforeseen_error(request: Request, error: Exception) -> Response:
        return told(request.url.path, request.headers, HTTPStatus.INTERNAL_SERVER_ERROR, defect(error))
