"""Questions answered by a streaming standby, with the primary and the standby paused, promoted and killed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from domain.errors import ReadModelBehind, StorageError, StorageUnavailable
from domain.storage import open_database
from domain.storage.location import locate
from domain.storage.postgres.database import PostgresDatabase
from projections import Appointments
from tests.conftest import Place
from tests.support.builders import as_json, envelope
from tests.support.generations import wait_until
from tests.support.postgres_server import PostgresServer, postgres_server

SCHEMA = "appointments"
RECOVERY = {"max_standby_streaming_delay": "0"}


@dataclass
class Pair:
    """A primary and the standby that follows it."""

    primary: PostgresServer
    standby: PostgresServer

    def url(self, *hosts: PostgresServer, **options: str) -> str:
        """The URL of the hosts, in which the standby answers questions."""
        servers = ",".join(quote(str(one.folder), safe="") for one in hosts or (self.primary,))
        options = {"read_host": quote(str(self.standby.folder), safe=""), **options}
        more = "&".join(f"{name}={value}" for name, value in options.items())
        return f"postgresql://postgres@/postgres?host={servers}&{more}"


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    monkeypatch.delenv("TEST_DATABASE_URL", raising=False)
    with (
        postgres_server() as primary,
        postgres_server(settings=RECOVERY, standby_of=primary) as standby,
    ):
        with Appointments.open(primary.url) as appointments:
            appointments.install()
        installed = f"SELECT to_regclass('{SCHEMA}.serving') IS NOT NULL"
        wait_until(lambda: run(standby, installed) == [(True,)])
        yield Pair(primary, standby)


def run(server: PostgresServer, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(server.url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def project(appointments: Appointments, *event_ids: int) -> int:
    appointments.events.append(as_json(envelope(one, id=f"appointment-{one}")) for one in event_ids)
    return appointments.projector.catch_up()


def test_a_standby_answers_waits_until_it_has_what_is_needed_and_takes_over(pair: Pair) -> None:
    with Appointments.open(pair.url()) as appointments:
        position = project(appointments, 1, 2)
        assert len(appointments.schedules.talent("talent-1", at_least=position)) == 2

        run(pair.standby, "SELECT pg_wal_replay_pause()")
        wait_until(lambda: run(pair.standby, "SELECT pg_get_wal_replay_pause_state()") == [("paused",)])
        position = project(appointments, 3)
        behind = appointments.schedules.talent("talent-1")
        assert (len(behind), behind.position, behind.lag) == (2, 2, 0)
        assert (appointments.status().position, appointments.status().replica_position) == (3, 2)
        with pytest.raises(ReadModelBehind):
            appointments.schedules.talent("talent-1", at_least=position, timeout=0.3)
        with ThreadPoolExecutor(1) as aside:
            waiting = aside.submit(appointments.schedules.talent, "talent-1", at_least=position)
            run(pair.standby, "SELECT pg_wal_replay_resume()")
            assert len(waiting.result()) == 3

        pair.primary.kill()
        assert len(appointments.schedules.talent("talent-1")) == 3
        with pytest.raises(StorageUnavailable):
            project(appointments, 4)
    run(pair.standby, "SELECT pg_promote()")
    both = pair.url(pair.primary, pair.standby, target_session_attrs="read-write")
    with Appointments.open(both) as appointments:
        position = project(appointments, 4)
        assert len(appointments.schedules.talent("talent-1", at_least=position)) == 4
        assert appointments.rebuild(processes=1).events == 4


def test_a_question_that_was_in_the_way_of_replay_is_asked_again(pair: Pair) -> None:
    run(pair.primary, "CREATE TABLE in_the_way AS SELECT 7 AS number")
    replica = locate(pair.url()).replica()
    assert replica is not None
    database = open_database(replica)
    assert isinstance(database, PostgresDatabase)
    wait_until(lambda: bool(run(pair.standby, "SELECT to_regclass('in_the_way') IS NOT NULL")[0][0]))
    asked = (
        b"SELECT number FROM in_the_way, LATERAL (SELECT pg_sleep(CASE WHEN number > 6 THEN 1 ELSE 0 END)) AS long"
    )
    with ThreadPoolExecutor(1) as aside:
        answer = aside.submit(database.fetch, asked)
        active = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT number FROM in_the_way%'"
        wait_until(lambda: run(pair.standby, active) == [(1,)])
        run(pair.primary, "UPDATE in_the_way SET number = 6; ALTER TABLE in_the_way ADD COLUMN more integer")
        assert answer.result() == [(6,)]
    conflicts = "SELECT confl_lock FROM pg_stat_database_conflicts WHERE datname = 'postgres'"
    wait_until(lambda: run(pair.standby, conflicts)[0][0] >= 1)
    database.close()


def test_a_standby_that_is_gone_leaves_the_questions_to_the_next_host(pair: Pair) -> None:
    hosts = ",".join(quote(str(one.folder), safe="") for one in (pair.standby, pair.primary))
    with Appointments.open(pair.url(read_host=hosts)) as appointments:
        position = project(appointments, 1)
        assert len(appointments.schedules.talent("talent-1", at_least=position)) == 1
        pair.standby.kill()
        position = project(appointments, 2)
        assert len(appointments.schedules.talent("talent-1", at_least=position)) == 2
    with Appointments.open(pair.url()) as appointments:
        assert appointments.status().replica_position is None
        with pytest.raises(StorageUnavailable):
            appointments.schedules.talent("talent-1")


def test_a_standby_takes_no_envelope_and_says_so(pair: Pair) -> None:
    with Appointments.open(pair.standby.url) as appointments:
        for write in (lambda: project(appointments, 1), appointments.rebuild):
            with pytest.raises(StorageError, match="read-only") as caught:
                write()
            assert "\n" not in str(caught.value)


def test_a_replica_of_another_installation_is_refused(pair: Pair, postgres_place: Place) -> None:
    postgres_place.projector()
    with Appointments.open(pair.primary.url, schema=postgres_place.schema) as other:
        other.install()
    url = f"{postgres_place.url}&read_host={quote(str(pair.primary.folder), safe='')}"
    with Appointments.open(url, schema=postgres_place.schema) as appointments:
        for ask in (appointments.schedules.talent, appointments.schedules.coach, appointments.schedules.history):
            with pytest.raises(StorageError, match="read_host is no replica of this installation"):
                ask("somebody")
