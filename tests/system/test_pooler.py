"""Behind a pooler that gives every transaction to another session, nobody gets a wrong answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import psycopg
import pytest

from domain.errors import StorageError
from domain.storage.postgres.database import PostgresDatabase
from projections import Appointments
from projections.cli.app import run
from projections.cli.sample import sample_envelopes
from projections.stores.postgres.generations import PostgresGenerations
from tests.conftest import Place
from tests.support.builders import as_json, envelope
from tests.support.pooler import pooler
from tests.support.postgres_server import PostgresServer

SECONDS_MAX = 60
TALENTS = 12


@pytest.fixture
def pooled_place(postgres: PostgresServer, postgres_place: Place) -> Iterator[Place]:
    """The same place through a pgbouncer in transaction mode."""
    with pooler(postgres, "transaction") as url:
        place = replace(postgres_place, url=url)
        with place.closing:
            yield place


def test_twelve_threads_that_ask_append_and_project_get_only_right_answers(pooled_place: Place) -> None:
    numbers = range(1, TALENTS + 1)
    events, projector = pooled_place.events(), pooled_place.projector()
    events.append(as_json(envelope(one, id=f"a-{one}", talentId=f"talent-{one}")) for one in numbers)
    projector.catch_up()
    feeding = threading.Event()

    def ask(number: int) -> list[str]:
        wrong = []
        with Appointments.open(pooled_place.url, schema=pooled_place.schema) as appointments:
            schedules = appointments.schedules
            while not feeding.is_set():
                found = [one.id for one in schedules.talent(f"talent-{number}")]
                known = schedules.appointment(f"a-{number}").id
                if (found, known) != ([f"a-{number}"], f"a-{number}"):
                    wrong.append(f"talent-{number}: {found}, {known}")
        return wrong

    with ThreadPoolExecutor(TALENTS) as executor:
        answers = [executor.submit(ask, number) for number in numbers]
        try:
            feed(pooled_place)
        finally:
            feeding.set()
        assert [answer.result(SECONDS_MAX) for answer in answers] == [[]] * TALENTS
    assert pooled_place.appointments().verify().differences == []
    assert pooled_place.schedules().stamp().position == events.head()


def feed(place: Place) -> None:
    """Appends and projects in turns, through connections of their own."""
    lines = list(sample_envelopes(1000))
    with Appointments.open(place.url, schema=place.schema) as appointments:
        events = appointments.events
        projector = appointments.projector
        for start in range(0, len(lines), 25):
            events.append(lines[start : start + 25])
            projector.catch_up()


def test_who_waits_asks_instead_of_listening(pooled_place: Place) -> None:
    events, projector, schedules = pooled_place.events(), pooled_place.projector(), pooled_place.schedules()
    stop = threading.Event()
    follower = threading.Thread(target=projector.follow, args=(stop,))
    follower.start()
    try:
        for number in (1, 2, 3):
            position = events.append([as_json(envelope(number, id=f"a-{number}"))]).position
            assert len(schedules.talent("talent-1", at_least=position, timeout=SECONDS_MAX)) == number
    finally:
        stop.set()
        follower.join()


def test_a_rebuild_and_its_parallel_verification_work(pooled_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PostgresGenerations, "partition_events", 100)  # partitions for several processes
    pooled_place.events().append(sample_envelopes(3000))
    pooled_place.projector().catch_up()
    assert pooled_place.appointments().rebuild(processes=2).generation == 2
    assert pooled_place.appointments().verify().differences == []


def test_no_setting_of_ours_reaches_another_client(pooled_place: Place) -> None:
    shown = "SELECT current_setting('plan_cache_mode'), current_setting('idle_in_transaction_session_timeout')"
    pooled_place.events().append(sample_envelopes(10))
    pooled_place.projector().catch_up()
    pooled_place.appointments().rebuild(processes=1)
    with psycopg.connect(pooled_place.url, autocommit=True, prepare_threshold=None) as other:
        assert {other.execute(shown).fetchone() for _ in range(20)} == {("auto", "0")}


def test_a_transaction_of_ours_does_not_stay_idle_for_ever(pooled_place: Place) -> None:
    database = PostgresDatabase(pooled_place.url, schema="any")
    shown = "SELECT current_setting('idle_in_transaction_session_timeout')"
    with database.writing() as cursor:
        assert cursor.execute(shown).fetchall() == [("1min",)]
    with database.snapshot() as cursor:
        assert cursor.execute(shown).fetchall() == [("1min",)]
    database.close()


def test_a_pooler_that_takes_no_transactions_is_refused(
    postgres: PostgresServer, capfd: pytest.CaptureFixture[str]
) -> None:
    with pooler(postgres, "statement") as url:
        opened: list[Callable[[], object]] = [
            partial(run, ["talents", "--db", url]),
            partial(run, ["project", "--db", url]),
        ]
        assert [one() for one in opened] == [2, 2]
        with pytest.raises(StorageError, match="pool_mode"), Appointments.open(url) as appointments:
            appointments.schedules.count()
    complaints = capfd.readouterr().err.splitlines()
    assert len(complaints) == 2
    assert all("connect to the server directly" in line for line in complaints)
