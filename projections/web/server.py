"""Runs an application on an address until a signal asks for the end, within limits of size and time."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from asyncio import TimerHandle, Transport
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final, cast

import uvicorn
from starlette.types import ASGIApp
from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from domain.errors import UsageError
from projections.logs import LogEvent, tell
from projections.web.problems import problem

HEADER_BYTES_MAX: Final = 32 * 1024
"""The most that the request line and the headers of a request may have together."""

_EXPECTED: Final = (
    f"expected HTTP/1.1: an address in ASCII, one Host header, at most {HEADER_BYTES_MAX:,} bytes of headers, "
    "and a body of the length or in the chunks that they tell"
)

HEADER_SECONDS_MAX: Final = 10.0
"""How long they may take to arrive."""

STALL_SECONDS_MAX: Final = 30.0
"""How long a client may read nothing of an answer that waits for it."""

CONNECTIONS_MAX: Final = 2_000
"""How many connections may be open at once."""

ALIVE_SECONDS: Final = 60.0
"""How often it tells that it lives."""

SHUTDOWN_SECONDS: Final = 10.0
"""Within how many seconds after a signal the process is gone; what is under way may finish in the first nine."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on an address; port 0 is any free one.

    Raises:
        UsageError: there is no such address here, or another program has it.
    """
    try:
        [(family, *_, address), *_] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        listening = socket.create_server(cast("tuple[str, int]", address[:2]), family=family)
    except OSError as error:
        is_of_system = error.errno is not None and error.errno > 0
        reason = os.strerror(error.errno or 0) if is_of_system else error.strerror
        raise UsageError(f"cannot listen on {host} port {port}: {reason}") from error
    # Connections inherit it. Without it an answer's body waits 40 ms until the client has confirmed the headers.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def address_of(listening: socket.socket) -> str:
    """The address of a listening socket as a URL."""
    host, port, *_ = listening.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def end_in_time(exit_status: int) -> None:
    """Ends this process after `SHUTDOWN_SECONDS`, unless it has ended by itself: a thread may wait for a database."""
    timer = threading.Timer(SHUTDOWN_SECONDS, os._exit, [exit_status])
    timer.daemon = True
    timer.start()


class Server(uvicorn.Server):
    """Serves an application; `stop` may be called from a signal handler."""

    def __init__(self, app: ASGIApp, *, closing: asyncio.Event, ready: Callable[[], None]) -> None:
        self._closing = closing
        self._ready = ready
        self._told_at = time.monotonic()
        super().__init__(
            uvicorn.Config(
                cast("Any", app),
                http=_Connection,
                ws="none",
                lifespan="off",
                loop="asyncio",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                limit_concurrency=CONNECTIONS_MAX,
                h11_max_incomplete_event_size=HEADER_BYTES_MAX,
                timeout_graceful_shutdown=int(SHUTDOWN_SECONDS - 1),
            )
        )

    def run_on(self, listening: socket.socket) -> None:
        """Serves on a socket until `stop` is called."""
        self.run([listening])

    def stop(self) -> None:
        """Asks for the end: no new request is taken, and what is under way may finish."""
        self.should_exit = True

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to listen, and says so."""
        await super().startup(sockets)
        self._ready()

    @override
    async def on_tick(self, counter: int) -> bool:
        """Tells once a minute that it lives, and how many requests it answered so far."""
        now = time.monotonic()
        if now - self._told_at >= ALIVE_SECONDS:
            state = self.server_state
            tell(LogEvent.ALIVE, requests=state.total_requests, connections=len(state.connections))
            self._told_at = now
        return await super().on_tick(counter)

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Lets streams end, then waits for what is under way."""
        self._closing.set()
        await super().shutdown(sockets)

    @override
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals to the command."""
        yield


class _Connection(H11Protocol):
    """A connection whose client may neither send its request for ever nor leave an answer unread for ever."""

    _header_timer: TimerHandle | None = None
    _stall_timer: TimerHandle | None = None

    @override
    def connection_made(self, transport: Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        self._await_header()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._header_arrived()
        self.resume_writing()
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        if self._header_timer is None and not self._is_answering():
            self._await_header()
        super().data_received(data)
        if self._is_answering():
            self._header_arrived()

    @override
    def pause_writing(self) -> None:
        self._stall_timer = self.loop.call_later(STALL_SECONDS_MAX, self.transport.abort)
        super().pause_writing()

    @override
    def resume_writing(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None
        super().resume_writing()

    @override
    def on_response_complete(self) -> None:
        self._header_arrived()
        super().on_response_complete()

    @override
    def send_400_response(self, msg: str) -> None:
        """Says what was expected, unless another answer is under way; ends the connection."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete or not cycle.response_started:
            answer = problem(HTTPStatus.BAD_REQUEST, _EXPECTED)
            headers = b"".join(b"%s: %s\r\n" % header for header in answer.raw_headers)
            self.transport.write(
                b"HTTP/1.1 400 Bad Request\r\n%sconnection: close\r\n\r\n%s" % (headers, bytes(answer.body))
            )
        self.transport.close()

    def _is_answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _await_header(self) -> None:
        self._header_timer = self.loop.call_later(HEADER_SECONDS_MAX, self.timeout_keep_alive_handler)

    def _header_arrived(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None
