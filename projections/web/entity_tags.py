"""Entity tags: whether an answer that a client has is still true, without asking the question again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final

from fastapi import Request
from fastapi.responses import JSONResponse, Response

from projections.queries.schedules import Schedules
from projections.stores.base import Stamp

CACHING: Final = "private, no-cache"
"""A client may keep an answer for itself, and asks before it uses it again; with `no-store` it could not ask."""


def tagged(request: Request, schedules: Schedules, ask: Callable[[], dict[str, Any]], *, timeless: bool) -> Response:
    """The answer to a question as JSON with its entity tag, or 304 when the client has that answer.

    Args:
        request: who asks; the tag belongs to its path and query.
        schedules: what is asked.
        ask: asks the question.
        timeless: whether the answer only depends on what was projected and stored, and not on the present time or
            on a wait for more.
    """
    presented = request.headers.get("if-none-match", "")
    if not timeless:
        content = JSONResponse(ask())
        return _answer(content, _tag(request, bytes(content.body)), presented)
    tag = _tag(request, _state(schedules.stamp()))
    if _is_among(tag, presented):
        return _answer(Response(), tag, presented)
    # The tag is older than the answer, if anything: then the next request gets the answer again.
    return _answer(JSONResponse(ask()), tag, presented)


def _state(stamp: Stamp) -> bytes:
    return " ".join(map(str, stamp)).encode()


def _tag(request: Request, state: bytes) -> str:
    question = b"%s?%s" % (request.scope["raw_path"], request.scope["query_string"])
    digest = hashlib.blake2b(state, digest_size=15, key=hashlib.blake2b(question).digest())
    return f'"{digest.hexdigest()}"'


def _is_among(tag: str, presented: str) -> bool:
    return any(one.strip().removeprefix("W/") in (tag, "*") for one in presented.split(","))


def _answer(content: Response, tag: str, presented: str) -> Response:
    headers = {"ETag": tag, "Cache-Control": CACHING}
    if _is_among(tag, presented):
        return Response(status_code=304, headers=headers)
    content.headers.update(headers)
    return content
