"""SIGINT, SIGTERM and SIGHUP end a command in good order: work is rolled back, and the caller learns why."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """A signal asked this process to end; whatever gives way to Ctrl-C gives way to it as well."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = signal.Signals(number)

    def __str__(self) -> str:
        return "interrupted" if self.signal is signal.SIGINT else f"ended by {self.signal.name}"

    @property
    def exit_status(self) -> int:
        """128 and the number of the signal, as shells say it."""
        return 128 + self.signal


@contextmanager
def raised_as_interrupted() -> Iterator[None]:
    """Within the block the first signal raises `Interrupted`; another one, and any after the block, ends at once."""

    def interrupt(number: int) -> None:
        raise Interrupted(number)

    with _handled(interrupt):
        yield
    for number in _wanted():
        signal.signal(number, signal.SIG_DFL)


@contextmanager
def told(tell: Callable[[], None]) -> Iterator[None]:
    """Within the block the first signal calls the function; another one ends the process at once."""
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
    """The signals that are not ignored: `nohup` ignores SIGHUP, and a shell Ctrl-C for what it runs beside itself."""
    return [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]
