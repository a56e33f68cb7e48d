"""Holds a PostgreSQL server behind a pipe: when whoever holds the other end is gone, however, so is the server.

`python -m tests.postgres_guard FOLDER USER COMMAND...` reads commands from standard input, one a line: `start`,
`stop`, `kill`. Each is answered by a line. At the end of the input the server is killed and the folder removed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

STOP_SECONDS_MAX = 20


class Server:
    """The postmaster, in a process group of its own."""

    def __init__(self, folder: Path, user: str | None, command: list[str]) -> None:
        self._folder = folder
        self._user = user
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                user=self._user,
                extra_groups=[] if self._user else None,
                start_new_session=True,
            )
        return str(self._process.pid)

    def stop(self) -> str:
        """A fast shutdown: transactions are rolled back, the data is whole."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self.kill()
        self._process = None
        return "stopped"

    def kill(self) -> str:
        """As by a loss of power: every process of the server at once."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._kill_backends()
        self._process = None
        return "killed"

    def _kill_backends(self) -> None:
        """Every backend is in a session of its own; each ends by itself, but only when it next looks."""
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError, ValueError):
                if (folder / "cwd").resolve() == self._folder / "data":
                    os.kill(int(folder.name), signal.SIGKILL)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    folder, user, *command = sys.argv[1:]
    server = Server(Path(folder), user or None, command)
    answers = {"start": server.start, "stop": server.stop, "kill": server.kill}
    try:
        for line in sys.stdin:
            print(answers[line.strip()](), flush=True)
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
