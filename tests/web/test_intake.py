"""Intake: what may be delivered, by whom, how much, and what is kept of it."""

from __future__ import annotations

import base64
import gzip
import hmac
import json
import random
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from projections import Appointments
from projections.web import intake
from projections.web.app import Service
from projections.web.configuration import Access
from tests import DATA
from tests.conftest import Place, in_file
from tests.support.builders import as_json, as_lines, envelope
from tests.support.serving import serve_process, served

TOKEN = "t" * 32
BEARER = {"Authorization": f"Bearer {TOKEN}"}
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"

ENVELOPES = [envelope(number, id=f"appointment-{number}") for number in range(1, 4)]


def service(place: Place) -> Service:
    appointments = place.appointments()
    return Service(
        appointments=appointments,
        intake=appointments,
        access=Access(intake_token=TOKEN, webhook_secrets=(OTHER_SECRET, SECRET)),
    )


@pytest.fixture
def client(place: Place) -> Iterator[httpx.Client]:
    with served(service(place)) as client:
        yield client


@pytest.fixture
def sqlite_client(sqlite_place: Place) -> Iterator[httpx.Client]:
    """What does not depend on the backend is shown on one."""
    with served(service(sqlite_place)) as client:
        yield client


@pytest.fixture(scope="module")
def refused_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Where nothing is ever kept, so that all who are refused may share it."""
    with in_file(tmp_path_factory.mktemp("refused")) as place:
        place.appointments().install()
        yield place


@pytest.fixture(scope="module")
def refusing_client(refused_place: Place) -> Iterator[httpx.Client]:
    with served(service(refused_place)) as client:
        yield client


def signed(content: bytes, *, secret: str = SECRET, age: timedelta = timedelta(0)) -> dict[str, str]:
    """The headers of a delivery as the library of Standard Webhooks signs it."""
    now = datetime.now(UTC) - age
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", now, content.decode()),
    }


def signed_bytes(content: bytes) -> dict[str, str]:
    """The same for bytes that are no text, which that library does not sign."""
    timestamp = str(int(datetime.now(UTC).timestamp()))
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    digest = hmac.digest(key, f"msg_1.{timestamp}.".encode() + content, "sha256")
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": "msg_1", "webhook-timestamp": timestamp, "webhook-signature": signature}


def report(appended: int = 0, *, duplicates: int = 0, quarantined: int = 0, position: int = 0) -> dict[str, int]:
    return {
        "read": appended + duplicates + quarantined, "appended": appended, "duplicates": duplicates, "ignored": 0,
        "quarantined": quarantined, "position": position,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (as_lines(ENVELOPES), {"Content-Type": "application/x-ndjson"}),
        (json.dumps(ENVELOPES).encode(), {"Content-Type": "application/json; charset=utf-8"}),
        (gzip.compress(as_lines(ENVELOPES)), {"Content-Type": "application/gzip"}),
        (gzip.compress(json.dumps(ENVELOPES).encode()), {"Content-Encoding": "gzip"}),
    ],
)
def test_whatever_ingest_takes_is_taken_and_answered_with_its_report(
    client: httpx.Client, content: bytes, headers: dict[str, str]
) -> None:
    answer = client.post("/envelopes", content=content, headers={**BEARER, **headers})
    assert (answer.status_code, answer.json()) == (200, report(3, position=3))
    again = client.post("/envelopes", content=as_json(ENVELOPES[0]), headers=BEARER)
    assert again.json() == report(duplicates=1, position=3)


def test_a_signed_delivery_is_taken_and_may_come_again(client: httpx.Client) -> None:
    example = (DATA / "VCSessionScheduledEvent.v1.example.json").read_bytes()
    assert client.post("/envelopes", content=example, headers=signed(example)).json() == report(1, position=1)
    assert client.post("/envelopes", content=example, headers=signed(example)).json() == report(
        duplicates=1, position=1
    )


def test_a_signed_delivery_may_be_gzipped_and_is_unzipped_within_its_limit(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = gzip.compress(CONTENT)
    assert signed_bytes(CONTENT).keys() == signed(CONTENT).keys()
    assert client.post("/envelopes", content=CONTENT, headers=signed_bytes(CONTENT)).json() == report(3, position=3)
    for encoding in ({}, {"Content-Encoding": "gzip"}):
        answer = client.post("/envelopes", content=content, headers=signed_bytes(content) | encoding)
        assert answer.json() == report(duplicates=3, position=3)
    twice = gzip.compress(content)
    assert client.post("/envelopes", content=twice, headers=signed_bytes(twice)).status_code == 400
    assert client.post("/envelopes", content=content, headers=signed_bytes(CONTENT)).status_code == 401
    monkeypatch.setattr(intake, "SIGNED", intake.Limits(100_000, len(CONTENT) - 1, 5, 64))
    assert client.post("/envelopes", content=content, headers=signed_bytes(content)).status_code == 413


def test_a_poison_envelope_is_quarantined_and_answered_with_200(client: httpx.Client, place: Place) -> None:
    content = b'{"id": 1, "eventName": "VCSessionScheduledEvent", }\n' + as_json(ENVELOPES[1])
    answer = client.post("/envelopes", content=content, headers=BEARER)
    assert (answer.status_code, answer.json()) == (200, report(1, quarantined=1, position=1))
    [item] = place.events().quarantine.list()
    assert (item.refused.source, item.refused.line) == ("POST /envelopes", 1)


CONTENT = as_lines(ENVELOPES)


# Made when the test runs: a signature says when it was made, and holds for a few minutes.
REFUSED: dict[str, Callable[[], dict[str, str]]] = {
    "nothing": dict,
    "another token": lambda: {"Authorization": f"Bearer {TOKEN}x"},
    "no password": lambda: {"Authorization": f"Basic {TOKEN}"},
    "an empty token": lambda: {"Authorization": "Bearer"},
    "another secret": lambda: signed(CONTENT, secret="whsec_" + "A" * 32),
    "other content": lambda: signed(CONTENT + b" "),
    "an old signature": lambda: signed(CONTENT, age=timedelta(minutes=6)),
    "a signature of the future": lambda: signed(CONTENT, age=timedelta(minutes=-6)),
    "another message": lambda: signed(CONTENT) | {"webhook-id": "msg_2"},
    "no base64": lambda: signed(CONTENT) | {"webhook-signature": "v1,%%%"},
    "another version": lambda: (
        signed(CONTENT) | {"webhook-signature": "v2" + signed(CONTENT)["webhook-signature"][2:]}
    ),
    "no time": lambda: signed(CONTENT) | {"webhook-timestamp": "yesterday"},
}


@pytest.mark.parametrize("what", REFUSED)
def test_without_a_valid_token_or_signature_the_answer_is_401_and_nothing_is_kept(
    refusing_client: httpx.Client, refused_place: Place, what: str
) -> None:
    answer = refusing_client.post("/envelopes", content=CONTENT, headers=REFUSED[what]())
    assert (answer.status_code, answer.json()["title"]) == (401, "Unauthorized")
    events = refused_place.events()
    assert (events.count(), len(events.quarantine)) == (0, 0)


def test_a_replayed_delivery_stores_nothing_twice(client: httpx.Client) -> None:
    headers = signed(CONTENT)
    assert client.post("/envelopes", content=CONTENT, headers=headers).json() == report(3, position=3)
    assert client.post("/envelopes", content=CONTENT, headers=headers).json() == report(duplicates=3, position=3)


@pytest.mark.parametrize(
    ("content", "headers", "status", "detail"),
    [
        (CONTENT, {"Content-Type": "image/png"}, 415, "found 'image/png'"),
        (CONTENT, {"Content-Type": "multipart/form-data; boundary=x"}, 415, "found 'multipart/form-data'"),
        (CONTENT, {"Content-Encoding": "br"}, 415, "found the encoding 'br'"),
        (CONTENT, {"Content-Encoding": "gzip"}, 400, "the delivery is not gzipped"),
        (gzip.compress(gzip.compress(CONTENT)), {}, 400, "found gzip within gzip"),
        (gzip.compress(CONTENT)[:-9], {}, 400, "damaged or ends too early"),
        (gzip.compress(CONTENT) + b"more", {}, 400, "damaged or ends too early"),
        (b"x" * 100_001, {}, 413, "at most 100,000 bytes"),
        (gzip.compress(b"x" * 1_000_001), {}, 413, "unzipped at most 1,000,000 bytes"),
    ],
)
def test_what_cannot_be_an_envelope_or_is_too_much_is_refused_whole(
    refusing_client: httpx.Client, refused_place: Place, monkeypatch: pytest.MonkeyPatch,
    content: bytes, headers: dict[str, str], status: int, detail: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(intake, "WITH_TOKEN", intake.Limits(100_000, 1_000_000, 5, 64))
    answer = refusing_client.post("/envelopes", content=content, headers={**BEARER, **headers})
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert detail in answer.json()["detail"]
    events = refused_place.events()
    assert (events.count(), len(events.quarantine)) == (0, 0)


def raw(client: httpx.Client, start: bytes) -> socket.socket:
    """A connection on which a request was begun."""
    connection = socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=30)
    connection.sendall(
        b"POST /envelopes HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + TOKEN.encode() + b"\r\n" + start
    )
    return connection


def test_a_delivery_that_is_cut_off_leaves_nothing(sqlite_client: httpx.Client, sqlite_place: Place) -> None:
    connection = raw(sqlite_client, f"Content-Length: {len(CONTENT) + 1}\r\n\r\n".encode() + CONTENT)
    connection.shutdown(socket.SHUT_WR)
    with closing(connection):
        connection.recv(1)  # the server has seen the end
    events = sqlite_place.events()
    events.install()
    assert (events.count(), len(events.quarantine)) == (0, 0)


def test_an_endless_delivery_ends_at_the_limit(sqlite_client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "WITH_TOKEN", intake.Limits(100_000, 1_000_000, 60, 64))
    with closing(raw(sqlite_client, b"Transfer-Encoding: chunked\r\n\r\n")) as connection:
        for _ in range(101):
            connection.sendall(b"3e8\r\n" + b"x" * 1000 + b"\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_delivery_that_takes_too_long_is_told_so(
    sqlite_client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "WITH_TOKEN", intake.Limits(100_000, 1_000_000, 0.1, 64))
    with closing(raw(sqlite_client, b"Content-Length: 10\r\n\r\n{")) as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 408 ")


def test_more_senders_than_may_deliver_at_once_are_asked_to_come_back(
    sqlite_client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "WITH_TOKEN", intake.Limits(100_000, 1_000_000, 60, 1))
    with closing(raw(sqlite_client, b"Expect: 100-continue\r\nContent-Length: 10\r\n\r\n")) as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        answer = sqlite_client.post("/envelopes", content=CONTENT, headers=BEARER)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


def test_twenty_senders_of_overlapping_content_store_each_envelope_once(client: httpx.Client, place: Place) -> None:
    envelopes = [envelope(number, id=f"appointment-{number % 50}") for number in range(1, 301)]

    def deliver(seed: int) -> list[dict[str, Any]]:
        mine = random.Random(seed).sample(envelopes, 200)
        return [
            client.post("/envelopes", content=as_lines(mine[first : first + 50]), headers=BEARER).json()
            for first in range(0, 200, 50)
        ]

    with ThreadPoolExecutor(20) as senders:
        reports = [one for reports in senders.map(deliver, range(20)) for one in reports]
    assert {one["read"] for one in reports} == {50}
    stored = place.events().count()
    assert stored == sum(one["appended"] for one in reports) == max(one["position"] for one in reports)
    assert sum(one["duplicates"] for one in reports) == 4000 - stored


@pytest.mark.parametrize(
    "url",
    ["postgresql://nobody:secret@127.0.0.1:1/nowhere?connect_timeout=2&timeout=1", "sqlite:////nowhere/at/all.db"],
)
def test_a_database_that_is_away_is_503_with_retry_after(url: str) -> None:
    with Appointments.open(url) as appointments:
        away = Service(appointments=appointments, intake=appointments, access=Access(intake_token=TOKEN))
        with served(away) as client:
            answer = client.post("/envelopes", content=CONTENT, headers=BEARER)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "secret" not in answer.text


def test_one_command_on_one_file_takes_envelopes_in_and_projects_them(sqlite_place: Place, tmp_path: Path) -> None:
    with serve_process(*sqlite_place.arguments, "--intake", "--project") as server, server.client() as client:
        token = (tmp_path / "appointments.db.token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        answer = client.post("/envelopes", content=CONTENT, headers=headers)
        assert answer.json() == report(3, position=3)
        assert len(sqlite_place.schedules().talent("talent-1", at_least=3)) == 3
        assert client.post("/envelopes", content=CONTENT).status_code == 401
