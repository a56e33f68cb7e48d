"""How a command that ends by itself tells how far it is: bars on a terminal, else the log."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import Event, Thread
from typing import Any, Final, Protocol, Self

from projections.cli.terminal import progress_bars
from projections.logs import LogEvent, LogFormat, logging_to_standard_error, tell

ALIVE_SECONDS: Final = 60.0


class Show(Protocol):
    """Is told how far a phase is; a total of None is not known."""

    def __call__(
        self, phase: str, done: int, total: int | None, *, unit: str = "envelopes", workers: int = 0
    ) -> None:
        """Shows it."""


@contextmanager
def progress_told(log_format: LogFormat | None, log_level: str) -> Iterator[Show]:
    """Shows progress bars on a terminal where no log is asked for; else tells the phases and once a minute how far.

    Without a format only warnings and that sign of life are told, so that what ends soon says nothing.
    """
    if log_format is None and sys.stderr.isatty():
        with progress_bars() as bars, logging_to_standard_error(LogFormat.TEXT, level=logging.WARNING):
            assert bars is not None  # noqa: S101 - it is a terminal
            yield bars.show
        return
    with (
        logging_to_standard_error(log_format or LogFormat.TEXT, level=level_of(log_level), quiet=log_format is None),
        _Reached() as reached,
    ):
        yield reached.show


Telling = Callable[[], AbstractContextManager[Show]]
"""Opens a way to show progress."""


def quietly() -> AbstractContextManager[Show]:
    """The way of a command that has no options for its log."""
    return progress_told(None, "info")


def level_of(log_level: str) -> int:
    """The number of a level that `--log-level` names."""
    return logging.getLevelNamesMapping()[log_level.upper()]


class _Reached:
    """How far a command is, told when a phase begins and once a minute, also while a phase goes on without a word."""

    def __init__(self) -> None:
        self._reached: dict[str, Any] = {}
        self._phases: set[str] = set()
        self._ended = Event()
        self._thread = Thread(target=self._tell_alive, name="alive", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def show(self, phase: str, done: int, total: int | None, *, unit: str = "envelopes", workers: int = 0) -> None:
        self._reached = {"phase": phase, "done": done, "total": total, "unit": unit, "workers": workers}
        if phase not in self._phases:  # two of a rebuild take turns
            self._phases.add(phase)
            tell(LogEvent.PHASE, phase=phase, total=total, unit=unit)
        tell(LogEvent.PROGRESS, level=logging.DEBUG, **self._reached)

    def _tell_alive(self) -> None:
        while not self._ended.wait(ALIVE_SECONDS):
            tell(LogEvent.ALIVE, **self._reached)
