"""What only a server can be asked for: connections, their errors, restarts, and what is never printed."""

from __future__ import annotations

import logging
import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from domain import AppendReport
from domain.errors import NotInstalled, StorageUnavailable, VersionMismatch
from domain.identifiers import Position
from domain.storage.postgres.database import PostgresDatabase
from domain.storage.postgres.recorder import EVENT_STORE_SQL
from projections import Appointments
from projections.cli.app import run
from projections.cli.sample import sample_envelopes
from tests.conftest import Place
from tests.support.builders import as_json, envelope
from tests.support.postgres_server import PostgresServer, postgres_server

SECRET = "geheim&7"


@pytest.fixture
def no_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests stop their server, so it is one of their own."""
    monkeypatch.delenv("TEST_DATABASE_URL", raising=False)


def execute(url: str, statement: str, schema: str | None = None) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        if schema is not None:
            connection.execute(sql.SQL("SET search_path = {}").format(sql.Identifier(schema)))
        connection.execute(statement)


def appended(place: Place, *event_ids: int) -> Position:
    report = place.events().append(as_json(envelope(one, id=f"a-{one}")) for one in event_ids)
    assert report.appended == len(event_ids)
    return report.position


def test_the_library_reads_our_events_through_our_connections(postgres_place: Place) -> None:
    appended(postgres_place, 1, 2)
    recorder = postgres_place.events().recorder
    library = getattr(recorder, "library_recorder")  # noqa: B009 - only this adapter has one
    assert library.max_notification_id() == 2
    assert [one.originator_version for one in library.select_events("a-2")] == [2]
    assert recorder.head() == 2


def test_our_table_is_the_librarys_table_with_the_time_of_arrival(postgres_place: Place) -> None:
    recorder = postgres_place.events().recorder
    library = getattr(recorder, "library_recorder")  # noqa: B009 - only this adapter has one
    theirs = library.sql_create_statements[library.create_table_statement_index].as_string(None)
    table = EVENT_STORE_SQL[EVENT_STORE_SQL.index("CREATE TABLE") :].split(";\n")[0]
    [ours_alone] = [line for line in table.splitlines() if "arrived_at" in line]
    ours = table.replace(ours_alone, "")

    def words(text: str) -> list[str]:
        for mark in "(),":
            text = text.replace(mark, f" {mark} ")
        return text.replace('"', "").split()

    assert words(ours.replace("{schema}", postgres_place.schema or "")) == words(theirs)


def test_every_libpq_parameter_of_the_url_is_honoured(postgres_place: Place) -> None:
    url = f"{postgres_place.url}&application_name=schedules&options={quote('-c statement_timeout=7777')}"
    database = PostgresDatabase(url, schema="any")
    rows = database.fetch(b"SELECT current_setting('application_name'), current_setting('statement_timeout')")
    database.close()
    assert rows == [("schedules", "7777ms")]


def test_several_hosts_are_tried_until_one_answers(postgres: PostgresServer) -> None:
    socket = conninfo_to_dict(postgres.url)["host"]
    database = PostgresDatabase(f"postgresql://postgres@/postgres?host=/nowhere,{socket}", schema="any")
    assert database.fetch(b"SELECT 1") == [(1,)]
    database.close()


def test_projector_connections_do_not_stay_idle_in_a_transaction_for_ever(postgres: PostgresServer) -> None:
    database = PostgresDatabase(postgres.url, schema="any")
    rows = database.fetch(b"SELECT current_setting('idle_in_transaction_session_timeout')")
    database.close()
    assert rows == [("1min",)]


@pytest.mark.parametrize(
    ("change", "words", "status"),
    [
        (lambda url: url.replace("/postgres?", "/nowhere?"), 'database "nowhere" does not exist', 75),
        (lambda url: url.replace("postgres@", "nobody_knows@"), 'role "nobody_knows" does not exist', 75),
        (lambda _: f"postgresql://u:{quote(SECRET)}@127.0.0.1:1/db", "Connection refused", 75),
        (lambda _: f"postgresql://u:{SECRET}/@127.0.0.1:1/db", "percent-encoded", 2),
        (lambda _: f"postgresql://u:{SECRET}@@127.0.0.1:1/db", "percent-encoded", 2),
        (lambda _: f"postgresql://u:{quote(SECRET)}@127.0.0.1:1/db?sslmode=perhaps", "sslmode", 75),
        (lambda _: f"postgresql://u:{quote(SECRET)}@127.0.0.1:1/db?nonsense=1", "cannot be read", 2),
    ],
)
def test_what_cannot_be_connected_to_is_one_clear_line_without_a_secret(
    postgres: PostgresServer,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    change: Callable[[str], str],
    words: str,
    status: int,
) -> None:
    caplog.set_level(logging.DEBUG)
    for command in (["status"], ["talent", "t"], ["ingest", os.devnull], ["project"], ["rebuild"], ["verify"]):
        assert run([*command, "--db", change(postgres.url), "--json"]) == status
    printed, complained = capfd.readouterr()
    assert printed == ""
    assert len(complained.splitlines()) == 6
    assert all(words in line for line in complained.splitlines())
    assert SECRET not in complained + caplog.text
    assert quote(SECRET) not in complained + caplog.text


def test_no_error_in_the_chain_of_causes_holds_the_password() -> None:
    database = PostgresDatabase(f"postgresql://u:{quote(SECRET)}@127.0.0.1:1/db", schema="any")
    with pytest.raises(StorageUnavailable) as caught:
        database.fetch(b"SELECT 1")
    said = []
    cause: BaseException | None = caught.value
    while cause is not None:
        said.append(f"{cause!r} {cause}")
        cause = cause.__cause__ or cause.__context__
    assert len(said) > 1
    assert SECRET not in " ".join(said)
    assert quote(SECRET) not in " ".join(said)


def test_a_wrong_password_is_said_and_never_shown(
    no_url: None, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    del no_url
    caplog.set_level(logging.DEBUG)
    with postgres_server() as server:
        assert server.folder is not None
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE ROLE somebody LOGIN PASSWORD 'right'")
            rules = connection.execute("SHOW hba_file").fetchone()
            assert rules is not None
            Path(rules[0]).write_text("local all somebody scram-sha-256\nlocal all all trust\n")
            connection.execute("SELECT pg_reload_conf()")
        url = server.url.replace("postgres@", f"somebody:{quote(SECRET)}@")
        assert run(["status", "--db", url]) == 75
        assert run(["status", "--db", url.replace(quote(SECRET), "right")]) == 2
    wrong, right = capfd.readouterr().err.splitlines()
    assert 'password authentication failed for user "somebody"' in wrong
    assert "appointments init" in right
    assert SECRET not in wrong + caplog.text
    assert quote(SECRET) not in wrong + caplog.text


def test_a_schema_without_an_installation_names_the_command_that_makes_one(postgres_place: Place) -> None:
    with pytest.raises(NotInstalled, match="appointments init"):
        postgres_place.schedules().talent("t")


def test_a_missing_generation_table_names_the_command_that_mends_it(postgres_place: Place) -> None:
    postgres_place.projector()
    execute(postgres_place.url, "DROP TABLE talent_schedule_1", postgres_place.schema)
    with pytest.raises(NotInstalled, match="appointments rebuild"):
        postgres_place.schedules().talent("t")


def test_tables_of_a_newer_version_are_refused(postgres_place: Place) -> None:
    appended(postgres_place, 1)
    projector = postgres_place.projector()
    execute(postgres_place.url, "UPDATE serving SET tables_version = 99", postgres_place.schema)
    with pytest.raises(VersionMismatch, match="version 99"):
        projector.catch_up()


def test_a_statement_that_takes_too_long_is_one_clear_line_and_the_next_run_goes_on(postgres_place: Place) -> None:
    appended(postgres_place, 1)
    url = f"{postgres_place.url}&options={quote('-c statement_timeout=300ms')}"
    with (
        psycopg.connect(postgres_place.url) as other,
        Appointments.open(url, schema=postgres_place.schema) as appointments,
    ):
        events = appointments.events
        other.execute(f"LOCK TABLE {postgres_place.schema}.stored_events IN EXCLUSIVE MODE")
        with pytest.raises(StorageUnavailable, match="gave up waiting"):
            events.append([as_json(envelope(2))])
        other.rollback()
        assert events.append([as_json(envelope(2))]).appended == 1


def test_an_answer_that_the_server_breaks_off_is_worth_another_run(postgres_place: Place) -> None:
    broken_off = psycopg.InternalError("received 2 results from command 'FETCH FORWARD 1000'")  # rows, then the error
    database = PostgresDatabase(postgres_place.url, schema="any")
    with pytest.raises(StorageUnavailable, match="broke off its answer"), database.snapshot():
        raise broken_off
    database.close()


def test_queries_appends_and_projections_go_on_after_every_backend_was_terminated(postgres_place: Place) -> None:
    name = f"cut_{postgres_place.schema}"
    place = replace(postgres_place, url=f"{postgres_place.url}&application_name={name}")
    events, projector, schedules = place.events(), place.projector(), place.schedules()
    for event_id in (1, 2, 3):
        execute(
            postgres_place.url,
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{name}'",
        )
        events.append([as_json(envelope(event_id, id=f"a-{event_id}"))])
        assert projector.catch_up() == events.head()
        assert len(schedules.talent("talent-1")) == event_id


def test_followers_and_queries_survive_a_restart_and_a_crash_of_the_server(no_url: None) -> None:
    del no_url
    with postgres_server(fsync=True) as server:
        place = Place("postgresql", server.url, "survivors")
        with place.closing:
            events, projector, schedules = place.events(), place.projector(), place.schedules()
            events.append(sample_envelopes(300))
            stop = threading.Event()
            follower = threading.Thread(target=projector.follow, args=(stop,))
            follower.start()
            try:
                for number, disturb in enumerate((server.stop, server.kill)):
                    disturb()
                    server.start()
                    position = events.append([as_json(envelope(number + 1, id=f"a-{number}"))]).position
                    found = schedules.talent("talent-1", at_least=position, timeout=30)
                    assert [one.id for one in found] == [f"a-{one}" for one in range(number + 1)]
            finally:
                stop.set()
                follower.join()


def test_a_server_that_stops_in_the_middle_of_a_batch_loses_nothing_committed(no_url: None) -> None:
    del no_url
    with postgres_server(fsync=True) as server:
        place = Place("postgresql", server.url, "stopped")
        with place.closing:
            events = place.events()
            lines = list(sample_envelopes(4000))
            committed = 0

            def stop_in_the_middle(report: AppendReport) -> None:
                nonlocal committed
                committed = report.appended
                if committed >= 2000:  # a machine that is busy makes smaller batches
                    server.stop()

            with pytest.raises(StorageUnavailable, match=r"cannot connect|went away"):
                events.append(lines, progress=stop_in_the_middle)
            assert 2000 <= committed < 4000
            server.start()
            report = events.append(lines)
            assert (report.appended, report.duplicates) == (4000 - committed, committed)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12 dislikes what others do all the same
def test_forked_processes_that_share_an_object_get_their_own_answers(postgres_place: Place) -> None:
    numbers = range(1, 5)
    postgres_place.events().append(as_json(envelope(one, id=f"a-{one}", talentId=f"talent-{one}")) for one in numbers)
    postgres_place.projector().catch_up()
    schedules = postgres_place.schedules()

    def ask(number: int) -> None:
        found = {tuple(one.id for one in schedules.talent(f"talent-{number}", at_least=1)) for _ in range(100)}
        os._exit(found != {(f"a-{number}",)})

    assert len(schedules.talent("talent-1")) == 1
    with postgres_place.store().waiter():
        children = [multiprocessing.get_context("fork").Process(target=ask, args=(one,)) for one in numbers]
        for child in children:
            child.start()
        answers = {tuple(one.id for one in schedules.talent("talent-1")) for _ in range(100)}
        for child in children:
            child.join()
    assert answers == {("a-1",)}
    assert [child.exitcode for child in children] == [0] * len(children)


def test_opening_for_queries_runs_no_ddl(postgres_place: Place) -> None:
    url = f"{postgres_place.url}&options={quote('-c default_transaction_read_only=on')}"
    appended(postgres_place, 1)
    postgres_place.projector().catch_up()
    with Appointments.open(url, schema=postgres_place.schema) as appointments:
        schedules = appointments.schedules
        assert len(schedules.talent("talent-1")) == 1
        assert len(schedules.talents()) == 1
        assert schedules.appointment("a-1").lag == 0


FOLLOWER = """
import sys, threading
from projections import Appointments
with Appointments.open(sys.argv[1], schema=sys.argv[2]) as appointments:
    projector = appointments.projector
    print("following", flush=True)
    projector.follow(threading.Event())
"""


def test_of_three_followers_any_two_may_be_killed_and_nothing_is_missed(postgres_place: Place) -> None:
    events, schedules = postgres_place.events(), postgres_place.schedules()
    postgres_place.projector()
    command = [sys.executable, "-c", FOLLOWER, postgres_place.url, postgres_place.schema or ""]
    followers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
    try:
        for follower in followers:
            assert follower.stdout is not None
            assert follower.stdout.readline() == b"following\n"
        lines = list(sample_envelopes(6000))
        position = Position(0)
        for number, start in enumerate(range(0, 6000, 500)):
            position = events.append(lines[start : start + 500]).position
            if number in (4, 8):
                followers[number // 8].kill()
        assert schedules.talents(at_least=position, timeout=60).lag == 0
    finally:
        for follower in followers:
            follower.kill()
            follower.wait()
            if follower.stdout is not None:
                follower.stdout.close()
    assert postgres_place.appointments().verify().differences == []
    assert sum(one.planned + one.done + one.canceled for one in schedules.talents()) > 0


IDLERS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'idler' AND state <> 'idle'"


def test_a_unit_of_work_that_is_idle_for_too_long_is_ended_and_the_next_one_goes_on(postgres_place: Place) -> None:
    appended(postgres_place, 1)
    projector = postgres_place.projector()
    options = quote("-c idle_in_transaction_session_timeout=100ms")
    url = f"{postgres_place.url}&application_name=idler&options={options}"
    store = Place("postgresql", url, postgres_place.schema, postgres_place.closing).store()

    def idle_then_read() -> None:
        with psycopg.connect(postgres_place.url, autocommit=True) as watcher, store.unit_of_work() as work:
            while watcher.execute(IDLERS).fetchone() != (0,):
                pass
            work.read(upto=Position(1), limit=1)

    with pytest.raises(StorageUnavailable, match=r"gave up waiting|went away"):
        idle_then_read()
    assert projector.catch_up() == 1
