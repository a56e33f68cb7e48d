"""Ends a command cleanly on SIGINT, SIGTERM and SIGHUP: open transactions are rolled back."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """A signal asked this process to end. A `KeyboardInterrupt`, so that code which handles Ctrl-C handles it too."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = signal.Signals(number)

    def __str__(self) -> str:
        return "interrupted" if self.signal is signal.SIGINT else f"ended by {self.signal.name}"

    @property
    def exit_status(self) -> int:
        """128 plus the number of the signal, the convention of shells."""
        return 128 + self.signal


@contextmanager
def raised_as_interrupted() -> Iterator[None]:
    """Raises `Interrupted` at the first signal; a second one, or one after the block, ends the process at once."""

    def interrupt(number: int) -> None:
        raise Interrupted(number)

    with _handled(interrupt):
        yield
    for number in _wanted():
        signal.signal(number, signal.SIG_DFL)


@contextmanager
def told(tell: Callable[[], None]) -> Iterator[None]:
    """Calls a function at the first signal; a second one ends the process at once."""
    with _handled(lambda _number: tell()):
        yield


@contextmanager
def _handled(handle: Callable[[int], None]) -> Iterator[None]:
    wanted = _wanted()

    def once(number: int, _frame: FrameType | None) -> None:
        for other in wanted:
            signal.signal(other, signal.SIG_DFL)
        handle(number)

    before = {number: signal.signal(number, once) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is once:
                signal.signal(number, handler)


def _wanted() -> list[signal.Signals]:
    """Returns the signals not ignored so far: `nohup` ignores SIGHUP, and shells SIGINT for background jobs."""
    return [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]
