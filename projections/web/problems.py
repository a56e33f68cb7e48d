"""Errors as problem documents, RFC 9457: which error of the product is which HTTP status."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from typing_extensions import TypedDict

from domain.errors import (
    AppointmentNotFound,
    AppointmentsError,
    Forgotten,
    InputUnreadable,
    QuarantinedItemNotFound,
    ReadModelBehind,
    StorageError,
    UsageError,
)

MEDIA_TYPE: Final = "application/problem+json"

RETRY_SECONDS: Final = 5
"""After how many seconds one may try again what may work later."""


class ProblemDocument(TypedDict):
    """What was wrong, and what was expected."""

    type: str
    title: str
    status: int
    detail: str


PROBLEM_SCHEMA: Final = "Problem"
"""The name of its schema in the OpenAPI document."""

PROBLEM: Final[dict[str, Any]] = {
    "description": "A problem document.",
    "content": {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{PROBLEM_SCHEMA}"}}},
}
"""How the OpenAPI document says that a route may answer with a problem."""

_STATUSES: Final[tuple[tuple[type[AppointmentsError], HTTPStatus], ...]] = (
    (UsageError, HTTPStatus.BAD_REQUEST),
    (InputUnreadable, HTTPStatus.BAD_REQUEST),
    (AppointmentNotFound, HTTPStatus.NOT_FOUND),
    (Forgotten, HTTPStatus.GONE),
    (QuarantinedItemNotFound, HTTPStatus.NOT_FOUND),
    (ReadModelBehind, HTTPStatus.SERVICE_UNAVAILABLE),
    (StorageError, HTTPStatus.SERVICE_UNAVAILABLE),
)


def problem(status: HTTPStatus, detail: str, *, headers: Mapping[str, str] | None = None) -> Response:
    """A problem document. What may work later says after how many seconds to try again."""
    added = {"Retry-After": str(RETRY_SECONDS)} if status is HTTPStatus.SERVICE_UNAVAILABLE else {}
    return JSONResponse(
        {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail},
        status_code=status,
        media_type=MEDIA_TYPE,
        headers={**added, **(headers or {})},
    )


def problem_of(error: AppointmentsError) -> Response:
    """The problem document of an error of the product."""
    return problem(status_of(error), str(error))


def status_of(error: AppointmentsError) -> HTTPStatus:
    """The HTTP status that stands for an error of the product."""
    for kind, status in _STATUSES:
        if isinstance(error, kind):
            return status
    return HTTPStatus.INTERNAL_SERVER_ERROR


def answer_with_problems(app: FastAPI) -> None:
    """Lets the errors of the product, and requests that cannot be read, leave as problem documents."""

    @app.exception_handler(AppointmentsError)
    async def product_error(request: Request, error: AppointmentsError) -> Response:
        del request
        return problem_of(error)

    @app.exception_handler(RequestValidationError)
    async def unreadable_request(request: Request, error: RequestValidationError) -> Response:
        del request
        first = error.errors()[0]
        name = next((str(part) for part in first["loc"][1:]), "request")
        reason = first.get("ctx", {}).get("error") or first["msg"]
        return problem(HTTPStatus.BAD_REQUEST, f"{name}: {reason}")


def defect(error: Exception) -> str:
    """What is said of an error that nobody foresaw; its text may hold anything, so it is not told."""
    return f"a defect of this program: {type(error).__name__}"
