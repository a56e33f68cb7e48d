"""No question hangs: it ends by itself, whether the server is busy, stopped or gone without a word."""

from __future__ import annotations

import math
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace

import psycopg
import pytest

from domain.errors import ReadModelBehind, StorageError, StorageUnavailable
from domain.storage import open_database
from domain.storage.location import locate
from domain.storage.sqlite.database import SQLiteDatabase
from domain.storage.time_limit import time_limit
from projections import Appointments
from projections.cli.app import run
from tests.conftest import Place
from tests.support.builders import as_json, envelope
from tests.support.postgres_server import postgres_server

SECONDS_MAX = 60
BUSY = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND state = 'active'"
BACKENDS = "SELECT pid FROM pg_stat_activity WHERE application_name = %s ORDER BY backend_start"
BLOCKED = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = %s::regclass"


@pytest.fixture
def filled_place(postgres_place: Place) -> Place:
    """One projected appointment, under a name by which the server's operator finds our connections."""
    name = f"asking_{postgres_place.schema}"
    place = replace(postgres_place, url=f"{postgres_place.url}&application_name={name}")
    postgres_place.events().append([as_json(envelope(1))])
    postgres_place.projector().catch_up()
    return place


@contextmanager
def locked(place: Place, table: str) -> Iterator[None]:
    """While it lasts, nobody may even read the table."""
    with psycopg.connect(place.url.split("&application_name")[0]) as other:
        other.execute(f"LOCK TABLE {place.schema}.{table} IN ACCESS EXCLUSIVE MODE")
        yield


def name_of(place: Place) -> str:
    return f"asking_{place.schema}"


def test_a_question_that_is_held_up_is_cancelled_and_the_next_one_is_answered(filled_place: Place) -> None:
    schedules = filled_place.schedules()
    with locked(filled_place, "serving"), pytest.raises(StorageUnavailable, match=r"no answer within 0\.2 s"):
        schedules.talent("talent-1", timeout=0.2)
    with psycopg.connect(filled_place.url, application_name="operator", autocommit=True) as operator:
        while operator.execute(BUSY, (name_of(filled_place),)).fetchone() != (0,):
            pass
    assert len(schedules.talent("talent-1")) == 1


def test_every_question_takes_a_timeout(filled_place: Place) -> None:
    schedules = filled_place.schedules()
    questions: list[Callable[[], object]] = [
        lambda: schedules.talent("talent-1", timeout=0.1),
        lambda: schedules.coach("coach-1", timeout=0.1),
        lambda: schedules.appointment("appointment-1", timeout=0.1),
        lambda: schedules.changes(talent_id="talent-1", timeout=0.1),
        lambda: schedules.conflicts(talent_id="talent-1", timeout=0.1),
        lambda: schedules.figures(talent_id="talent-1", timeout=0.1),
        lambda: schedules.talents(timeout=0.1),
        lambda: schedules.coaches(timeout=0.1),
        lambda: schedules.stamp(timeout=0.1),
        lambda: schedules.count(timeout=0.1),
    ]
    with locked(filled_place, "serving"):
        for ask in questions:
            with pytest.raises(StorageUnavailable, match=r"no answer within 0\.1 s"):
                ask()
    with locked(filled_place, "stored_events"), pytest.raises(StorageUnavailable, match="no answer"):
        schedules.history("appointment-1", timeout=0.1)


def test_the_url_says_how_long_a_question_may_take(filled_place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    url = f"{filled_place.url}&timeout=0.2"
    with Appointments.open(url, schema=filled_place.schema) as appointments:
        schedules = appointments.schedules
        with locked(filled_place, "serving"):
            with pytest.raises(StorageUnavailable, match=r"no answer within 0\.2 s"):
                schedules.talents()
            assert run(["talents", "--db", url, "--schema", filled_place.schema or ""]) == 75
        assert len(schedules.talents()) == 1
    assert "no answer within 0.2 s" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("query", "seconds"),
    [("", 30), ("?timeout=2.5", 2.5), ("?timeout=0", math.inf), ("?sslmode=disable&timeout=5", 5)],
)
def test_a_question_may_take_30_seconds_unless_the_url_says_otherwise(query: str, seconds: float) -> None:
    database = open_database(locate(f"postgresql://localhost/db{query}"))
    assert database.timeout_seconds == seconds
    database.close()


@pytest.mark.parametrize("text", ["", "soon", "-1", "nan", "inf", "30s"])
def test_a_timeout_that_is_no_number_of_seconds_is_refused(text: str) -> None:
    with pytest.raises(StorageError, match="timeout"):
        open_database(locate(f"postgresql://localhost/db?timeout={text}"))


def test_a_server_process_that_stops_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_DATABASE_URL", raising=False)  # processes are stopped of a server of its own
    with postgres_server() as server:
        place = Place("postgresql", f"{server.url}&application_name=asking", "stopped")
        with place.closing, psycopg.connect(server.url, autocommit=True) as operator:
            place.projector()
            place.closing.close()
            schedules = place.schedules()
            assert len(schedules.talents()) == 0
            [*_, [backend]] = operator.execute(BACKENDS, ("asking",)).fetchall()
            os.kill(backend, signal.SIGSTOP)
            try:
                began = time.monotonic()
                with pytest.raises(StorageUnavailable, match=r"no answer within 0\.3 s"):
                    schedules.talents(timeout=0.3)
                assert time.monotonic() - began < SECONDS_MAX / 2
                assert len(schedules.talents()) == 0
            finally:
                os.kill(backend, signal.SIGCONT)


def test_a_server_that_takes_connections_and_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://somebody@127.0.0.1:{silent.getsockname()[1]}/db"
        with Appointments.open(url) as appointments:
            schedules = appointments.schedules
            began = time.monotonic()
            with pytest.raises(StorageUnavailable, match="cannot connect"):
                schedules.talent("talent-1", timeout=0.1)
            assert time.monotonic() - began < 5  # libpq knows no less than two seconds


def test_the_wait_for_a_position_and_the_question_have_one_timeout(filled_place: Place) -> None:
    schedules = filled_place.schedules()
    with pytest.raises(ReadModelBehind, match=r"did not reach 2 within 0\.3 s"):
        schedules.talent("talent-1", at_least=2, timeout=0.3)
    with locked(filled_place, "serving"), pytest.raises(StorageUnavailable, match="no answer"):
        schedules.talent("talent-1", at_least=2, timeout=0.3)


ENDLESS = "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number) SELECT count(*) FROM number"


def test_a_question_to_sqlite_that_takes_too_long_ends_and_the_next_one_is_answered(sqlite_place: Place) -> None:
    sqlite_place.projector()
    with closing(SQLiteDatabase(sqlite_place.url.removeprefix("sqlite:///"))) as database:
        for asking in (database.reading, database.snapshot):
            with pytest.raises(StorageUnavailable, match="no answer in time"), time_limit(0.1), asking() as cursor:
                cursor.execute(ENDLESS).fetchall()
        with database.reading() as cursor:
            assert cursor.execute("SELECT 1").fetchall() == [(1,)]


def test_an_append_takes_as_long_as_it_must(filled_place: Place) -> None:
    url = f"{filled_place.url}&timeout=0.1"
    with (
        Appointments.open(url, schema=filled_place.schema) as appointments,
        ThreadPoolExecutor(1) as executor,
        psycopg.connect(filled_place.url, application_name="operator", autocommit=True) as operator,
    ):
        events = appointments.events
        events.install()
        with psycopg.connect(filled_place.url) as other:
            other.execute(f"LOCK TABLE {filled_place.schema}.stored_events IN SHARE MODE")
            append = executor.submit(events.append, [as_json(envelope(2))])
            table = f"{filled_place.schema}.stored_events"
            while operator.execute(BLOCKED, (table,)).fetchone() == (0,):
                pass
            with pytest.raises(TimeoutError):
                append.result(0.5)
        assert append.result(SECONDS_MAX).appended == 1
