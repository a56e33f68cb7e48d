"""Starting processes that end with the campaign, however it ends."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # linux/prctl.h

# psycopg leaves a server cursor open when the server dies under its close, and then complains that it was.
_STRICT = ("-W", "error", "-W", "ignore::ResourceWarning:psycopg._server_cursor_base")


def start_module(module: str, arguments: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Runs `python -m MODULE` with warnings as errors, in a session of its own, its standard error in a file."""
    with log.open("ab") as errors:
        return subprocess.Popen(
            [sys.executable, *_STRICT, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one thread
        )


def end_on_sigterm() -> None:
    """Lets SIGTERM end this process through its `finally` blocks."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
