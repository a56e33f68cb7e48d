"""What long-running commands tell, and the exit statuses that a supervisor acts on."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
from typing_extensions import override

from domain.errors import NotAllowed, PoisonEvent, StorageUnavailable
from domain.identifiers import Generation, Position
from projections import Appointments
from projections.cli.app import run
from projections.cli.telling import progress_told
from projections.following import FollowerLog
from projections.logs import LogEvent, reason_of
from projections.projector import Projector
from projections.stores.base import Stamp
from projections.web.app import Service
from tests import ROOT
from tests.conftest import Ask, Place
from tests.support.builders import as_json, envelope
from tests.support.generations import wait_until
from tests.support.serving import serve_process, served


class Pauses(Event):
    """Notes how long it was waited for, and does not wait."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    @override
    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout or 0)
        return False


def stamp(position: int, generation: int = 1) -> Stamp:
    return Stamp(Generation(generation), 1, Position(position), Position(position), "epoch")


def events_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_an_outage_is_told_once_and_waited_for_with_growing_pauses(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "appointments")
    log, pauses = FollowerLog("place", patience=None), Pauses()
    log.went_on(stamp(5), seconds=0.1)
    for _ in range(8):
        log.lost(StorageUnavailable("away"), pauses)
    log.went_on(stamp(5), seconds=0.1)
    log.lost(StorageUnavailable("away"), pauses)
    assert pauses.seconds == [1, 2, 4, 8, 16, 30, 30, 30, 1]
    assert events_of(caplog) == ["connected", "caught_up", "lost", "reconnected", "lost"]


def test_a_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("projections.following.time.monotonic", lambda: now)
    log, pauses = FollowerLog("place", patience=5), Pauses()
    for now in (0.0, 1.0, 4.5):  # noqa: B007 - read by the clock
        log.lost(StorageUnavailable("away"), pauses)
    assert pauses.seconds == [1, 2, 0.5]
    now = 5.0
    with pytest.raises(StorageUnavailable):
        log.lost(StorageUnavailable("away"), pauses)


def test_a_switch_and_one_sign_of_life_a_minute_are_told(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "appointments")
    now = 0.0
    monkeypatch.setattr("projections.following.time.monotonic", lambda: now)
    log = FollowerLog("place", patience=None)
    for now in range(0, 150, 1):  # noqa: B007 - read by the clock
        log.went_on(stamp(5), seconds=0.1)
    log.went_on(stamp(5, generation=2), seconds=0.1)
    assert events_of(caplog) == ["connected", "caught_up", "alive", "alive", "switched"]


def test_a_follower_tells_what_it_does_as_json_and_no_content(durable_place: Place) -> None:
    durable_place.projector()
    durable_place.events().append([as_json(envelope(1, title="Secret", talentId="talent-9"))])
    follow = ["project", "--follow", "--log-format", "json", "--log-level", "debug", *durable_place.arguments]
    with subprocess.Popen(
        [sys.executable, "-m", "projections", *follow], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        lines: list[dict[str, Any]] = [json.loads(process.stderr.readline()) for _ in range(3)]
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=30)
    lines += map(json.loads, rest.splitlines())
    assert process.returncode == 0
    assert [line["event"] for line in lines] == ["batch", "connected", "caught_up", "stopped"]
    assert {"time", "level", "event", "position", "lag", "seconds"} <= set(lines[2])
    assert lines[2]["time"].endswith("Z")
    assert "Secret" not in str(lines)
    assert "talent-9" not in str(lines)


def test_the_readme_names_every_event() -> None:
    readme = (ROOT / "README.md").read_text()
    section = readme[readme.index("- **Logs:**") : readme.index("- **Supervise**")]
    assert [one for one in LogEvent if f"`{one}`" not in section] == []


@pytest.mark.parametrize(("error", "status"), [(StorageUnavailable("away"), 75), (NotAllowed("no right"), 77)])
def test_a_follower_ends_with_the_status_of_what_ended_it(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    def follow(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Projector, "follow", follow)
    found, out, complaints = ask("project", "--follow", "--patience", "1")
    assert (found, out) == (status, "")
    assert complaints.splitlines()[-1] == f"appointments: the follower ends: {error}"


def test_a_defect_of_this_program_has_a_status_of_its_own(
    sqlite_place: Place, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def status(_: Appointments) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(Appointments, "status", status)
    assert run(["status", *sqlite_place.arguments]) == 70
    out, complaint = capfd.readouterr()
    assert out == ""
    assert complaint.startswith("appointments: a defect of this program: RuntimeError: boom")
    assert complaint.count("\n") == 1


def test_options_of_a_follower_are_refused_where_they_mean_nothing(ask: Ask) -> None:
    for arguments in (["--patience", "5"], ["--follow", "--log-format", "xml"], ["--follow", "--log-level", "loud"]):
        status, out, complaint = ask("project", *arguments)
        assert (status, out, complaint.count("\n")) == (2, "", 1)


def logged(complaints: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in complaints.splitlines()]


def test_an_ingestion_and_a_rebuild_tell_what_they_do_when_they_are_asked_to(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "envelopes.jsonl"
    path.write_bytes(as_json(envelope(1, title="Secret", talentId="talent-9")) + b"\n")
    json_log = ("--log-format", "json")
    status, _, complaints = ask("ingest", str(path), *json_log)
    told = logged(complaints)
    assert (status, [one["event"] for one in told]) == (0, ["phase", "appended", "phase"])
    assert (told[1]["read"], told[1]["appended"], told[1]["position"]) == (1, 1, 1)
    status, _, complaints = ask("rebuild", *json_log, "--processes", "1")
    told += logged(complaints)
    assert (status, told[-1]["event"], told[-1]["generation"]) == (0, "switched", 2)
    phases = [one["phase"] for one in logged(complaints)[:-1]]
    assert phases[:2] == ["read and fold", "load"]
    assert len(phases) == len(set(phases))
    status, _, complaints = ask("verify", *json_log, "--log-level", "debug")
    told += logged(complaints)
    assert (status, told[-1]["event"]) == (0, "progress")
    assert all(one["time"].endswith("Z") and one["level"] in ("info", "debug") for one in told)
    assert "Secret" not in str(told)
    assert "talent-9" not in str(told)


def test_without_a_format_what_ends_soon_says_nothing(durable_place: Place, ask: Ask) -> None:
    durable_place.projector()
    for command in (["ingest", os.devnull], ["project"], ["rebuild"], ["verify"]):
        assert ask(*command)[::2] == (0, ""), command


def test_what_takes_longer_says_once_a_minute_how_far_it_is(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.cli.telling.ALIVE_SECONDS", 0.01)
    with progress_told(None, "info") as show:
        show("load", 5, 10)
        wait_until(lambda: "INFO alive phase=load done=5 total=10 unit=envelopes" in capfd.readouterr().err)


def test_the_service_logs_requests_by_route_and_its_end_through_the_one_logger(durable_place: Place) -> None:
    durable_place.appointments().install()
    with serve_process(*durable_place.arguments, "--log-format", "json") as server:
        httpx.get(f"{server.url}/api/talents/talent-9")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(10) == 0
    told = [json.loads(line) for line in server.said if line.startswith("{")]
    assert [one["event"] for one in told] == ["listening", "request", "stopped"]
    assert told[1]["route"] == "/api/talents/{id}"
    assert "talent-9" not in "".join(server.said)


def test_the_service_tells_once_a_minute_that_it_lives(
    memory_place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "appointments")
    monkeypatch.setattr("projections.web.server.ALIVE_SECONDS", 0.0)
    with served(Service(appointments=memory_place.appointments())):
        wait_until(lambda: "alive" in events_of(caplog))
    [first, *_] = [getattr(one, "fields", {}) for one in caplog.records if one.getMessage() == "alive"]
    assert first == {"requests": 0, "connections": 0}


def test_what_a_poison_event_says_of_ids_is_not_logged() -> None:
    assert reason_of(PoisonEvent(7, "secret-appointment", 8, "secret")) == "the event at position 7 cannot be folded"
    assert reason_of(StorageUnavailable("the server is down")) == "the server is down"
    assert reason_of(ValueError("secret")) == "ValueError"
