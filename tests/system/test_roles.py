"""Five roles, each with the rights that the README lists and no other."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, LiteralString
from urllib.parse import quote

import psycopg
import pytest
from psycopg.sql import SQL

from domain.errors import Forgotten, NotAllowed, StorageError
from projections import Appointments
from projections.cli.app import run
from tests import ROOT
from tests.conftest import Place
from tests.support.builders import as_json, as_lines, envelope
from tests.support.newer_fold import NEWER_VERSION
from tests.support.outboxes import publisher_outbox
from tests.support.postgres_server import PostgresServer
from tests.support.rebuilding import newer_code
from tests.support.serving import serve_process

README = ROOT / "README.md"


class Roles:
    """The roles of one installation, made by the README's own statements."""

    def __init__(self, place: Place) -> None:
        self.schema = place.schema or ""
        self.closing = place.closing
        self._url = place.url
        self._before, self._after = self._statements()

    def _statements(self) -> tuple[str, str]:
        """What the README runs before and after `appointments init`, for this schema."""
        [block] = [
            block
            for block in re.findall(r"```sql\n(.*?)```", README.read_text(), re.DOTALL)
            if "CREATE ROLE" in block
        ]
        before, after = block.split("-- appointments init", 1)
        return self._named(before), self._named(after.split("\n", 1)[1])

    def _named(self, sql: str) -> str:
        sql = re.sub(r"appointments_(writer|projector|reader|history|monitor)", rf"{self.schema}_\1", sql)
        return re.sub(r"\bappointments\b", self.schema, sql)

    def create(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute("SET client_min_messages = warning")
            connection.execute(SQL(self._before))
            with Appointments.open(self.url("projector"), schema=self.schema) as appointments:
                projector = appointments.projector
                projector.install()
            connection.execute(SQL(self._after))

    def open(self, role: str) -> Appointments:
        """The place as one role sees it, opened until the end of the test."""
        return self.closing.enter_context(Appointments.open(self.url(role), schema=self.schema))

    def url(self, role: str) -> str:
        """The URL of the place as one role sees it."""
        return f"{self._url}&options={quote(f'-c role={self.schema}_{role}')}"

    def drop(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute("SET client_min_messages = warning")
            connection.execute(SQL(f"DROP SCHEMA IF EXISTS {self.schema} CASCADE"))
            for role in ("writer", "reader", "history", "monitor", "projector"):
                connection.execute(SQL(f"DROP OWNED BY {self.schema}_{role}"))
                connection.execute(SQL(f"DROP ROLE {self.schema}_{role}"))


@pytest.fixture
def roles(postgres_place: Place) -> Iterator[Roles]:
    roles = Roles(postgres_place)
    roles.create()
    yield roles
    roles.drop()


def append(roles: Roles, *event_ids: int) -> None:
    with Appointments.open(roles.url("writer"), schema=roles.schema) as appointments:
        events = appointments.events
        report = events.append([as_json(envelope(one, id=f"a-{one}")) for one in event_ids])
        assert report.appended == len(event_ids)


def project(roles: Roles) -> None:
    with Appointments.open(roles.url("projector"), schema=roles.schema) as appointments:
        projector = appointments.projector
        projector.catch_up()


def asked(roles: Roles, role: str, question: LiteralString) -> list[tuple[Any, ...]]:
    """What a role is answered in SQL."""
    with psycopg.connect(roles.url(role), autocommit=True) as connection:
        connection.execute("SELECT set_config('search_path', %s, false)", (roles.schema,))
        return connection.execute(question).fetchall()


def test_the_writer_appends_and_keeps_the_quarantine_but_does_not_see_a_schedule(roles: Roles) -> None:
    append(roles, 1, 2)
    with Appointments.open(roles.url("writer"), schema=roles.schema) as appointments:
        events = appointments.events
        assert events.append([as_json(envelope(1, id="a-1")), b"5", b"6"]).quarantined == 2
        assert events.quarantine.retry([1]).kept == 1
        assert events.quarantine.discard([2]) == 1
    with Appointments.open(roles.url("writer"), schema=roles.schema) as appointments, pytest.raises(StorageError):
        appointments.schedules.talent("talent-1")
    with (
        pytest.raises(StorageError, match="may not"),
        Appointments.open(roles.url("writer"), schema=roles.schema) as appointments,
    ):
        appointments.projector.catch_up()


def test_the_writer_pulls_from_an_outbox(roles: Roles, postgres: PostgresServer) -> None:
    with publisher_outbox(postgres.url) as outbox:
        outbox.add([envelope(1), envelope(2)])
        source = roles.open("writer").outbox(outbox.dsn, query=outbox.query, overlap=0)
        assert (source.pull().appended, source.pull().read) == (2, 0)


def test_the_service_takes_in_as_the_writer_and_answers_as_the_history_role(roles: Roles, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t" * 32)
    options = ["--db", roles.url("history"), "--schema", roles.schema, "--token-file", str(tmp_path / "token")]
    with (
        serve_process(*options, "--intake", "--intake-db", roles.url("writer")) as server,
        server.client(headers={"Authorization": f"Bearer {'t' * 32}"}) as client,
    ):
        assert client.post("/envelopes", content=as_lines([envelope(1), envelope(2)])).json()["appended"] == 2
        project(roles)
        assert len(client.get("/api/talents/talent-1").json()["appointments"]) == 1
        for path in (
            "/", "/talents/talent-1", "/talents/talent-1?known_at=2023-07-10", "/coaches/coach-1?as_of=2023-07-10",
            "/appointments/appointment-1", "/quarantine", "/readyz", "/metrics",
            "/api/appointments/appointment-1/history", "/api/coaches/coach-1/changes",
        ):  # fmt: skip
            assert client.get(path).status_code == 200, path
    with serve_process(*options, "--intake") as server, server.client() as client:
        refused = client.post(
            "/envelopes", content=as_lines([envelope(3)]), headers={"Authorization": f"Bearer {'t' * 32}"}
        )
        assert (refused.status_code, "may not" in refused.json()["detail"]) == (503, True)


def test_the_reader_asks_every_question_of_the_present_and_cannot_read_an_event(roles: Roles) -> None:
    append(roles, 1, 2)
    project(roles)
    with Appointments.open(roles.url("reader"), schema=roles.schema) as appointments:
        schedules = appointments.schedules
        assert len(schedules.talent("talent-1", at_least=2)) == 2
        assert len(schedules.coach("coach-1", limit=1)) == 1
        assert [len(page) for page in schedules.pages(talent_id="talent-1", limit=1)] == [1, 1]
        assert schedules.appointment("a-1").lag == 0
        assert len(schedules.talents()) == len(schedules.coaches()) == 1
        assert len(schedules.changes(talent_id="talent-1")) == 2
        assert appointments.calendar_links.find("none") is None
        assert len(schedules.conflicts(talent_id="talent-1")) == 1
        assert schedules.figures(coach_id="coach-1").appointments == 2
        for view in ("current_appointment", "current_talent_schedule", "current_coach_schedule"):
            assert asked(roles, "reader", f"SELECT COUNT(*) FROM {view}") == [(2,)]
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                asked(roles, "monitor", f"SELECT COUNT(*) FROM {view}")
        for question in (
            lambda: schedules.history("a-1"),
            lambda: schedules.talent("talent-1", as_of=schedules.appointment("a-1").created_at),
        ):
            with pytest.raises(StorageError, match="may not"):
                question()
    with Appointments.open(roles.url("reader"), schema=roles.schema) as appointments, pytest.raises(StorageError):
        appointments.events.append([as_json(envelope(3))])


def test_the_monitor_runs_every_health_check_and_sees_no_content(
    roles: Roles, capfd: pytest.CaptureFixture[str]
) -> None:
    append(roles, 1, 2)
    project(roles)
    place = ["--db", roles.url("monitor"), "--schema", roles.schema]
    assert run(["status", "--check", "--max-lag-seconds", "60", "--json", *place]) == 0
    document = json.loads(capfd.readouterr().out)
    assert (document["events"], document["position"], document["appointments"]) == (2, 2, None)
    assert run(["status", "--prometheus", *place]) == 0
    assert "appointments_lag_events 0.0" in capfd.readouterr().out
    assert run(["generations", "--json", *place]) == 0
    assert [one["number"] for one in json.loads(capfd.readouterr().out)["generations"]] == [1]
    append(roles, 3)
    monitor = roles.open("monitor")
    for question in (
        lambda: monitor.schedules.talent("talent-1"),
        lambda: monitor.schedules.appointment("a-1"),
        monitor.schedules.talents,
        lambda: monitor.schedules.history("a-1"),
        lambda: list(monitor.events.quarantine.list()),
        lambda: monitor.events.append([as_json(envelope(4))]),
        monitor.projector.catch_up,
    ):
        with pytest.raises(StorageError):
            question()


def test_the_history_role_sees_the_past_and_verifies(roles: Roles) -> None:
    append(roles, 1, 2)
    project(roles)
    with Appointments.open(roles.url("history"), schema=roles.schema) as appointments:
        schedules = appointments.schedules
        assert len(schedules.history("a-1").revisions) == 1
        assert len(schedules.talent("talent-1", as_of=schedules.history("a-1").revisions[0].at)) == 1
        assert appointments.verify().differences == []
    with Appointments.open(roles.url("history"), schema=roles.schema) as appointments, pytest.raises(StorageError):
        appointments.events.append([as_json(envelope(3))])


def test_the_projector_rebuilds_and_the_reader_sees_each_new_generation(roles: Roles) -> None:
    append(roles, 1, 2)
    project(roles)
    projector = roles.open("projector")
    reader = roles.open("reader")
    for expected in (2, 3):
        assert projector.rebuild().generation == expected
        with Appointments.open(roles.url("reader"), schema=roles.schema) as appointments:
            schedules = appointments.schedules
            assert schedules.talent("talent-1").generation == expected
    assert projector.rollback() == 2
    with pytest.raises(StorageError, match="may not"):
        reader.rebuild()


def test_only_the_projector_retires_an_old_version_of_the_fold(roles: Roles, command: Callable[..., Outcome]) -> None:
    project(roles)
    retire = ("generations", "retire", f"{NEWER_VERSION - 1}", "--yes")
    with newer_code():
        roles.open("projector").rebuild()
        for role in ("reader", "history", "monitor"):
            status, out, complaint = command(role, *retire)
            assert (status, out, complaint.count("\n")) == (77, "", 1)
            assert "this role may not do that" in complaint
        assert command("projector", *retire) == (0, "1 dropped, 0 kept\n", "")


def test_a_reader_of_a_place_without_an_installation_creates_nothing(roles: Roles) -> None:
    with Appointments.open(roles.url("reader"), schema="nowhere") as appointments, pytest.raises(StorageError):
        appointments.schedules.talent("talent-1")


Outcome = tuple[int, str, str]


@pytest.fixture
def command(roles: Roles, capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Runs a command as one role: its exit status, its output and its complaints."""

    def command(role: str, *arguments: str) -> Outcome:
        capfd.readouterr()
        status = run([*arguments, "--db", roles.url(role), "--schema", roles.schema])
        return status, *capfd.readouterr()

    return command


def test_an_ingestion_by_the_writer_reports_what_it_appended_and_why_nothing_was_projected(
    roles: Roles, command: Callable[..., Outcome], tmp_path: Path
) -> None:
    path = tmp_path / "envelopes.jsonl"
    path.write_bytes(as_lines([envelope(1), envelope(2)]) + b"5\n")
    counts = {"read": 3, "appended": 2, "duplicates": 0, "ignored": 0, "quarantined": 1, "position": 2}
    status, out, complaints = command("writer", "ingest", str(path), "--json")
    assert (status, json.loads(out)) == (77, counts)
    of_quarantine, of_projection = complaints.splitlines()
    assert "1 item was quarantined" in of_quarantine
    assert "everything was appended, but the read models were not caught up: this role may not" in of_projection
    status, out, _ = command("writer", "ingest", str(path), "--strict")
    assert (status, out) == (77, "read 3: 0 appended, 2 duplicates, 0 ignored, 1 quarantined; position 2\n")
    assert command("writer", "ingest", str(path), "--no-project")[0] == 0
    project(roles)
    assert command("reader", "appointment", envelope()["eventData"]["appointment"]["id"])[0] == 0


def test_a_retry_by_the_writer_reports_what_it_appended_and_why_nothing_was_projected(
    roles: Roles, command: Callable[..., Outcome]
) -> None:
    with Appointments.open(roles.url("writer"), schema=roles.schema) as appointments:
        events = appointments.events
        events.append([b"5", as_json(envelope(1)).replace(b"PLANNED", b"PLANED"), b"6"])
    assert command("writer", "quarantine", "retry") == (0, "0 accepted, 3 still quarantined\n", "")
    with psycopg.connect(roles.url("writer"), autocommit=True) as connection:
        mended = as_json(envelope(1))
        connection.execute(
            SQL(
                f"UPDATE {roles.schema}.quarantine SET content = %s WHERE code = 'invalid_envelope' AND event_id = 1"
            ),
            [mended],
        )
    status, out, complaint = command("writer", "quarantine", "retry", "--json")
    assert (status, json.loads(out)) == (77, {"accepted": 1, "kept": 2})
    assert complaint.startswith(
        "appointments: 1 item was appended, but the read models were not caught up: this role may not"
    )
    assert complaint.count("\n") == 1


def test_a_role_that_may_not_begin_has_done_nothing(command: Callable[..., Outcome]) -> None:
    for role, *arguments in (("reader", "quarantine", "retry"), ("history", "rebuild"), ("writer", "project")):
        status, out, complaint = command(role, *arguments)
        assert (status, out, complaint.count("\n")) == (77, "", 1)
        assert "this role may not do that" in complaint


def test_the_writer_sets_an_event_aside_and_who_may_not_changes_nothing(
    roles: Roles, command: Callable[..., Outcome]
) -> None:
    append(roles, 1, 2)
    with psycopg.connect(roles.url("writer"), autocommit=True) as connection:
        connection.execute(SQL(f"UPDATE {roles.schema}.stored_events SET state = '' WHERE notification_id = 1"))
    for role in ("reader", "history", "monitor"):
        status, out, complaint = command(role, "events", "set-aside", "1", "--reason", "the disk")
        assert (status, out, complaint.count("\n")) == (77, "", 1)
        assert "this role may not do that" in complaint
    status, out, complaint = command("writer", "events", "set-aside", "1", "--reason", "the disk")
    assert (status, out) == (77, "the event at position 1 is set aside by postgres\n")
    assert "is set aside, but the read models were not caught up: this role may not" in complaint
    project(roles)
    assert json.loads(command("monitor", "status", "--json")[1])["set_aside"] == 1
    assert json.loads(command("history", "verify", "--json")[1]) == {"checked": 1, "differences": [], "set_aside": 1}
    assert command("writer", "events", "set-aside", "2", "--reason", "no reason at all")[0] == 1


def test_a_person_is_forgotten_by_the_owner_and_by_nobody_with_fewer_rights(roles: Roles) -> None:
    append(roles, 1, 2)
    project(roles)
    for role in ("writer", "reader", "history", "monitor"):
        with pytest.raises(NotAllowed):
            roles.open(role).forget(talent_id="talent-1")
    assert roles.open("projector").forgetting.receipts() == []
    assert roles.open("projector").forget(talent_id="talent-1").verified
    for role in ("reader", "history", "projector"):
        with pytest.raises(Forgotten):
            roles.open(role).schedules.talent("talent-1")
    assert roles.open("writer").events.append([as_json(envelope(3, id="a-3"))]).masked == 1
    assert roles.open("monitor").status().unscrubbed == 1
    with pytest.raises(NotAllowed):
        roles.open("writer").forgetting.scrub()
    assert roles.open("projector").schedules.coach("coach-1")[0].talent_id == "forgotten"
