"""What stands before every route: who may ask, under which name, how many at once, and what every answer carries."""

from __future__ import annotations

import base64
import logging
import os
import re
import time
import traceback
from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from projections.logs import LogEvent, tell
from projections.web.configuration import Access
from projections.web.errors import told
from projections.web.problems import problem

REQUESTS_MAX: Final = 200
"""How many requests are under way at once before further ones are asked to come back later."""

STREAMS_MAX: Final = 1_000
"""The same for pages that wait for changes; those take no thread."""

STREAMS: Final = "/live/"
"""How the paths of such pages' streams begin."""

_OPEN_ROUTES: Final = ("/healthz", "/readyz", "/calendar/", "/static/")
_HEALTH: Final = ("/healthz", "/readyz")
_INTAKE: Final = "/envelopes"

_UNAUTHORIZED: Final = "a valid token is needed"
_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="appointments", Basic realm="appointments", charset="UTF-8"'}
"""A browser then asks for the token, as the password of any name."""

_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_HOST: Final = re.compile(r"(?:\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<name>[^\[\]:@/\s]+?)\.?)(?::[0-9]{1,5})?")


class Guard:
    """An ASGI application in front of another: checks the request, then adds what every answer carries."""

    def __init__(self, app: ASGIApp, *, access: Access) -> None:
        self._app = app
        self._access = access
        self._under_way = {False: 0, True: 0}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Routes are found in the path as it was sent, so that an id may hold an encoded slash.
        scope["path"] = scope["raw_path"].decode("ascii", "replace")
        is_stream = scope["path"].startswith(STREAMS)
        answer = _Answer(send)
        began = time.perf_counter()
        refusal = self._refusal(scope, is_stream=is_stream)
        self._under_way[is_stream] += 1
        try:
            await (refusal or self._app)(scope, receive, answer.send)
        except Exception as error:  # noqa: BLE001 - the last place that can say something
            # Where an answer was begun, the server closes its connection before its end.
            _log_defect(scope, error)
        finally:
            self._under_way[is_stream] -= 1
            _log(scope, answer.status, time.perf_counter() - began)

    def _refusal(self, scope: Scope, *, is_stream: bool) -> Response | None:
        headers, path = Headers(scope=scope), str(scope["path"])
        if _host_of(headers.get("host", "")) not in self._access.hosts:
            detail = "this service is not known under that host name"
            return told(path, headers, HTTPStatus.MISDIRECTED_REQUEST, detail)
        if "content-length" in headers and "transfer-encoding" in headers:
            detail = "expected Content-Length or Transfer-Encoding, found both"  # a proxy may believe the other one
            return told(path, headers, HTTPStatus.BAD_REQUEST, detail, headers={"Connection": "close"})
        if path not in _HEALTH and self._under_way[is_stream] >= (STREAMS_MAX if is_stream else REQUESTS_MAX):
            return told(path, headers, HTTPStatus.SERVICE_UNAVAILABLE, "too many requests at once; try again")
        if self._access.token is None or path == _INTAKE or path.startswith(_OPEN_ROUTES):
            return None
        if any(self._access.opens(token) for token in (bearer_token(headers), _password(headers)) if token):
            return None
        return told(path, headers, HTTPStatus.UNAUTHORIZED, _UNAUTHORIZED, headers=_CHALLENGE)


def unauthorized() -> Response:
    """The answer to a program's request without a valid token."""
    return problem(HTTPStatus.UNAUTHORIZED, _UNAUTHORIZED, headers=_CHALLENGE)


def bearer_token(headers: Headers) -> str | None:
    """The token that a program presents."""
    kind, _, value = headers.get("authorization", "").partition(" ")
    return value.strip() if kind.lower() == "bearer" else None


def _password(headers: Headers) -> str | None:
    """The token that a person gave a browser, as the password of any name."""
    kind, _, value = headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        return base64.b64decode(value).decode().partition(":")[2]
    except ValueError:
        return None


def _host_of(header: str) -> str | None:
    """The name in a Host header without its port; None where the header is not of the form of RFC 9110."""
    found = _HOST.fullmatch(header)
    return None if found is None else (found["address"] or found["name"]).lower()


class _Answer:
    """Passes an answer on, with the headers that every answer carries, and remembers its status."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message.setdefault("headers", [])
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)


def _log(scope: Scope, status: int, seconds: float) -> None:
    """Names the route and never the path: paths hold the ids of persons."""
    tell(LogEvent.REQUEST, method=scope["method"], route=_route_of(scope), status=status, seconds=seconds)


def _log_defect(scope: Scope, error: Exception) -> None:
    if "APPOINTMENTS_TRACEBACK" in os.environ:
        traceback.print_exception(error)
    kind = type(error).__name__
    tell(LogEvent.DEFECT, level=logging.ERROR, method=scope["method"], route=_route_of(scope), kind=kind)


def _route_of(scope: Scope) -> str:
    return str(getattr(scope.get("route"), "path", "no route"))
