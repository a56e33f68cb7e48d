"""Limits of size, number and time: what a client may ask of the service, and what it cannot hold up."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from projections.web import guard, server
from projections.web.app import Service
from projections.web.configuration import Access
from tests.conftest import Place
from tests.support.builders import as_json, as_lines, envelope
from tests.support.generations import wait_until
from tests.support.outboxes import stored_ids
from tests.support.serving import serve_process, served

TOKEN = "t" * 32
BEARER = {"Authorization": f"Bearer {TOKEN}"}
POOL_THREADS = 40  # of Starlette, for the routes that ask the database

CONTENT = as_json(envelope(1))


def service(place: Place) -> Service:
    appointments = place.appointments()
    appointments.install()
    return Service(appointments=appointments, intake=appointments, access=Access(intake_token=TOKEN))


@pytest.fixture
def client(sqlite_place: Place) -> Iterator[httpx.Client]:
    with served(service(sqlite_place)) as client:
        yield client


def connected(client: httpx.Client, sent: bytes = b"") -> socket.socket:
    """A connection on which something was sent."""
    connection = socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=30)
    connection.sendall(sent)
    return connection


def delivery(length: int) -> bytes:
    """The beginning of a delivery whose sender waits until the service asks for its content."""
    return (
        f"POST /envelopes HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Content-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
    ).encode()


def begun(client: httpx.Client, length: int) -> socket.socket:
    """A connection with a delivery that is under way and goes on only if the test does."""
    connection = connected(client, delivery(length))
    assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
    return connection


def test_headers_that_are_too_long_are_refused(client: httpx.Client) -> None:
    with connected(
        client, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * server.HEADER_BYTES_MAX
    ) as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /talents/\xe9 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /talents/a b HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: other\r\n\r\n",
        b"POST /envelopes HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /envelopes HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"POST /envelopes HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x02\x00\r\n\r\n",
    ],
)
def test_what_is_no_request_of_http_is_told_so_in_a_problem_document(client: httpx.Client, sent: bytes) -> None:
    with connected(client, sent) as connection:
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 401 "))
    assert json.loads(body)["status"] in (400, 401)


def test_a_delivery_whose_length_a_proxy_may_read_otherwise_is_refused(
    client: httpx.Client, sqlite_place: Place
) -> None:
    sent = delivery(5).replace(b"Expect: 100-continue", b"Transfer-Encoding: chunked") + b"0\r\n\r\n"
    with connected(client, sent) as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 400 ")
    assert sqlite_place.events().head() == 0


def test_an_address_that_is_too_long_is_refused(client: httpx.Client) -> None:
    assert client.get(f"/talents/{'x' * server.HEADER_BYTES_MAX}").status_code == 400


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: local"])
def test_a_client_that_does_not_send_its_request_is_disconnected(
    sqlite_place: Place, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(server, "HEADER_SECONDS_MAX", 0.1)
    with served(service(sqlite_place)) as client, connected(client, sent) as connection:
        assert connection.recv(100) == b""


def test_a_client_that_does_not_read_its_answer_is_disconnected(
    sqlite_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "STALL_SECONDS_MAX", 0.1)
    with served(service(sqlite_place)) as client:
        sqlite_place.events().append([envelope(1, description="x" * 8_000_000)])
        sqlite_place.projector().catch_up()
        with connected(client) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(b"GET /api/talents/talent-1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            connection.recv(1)
            wait_until(lambda: is_cut_off(connection))


def is_cut_off(connection: socket.socket) -> bool:
    try:
        connection.send(b" ")
    except ConnectionError:
        return True
    return False


def test_more_requests_at_once_than_the_limit_are_asked_to_come_back_and_health_is_still_told(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "REQUESTS_MAX", 2)
    with begun(client, 10), begun(client, 10):
        refused = client.get("/api/talents")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 200


def test_slow_clients_hold_no_thread(client: httpx.Client) -> None:
    client.get("/api/talents")
    before = threading.active_count()
    with ExitStack() as stack:
        for _ in range(POOL_THREADS + 10):
            connection = stack.enter_context(begun(client, len(CONTENT)))
            connection.sendall(CONTENT[:20])
        assert client.get("/api/talents").status_code == 200
        assert client.post("/envelopes", content=CONTENT, headers=BEARER).json()["appended"] == 1
        assert threading.active_count() - before <= 2


def takes_nothing_new(url: str) -> bool:
    try:
        httpx.get(f"{url}/healthz")
    except httpx.ConnectError:
        return True
    return False


def token_file(folder: Path) -> str:
    (folder / "token").write_text(TOKEN)
    return str(folder / "token")


def test_a_delivery_under_way_when_the_service_is_asked_to_end_is_completed(
    durable_place: Place, tmp_path: Path
) -> None:
    durable_place.appointments().install()
    with ExitStack() as stack:
        running = stack.enter_context(
            serve_process(*durable_place.arguments, "--intake", "--project", "--token-file", token_file(tmp_path))
        )
        client = stack.enter_context(running.client())
        connection = stack.enter_context(begun(client, len(CONTENT)))
        connection.sendall(CONTENT[:20])
        running.process.terminate()
        wait_until(lambda: takes_nothing_new(running.url))
        connection.sendall(CONTENT[20:])
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
        assert running.process.wait(10) == 0
    assert durable_place.events().count() == 1


def test_a_delivery_that_does_not_go_on_does_not_hold_up_the_end(
    sqlite_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "SHUTDOWN_SECONDS", 2.0)
    began = time.monotonic()
    with ExitStack() as stack:
        client = stack.enter_context(served(service(sqlite_place)))
        stack.enter_context(begun(client, 10)).sendall(b"{")
        began = time.monotonic()
    assert time.monotonic() - began < 5
    assert sqlite_place.events().head() == 0


def test_a_service_that_is_killed_lost_nothing_that_it_acknowledged(durable_place: Place, tmp_path: Path) -> None:
    durable_place.appointments().install()
    deliveries = [
        [envelope(number, id=f"a{number}") for number in range(first, first + 10)] for first in range(1, 4001, 10)
    ]
    acknowledged: list[int] = []
    with ExitStack() as stack:
        options = [*durable_place.arguments, "--intake", "--token-file", token_file(tmp_path)]
        running = stack.enter_context(serve_process(*options))
        client = stack.enter_context(running.client())

        def deliver() -> None:
            try:
                for number, one in enumerate(deliveries):
                    client.post("/envelopes", content=as_lines(one), headers=BEARER).raise_for_status()
                    acknowledged.append(number)
                    if number == 5:
                        enough.set()
            except httpx.TransportError:
                return

        enough = threading.Event()
        sender = threading.Thread(target=deliver)
        sender.start()
        enough.wait(30)
        running.process.kill()
        sender.join()
    events = durable_place.events()
    stored = set(stored_ids(events))
    assert 5 < len(acknowledged) < len(deliveries)
    assert {one["id"] for number in acknowledged for one in deliveries[number]} <= stored
    assert len(stored) % 10 == 0  # each delivery whole or not at all
    assert events.append(one for part in deliveries for one in part).appended == 4000 - len(stored)
