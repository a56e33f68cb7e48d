"""How long a question may take: a limit that holds for everything asked inside a block."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, NamedTuple

TIMEOUT_SECONDS_DEFAULT: Final = 30.0
"""How long a question may take where neither the URL nor the question says otherwise."""

_SECONDS_MIN: Final = 0.1


class TimeLimit(NamedTuple):
    """A moment of the monotonic clock, and the seconds that it was away when the question began."""

    deadline: float
    seconds: float

    @classmethod
    def of(cls, seconds: float) -> TimeLimit:
        """The limit of a question that begins now."""
        return cls(time.monotonic() + seconds, seconds)

    @property
    def left(self) -> float:
        """The seconds left, never less than a tenth: a question that was begun may still be asked once."""
        return max(self.deadline - time.monotonic(), _SECONDS_MIN)


_limit: Final = ContextVar[TimeLimit | None]("limit", default=None)


@contextmanager
def time_limit(seconds: float) -> Iterator[TimeLimit]:
    """Bounds every question asked in the block, all of them together."""
    token = _limit.set(TimeLimit.of(seconds))
    try:
        yield _limit.get() or TimeLimit.of(seconds)
    finally:
        _limit.reset(token)


def limit_of_block() -> TimeLimit | None:
    """The limit of the block that this is called in, where there is one."""
    return _limit.get()


def limit_here(seconds: float) -> TimeLimit:
    """The limit of the block that this is called in; where there is none, so many seconds from now."""
    return _limit.get() or TimeLimit.of(seconds)
