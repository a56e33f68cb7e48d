"""Intake: what a publisher delivers is appended, and answered after the commit."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from tempfile import SpooledTemporaryFile
from typing import IO, Final, NotRequired

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.requests import ClientDisconnect
from typing_extensions import TypedDict

from domain.input.files import Input
from projections.appointments import Appointments
from projections.web.configuration import Access
from projections.web.guard import bearer_token, unauthorized
from projections.web.problems import PROBLEM, problem
from projections.web.signature import Signature

SOURCE: Final = "POST /envelopes"
"""What the quarantine names as the source of a delivered item."""

THREADS_MAX: Final = 8
"""How many deliveries are appended at once; appends take turns all the same, and others wait without a thread."""

_MIB: Final = 1024 * 1024
_MEMORY_BYTES: Final = _MIB
_CHUNK_BYTES: Final = 256 * 1024
_GZIP_SIGN: Final = b"\x1f\x8b"

_TYPES: Final = (
    "application/json", "application/x-ndjson", "application/jsonl", "application/gzip", "application/x-gzip",
    "application/octet-stream", "text/plain",
)  # fmt: skip
_EXPECTED: Final = "expected JSON, a JSON array or JSON Lines, plain or gzipped once"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a sender may deliver at once.

    Attributes:
        bytes_max: the bytes of a delivery as it is sent.
        unzipped_bytes_max: the bytes of a gzipped one when it is unzipped.
        seconds: how long a delivery may take to arrive.
        senders_max: how many may deliver at the same time.
    """

    bytes_max: int
    unzipped_bytes_max: int
    seconds: float
    senders_max: int


WITH_TOKEN: Final = Limits(256 * _MIB, 1024 * _MIB, 600.0, 64)
"""Of those whose token was seen before their delivery is received."""

SIGNED: Final = Limits(16 * _MIB, 256 * _MIB, 30.0, 64)
"""Of those whose signature is known to be true only when all of the delivery is there."""


class AppendDocument(TypedDict):
    """What became of a delivery: the document of `ingest --json`."""

    read: int
    appended: int
    duplicates: int
    ignored: int
    quarantined: int
    position: int
    masked: NotRequired[int]


class _Refused(Exception):  # noqa: N818 - not an error of the service
    """A delivery of which nothing is kept."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class _Senders:
    """Counts who is delivering, so that there are never more than may be."""

    def __init__(self) -> None:
        self._under_way: Counter[Limits] = Counter()

    @contextmanager
    def one_more(self, limits: Limits) -> Iterator[None]:
        if self._under_way[limits] >= limits.senders_max:
            raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE, "too many deliveries at once; try again")
        self._under_way[limits] += 1
        try:
            yield
        finally:
            self._under_way[limits] -= 1


def add_intake(app: FastAPI, appointments: Appointments, access: Access) -> None:
    """Adds `POST /envelopes`."""
    threads = CapacityLimiter(THREADS_MAX)
    senders = _Senders()

    @app.post(
        "/envelopes",
        tags=["intake"],
        openapi_extra={
            "requestBody": {"content": {one: {"schema": {}} for one in _TYPES}},
            "security": [{"bearer": []}, {"webhook": []}],
        },
        responses={
            200: {"model": AppendDocument, "description": "Committed; what was quarantined is kept as it came."},
            400: PROBLEM, 408: PROBLEM, 413: PROBLEM, 415: PROBLEM,
        },
    )  # fmt: skip
    async def deliver(request: Request) -> Response:
        """Appends one envelope, an array or JSON Lines, each also gzipped; answers after the commit."""
        token = bearer_token(request.headers)
        has_token = token is not None and access.opens_intake(token)
        is_signed = bool(access.webhook_secrets) and Signature.is_presented(request.headers)
        if not has_token and not is_signed:
            return unauthorized()
        limits = WITH_TOKEN if has_token else SIGNED
        signature = None if has_token else Signature(request.headers, access.webhook_secrets)
        try:
            with senders.one_more(limits), SpooledTemporaryFile(max_size=_MEMORY_BYTES) as body:
                _check_headers(request, limits)
                await _receive(request, body, limits, signature)
                if signature is not None and not signature.is_valid():
                    return unauthorized()
                return await run_sync(_append, appointments, body, limits, _encoding(request), limiter=threads)
        except _Refused as refusal:
            return problem(refusal.status, refusal.detail)


def _check_headers(request: Request, limits: Limits) -> None:
    kind = request.headers.get("content-type", _TYPES[0]).partition(";")[0].strip().lower()
    if kind not in _TYPES and not kind.endswith("+json"):
        raise _Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"{_EXPECTED}, found {kind[:60]!r}")
    encoding = _encoding(request)
    if encoding not in ("identity", "gzip"):
        raise _Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"{_EXPECTED}, found the encoding {encoding[:60]!r}")
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > limits.bytes_max:
        raise _too_large(limits.bytes_max)


def _encoding(request: Request) -> str:
    return request.headers.get("content-encoding", "identity").strip().lower()


async def _receive(request: Request, body: IO[bytes], limits: Limits, signature: Signature | None) -> None:
    """Puts all of the delivery into a file, so that nothing of one that is cut off is appended."""
    length = 0
    try:
        async with asyncio.timeout(limits.seconds):
            async for chunk in request.stream():
                length += len(chunk)
                if length > limits.bytes_max:
                    raise _too_large(limits.bytes_max)
                if signature is not None:
                    signature.update(chunk)
                if length > _MEMORY_BYTES:
                    await run_sync(body.write, chunk)
                else:
                    body.write(chunk)
    except TimeoutError:
        raise _Refused(
            HTTPStatus.REQUEST_TIMEOUT, f"the delivery did not arrive within {limits.seconds:g} s"
        ) from None
    except ClientDisconnect:
        raise _Refused(HTTPStatus.BAD_REQUEST, "the delivery was cut off") from None


def _append(appointments: Appointments, body: IO[bytes], limits: Limits, encoding: str) -> Response:
    """Appends and answers with the report; what was quarantined is safe, and delivering it again would not help."""
    body.seek(0)
    is_zipped = body.read(len(_GZIP_SIGN)) == _GZIP_SIGN
    if is_zipped:
        _check_gzip(body, limits.unzipped_bytes_max)
    elif encoding == "gzip":
        raise _Refused(HTTPStatus.BAD_REQUEST, "Content-Encoding says gzip, and the delivery is not gzipped")
    body.seek(0)
    report = appointments.events.append_files([Input(SOURCE, lambda: body.read(_CHUNK_BYTES), is_zipped=is_zipped)])
    return JSONResponse(report.to_json())


def _check_gzip(body: IO[bytes], bytes_max: int) -> None:
    """Reads all of a gzipped delivery once, before anything is appended of one that turns out to be damaged."""
    body.seek(0)
    length = 0
    try:
        with gzip.GzipFile(fileobj=body, mode="rb") as unzipped:
            while chunk := unzipped.read(_CHUNK_BYTES):
                if length == 0 and chunk.startswith(_GZIP_SIGN):
                    raise _Refused(HTTPStatus.BAD_REQUEST, f"{_EXPECTED}, found gzip within gzip")
                length += len(chunk)
                if length > bytes_max:
                    raise _too_large(bytes_max, "unzipped ")
    except (OSError, EOFError, zlib.error):
        raise _Refused(HTTPStatus.BAD_REQUEST, "the gzip of the delivery is damaged or ends too early") from None


def _too_large(bytes_max: int, when: str = "") -> _Refused:
    return _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a delivery may have {when}at most {bytes_max:,} bytes")
