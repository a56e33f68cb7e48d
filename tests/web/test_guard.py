"""What stands in front of every route: host names, tokens, the headers of every answer, and a log without ids."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import httpx
import pytest

from projections.web.app import Service
from projections.web.configuration import Access
from tests.conftest import in_memory
from tests.support.builders import as_json, envelope
from tests.support.serving import served

TOKEN = "a-token-of-this-test-and-no-other"


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """One service for all, since none changes anything."""
    with in_memory() as place:
        appointments = place.appointments()
        appointments.events.append([as_json(envelope(1))])
        appointments.projector.catch_up()
        with served(Service(appointments=appointments, access=Access(token=TOKEN))) as client:
            yield client


@pytest.mark.parametrize(
    "host",
    [
        "example.org", "127.0.0.1.example.org", "localhost.example.org", "[::1]evil", "localhost:80@evil.com",
        "127.0.0.1:abc", "evil.com:80", "[::1", "",
    ],
)  # fmt: skip
def test_under_a_foreign_or_broken_host_name_nothing_is_answered(client: httpx.Client, host: str) -> None:
    for path in ("/", "/healthz", "/api/talents"):
        answer = client.get(path, headers={"Host": host, "Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 421
        assert "talent-1" not in answer.text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8080", "127.0.0.1", "[::1]:1", "[::1]", "localhost."])
def test_the_names_of_this_machine_are_answered(client: httpx.Client, host: str) -> None:
    assert client.get("/healthz", headers={"Host": host}).status_code == 200


def test_a_token_opens_what_is_closed_without_it_as_bearer_and_as_a_browsers_password(client: httpx.Client) -> None:
    for path in ("/", "/talents/talent-1", "/api/talents/talent-1", "/metrics", "/openapi.json"):
        refused = client.get(path)
        assert (refused.status_code, refused.headers["content-type"]) == (401, "application/problem+json")
        assert "Basic" in refused.headers["www-authenticate"]
        assert client.get(path, headers={"Authorization": f"Bearer {TOKEN}x"}).status_code == 401
        assert client.get(path, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
        assert client.get(path, auth=httpx.BasicAuth("anybody", TOKEN)).status_code == 200
        assert client.get(path, auth=httpx.BasicAuth(TOKEN, "")).status_code == 401
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 200


def test_every_answer_carries_the_strict_headers_and_no_cookie(client: httpx.Client) -> None:
    for path in ("/", "/talents/talent-1", "/api/talents", "/nowhere", "/healthz", "/static/style.css"):
        headers = client.get(path, headers={"Authorization": f"Bearer {TOKEN}"}).headers
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert not headers.keys() & {"set-cookie", "access-control-allow-origin"}
    page = client.get("/talents/talent-1", headers={"Authorization": f"Bearer {TOKEN}"})
    assert page.headers["cache-control"] == "no-store"


def test_the_log_names_routes_and_never_whom_was_asked_for(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        for path in ("/talents/talent-1?q=talent-1", "/api/talents/talent-1", "/nowhere/talent-1"):
            client.get(path, headers={"Authorization": f"Bearer {TOKEN}"})
    written = [str(one.__dict__) for one in caplog.records if one.name.startswith("appointments")]
    assert any("/api/talents/{" in message for message in written)
    assert not [message for message in written if "talent-1" in message]


def test_a_browser_without_the_token_gets_a_page_with_its_style(client: httpx.Client) -> None:
    refused = client.get("/talents/talent-1", headers={"Accept": "text/html"})
    assert (refused.status_code, refused.headers["content-type"]) == (401, "text/html; charset=utf-8")
    assert "Basic" in refused.headers["www-authenticate"]
    assert "a valid token is needed" in refused.text
    assert "talent-1" not in refused.text
    assert client.get("/static/appointments.css").status_code == 200
