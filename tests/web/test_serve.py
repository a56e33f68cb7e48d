"""`appointments serve`: it starts, says where it listens, refuses what is not safe, and ends in good order."""

from __future__ import annotations

import signal
import socket
import time
from pathlib import Path

import httpx
import pytest

from projections.metrics import CONTENT_TYPE, metrics_text
from projections.web.app import Service
from projections.web.errors import NOWHERE
from tests.conftest import Ask, Place
from tests.support.serving import serve_process, served


def test_a_service_lives_and_is_ready_once_there_is_an_installation(durable_place: Place) -> None:
    appointments = durable_place.appointments()
    with served(Service(appointments=appointments)) as client:
        assert client.get("/healthz").json() == {"status": "alive"}
        not_yet = client.get("/readyz")
        assert (not_yet.status_code, not_yet.headers["content-type"]) == (503, "application/problem+json")
        assert not_yet.headers["retry-after"] == "5"
        appointments.install()
        assert client.get("/readyz").json() == {"status": "ready", "position": 0, "lag": 0, "generation": 1}
        metrics = client.get("/metrics")
        assert metrics.headers["content-type"] == CONTENT_TYPE
        assert metrics.content == metrics_text(appointments)


def test_the_command_says_where_it_listens_and_ends_with_0_when_it_is_asked_to(durable_place: Place) -> None:
    durable_place.appointments().install()
    with serve_process(*durable_place.arguments) as server:
        assert server.url.startswith("http://127.0.0.1:")
        assert httpx.get(f"{server.url}/readyz").status_code == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(10) == 0


def test_an_unknown_path_is_a_problem_document_with_every_header(place: Place) -> None:
    with served(Service(appointments=place.appointments())) as client:
        answer = client.get("/nothing/here")
    assert answer.json() == {"type": "about:blank", "title": "Not Found", "status": 404, "detail": NOWHERE}
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; ")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert not {"set-cookie", "access-control-allow-origin", "server"} & set(answer.headers)


def test_a_browser_gets_a_page_about_an_unknown_path_and_a_program_a_document(place: Place) -> None:
    with served(Service(appointments=place.appointments())) as client:
        client.headers["Accept"] = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
        for path in ("/nothing/here", "/talents/a/b", "/favicon.ico"):
            answer = client.get(path)
            assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
            assert NOWHERE in answer.text
        refused = client.post("/talents/a")
        assert (refused.status_code, refused.headers["content-type"]) == (405, "text/html; charset=utf-8")
        assert "GET" in refused.headers["allow"]
        assert client.get("/api/nothing").headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--host", "0.0.0.0"], "on 0.0.0.0 others could ask: --token-file F asks them for a token"),
        (["--intake-db", "sqlite:///other.db"], "--intake-db has no meaning without --intake"),
        (["--token-file", "/nowhere"], "cannot read the token in /nowhere: No such file or directory"),
        (["--host", "203.0.113.7", "--behind-proxy"], "cannot listen on 203.0.113.7 port 8000: "),
    ],
)
def test_what_is_not_safe_or_cannot_be_is_refused_in_one_line(ask: Ask, options: list[str], expected: str) -> None:
    status, out, complaint = ask("serve", *options)
    assert (status, out, complaint.count("\n")) == (2, "", 1)
    assert expected in complaint


def test_a_name_that_was_allowed_is_answered_and_no_other(durable_place: Place) -> None:
    durable_place.appointments().install()
    with serve_process(*durable_place.arguments, "--allow-host", "Schedules.Example") as server:
        for host, status in (("schedules.example:80", 200), ("localhost", 200), ("other.example", 421)):
            assert httpx.get(f"{server.url}/api/talents", headers={"Host": host}).status_code == status


def test_a_port_that_is_taken_is_named(ask: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, _, complaint = ask("serve", "--port", str(port))
    assert (status, complaint) == (
        2, f"appointments: cannot listen on 127.0.0.1 port {port}: Address already in use\n",
    )  # fmt: skip


def test_a_database_that_waiting_does_not_mend_ends_the_service_at_its_start(ask: Ask) -> None:
    status, out, complaint = ask("serve", "--port", "0")
    assert (status, out, complaint.count("\n")) == (2, "", 1)
    assert "appointments init" in complaint


def test_a_database_that_is_away_is_waited_for() -> None:
    with serve_process("--db", "postgresql://nobody@127.0.0.1:1/none") as server:
        assert "cannot connect to PostgreSQL" in server.said[0]
        assert httpx.get(f"{server.url}/healthz").status_code == 200
        answer = httpx.get(f"{server.url}/metrics")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(10) == 0


def test_intake_without_a_secret_keeps_a_token_beside_the_file(sqlite_place: Place, tmp_path: Path) -> None:
    with serve_process(*sqlite_place.arguments, "--intake") as server:
        token_file = tmp_path / "appointments.db.token"
        assert token_file.stat().st_mode & 0o777 == 0o600
        assert f"the token for deliveries is in {token_file}" in server.said[0]


def test_intake_on_postgresql_asks_for_a_secret(postgres_place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    from projections.cli.app import run

    assert run(["serve", "--intake", *postgres_place.arguments]) == 2
    assert "--intake needs --token-file or --webhook-secret-file" in capfd.readouterr().err


def test_a_defect_is_a_problem_document_that_tells_nothing_and_one_line_in_the_log(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret")

    appointments = place.appointments()
    monkeypatch.setattr(appointments.schedules, "stamp", fail)
    with served(Service(appointments=appointments)) as client:
        answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["detail"]) == (500, "a defect of this program: RuntimeError")
    assert answer.headers["x-content-type-options"] == "nosniff"
    [told] = [getattr(one, "fields", {}) for one in caplog.records if one.getMessage() == "defect"]
    assert told == {"method": "GET", "route": "/readyz", "kind": "RuntimeError"}
    assert "secret" not in caplog.text


def test_an_answer_does_not_wait_for_the_client_to_confirm_its_headers(place: Place) -> None:
    appointments = place.appointments()
    appointments.install()
    with served(Service(appointments=appointments)) as client:
        seconds = []
        for _ in range(11):
            began = time.monotonic()
            client.get("/healthz")
            seconds.append(time.monotonic() - began)
    assert sorted(seconds)[2] < 0.03  # all but the first would take 40 ms; a busy machine makes some of them late
