"""How many wait on PostgreSQL at once: by one connection, whatever the schema is called or becomes of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import psycopg
import pytest

from domain.storage.postgres.connection import PostgresConnection
from domain.storage.postgres.listener import PostgresListener
from domain.storage.postgres.url import PostgresUrl
from tests.conftest import Place
from tests.support.builders import as_json, envelope
from tests.support.postgres_server import PostgresServer, postgres_server

SECONDS_MAX = 60
SERVER_SLOTS = 16
WAITERS = 120

CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
LISTENERS = "SELECT pid FROM pg_stat_activity WHERE application_name = %s AND query LIKE '%%LISTEN%%'"


@pytest.fixture
def small_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresServer]:
    """A server that takes few connections."""
    monkeypatch.delenv("TEST_DATABASE_URL", raising=False)
    with postgres_server(settings={"max_connections": str(SERVER_SLOTS)}) as server:
        yield server


def test_120_waiters_on_a_server_of_few_slots_use_one_connection_more(small_server: PostgresServer) -> None:
    place = Place("postgresql", f"{small_server.url}&application_name=waiting", "crowded")
    with place.closing:
        events, projector, schedules = place.events(), place.projector(), place.schedules()
        everyone = threading.Barrier(WAITERS + 1)

        def ask() -> int:
            everyone.wait()
            return len(schedules.talent("talent-1", at_least=1, timeout=SECONDS_MAX))

        with ThreadPoolExecutor(WAITERS) as executor:
            answers = [executor.submit(ask) for _ in range(WAITERS)]
            everyone.wait()
            events.append([as_json(envelope(1))])
            with psycopg.connect(small_server.url, autocommit=True) as another:
                projector.catch_up()
                assert [answer.result(SECONDS_MAX) for answer in answers] == [1] * WAITERS
                [count] = another.execute(CONNECTIONS, ("waiting",)).fetchone() or [None]
        assert count is not None
        assert count <= SERVER_SLOTS


def test_a_schema_named_with_capitals_wakes_who_waits(postgres_place: Place) -> None:
    place = replace(postgres_place, schema=f"{postgres_place.schema}_Capitals")
    events, projector, store = place.events(), place.projector(), place.store()
    try:
        with store.waiter() as wait:
            events.append([as_json(envelope(1))])
            projector.catch_up()
            began = time.monotonic()
            wait(threading.Event(), SECONDS_MAX)
            assert time.monotonic() - began < SECONDS_MAX / 2
    finally:
        with psycopg.connect(place.url, autocommit=True) as connection:
            connection.execute(f'DROP SCHEMA "{place.schema}" CASCADE')


def test_a_wait_outlives_the_connection_that_listens_for_it(postgres_place: Place) -> None:
    name = f"listener_{postgres_place.schema}"
    place = replace(postgres_place, url=f"{postgres_place.url}&application_name={name}")
    events, projector, schedules = place.events(), place.projector(), place.schedules()
    with ThreadPoolExecutor(1) as executor, psycopg.connect(postgres_place.url, autocommit=True) as operator:
        answer = executor.submit(schedules.talent, "talent-1", at_least=1, timeout=SECONDS_MAX)
        for _ in range(3):
            while not (found := operator.execute(LISTENERS, (name,)).fetchall()):
                pass
            operator.execute("SELECT pg_terminate_backend(%s)", found[0])
        events.append([as_json(envelope(1))])
        projector.catch_up()
        assert len(answer.result(SECONDS_MAX)) == 1


def test_who_listens_gets_another_connection_for_one_that_is_lost_at_once(postgres_place: Place) -> None:
    name = f"listener_{postgres_place.schema}"
    url = f"{postgres_place.url}&application_name={name}"
    made = 0

    def connect() -> PostgresConnection:
        nonlocal made
        made += 1
        connection = PostgresConnection.open(
            PostgresUrl.read(url).connecting_within(SECONDS_MAX), seconds=SECONDS_MAX
        )
        if made == 1:
            with suppress(psycopg.OperationalError):
                connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return connection

    listener = PostgresListener(connect)
    with listener.waiter("any") as wait, psycopg.connect(postgres_place.url, autocommit=True) as operator:
        deadline = time.monotonic() + SECONDS_MAX
        while not operator.execute(LISTENERS, (name,)).fetchall():
            wait(threading.Event(), 0.01)
            assert time.monotonic() < deadline, "nobody listens"
    listener.close()


def test_nothing_stays_connected_after_close(postgres_place: Place) -> None:
    name = f"closed_{postgres_place.schema}"
    place = replace(postgres_place, url=f"{postgres_place.url}&application_name={name}")
    place.projector()
    store = place.store()
    with store.waiter() as wait:
        wait(threading.Event(), 0)
    place.closing.close()
    with psycopg.connect(postgres_place.url, autocommit=True) as operator:
        while operator.execute(CONNECTIONS, (name,)).fetchone() != (0,):
            pass
