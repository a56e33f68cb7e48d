"""A time limit for all queries inside a block."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, NamedTuple

TIMEOUT_SECONDS_DEFAULT: Final = 30.0
"""The time limit of a query when neither the URL nor the caller gives one."""

_SECONDS_MIN: Final = 0.1


class TimeLimit(NamedTuple):
    """A deadline on the monotonic clock, and how many seconds there were when it was set."""

    deadline: float
    seconds: float

    @classmethod
    def of(cls, seconds: float) -> TimeLimit:
        """A limit of so many seconds from now."""
        return cls(time.monotonic() + seconds, seconds)

    @property
    def left(self) -> float:
        """The seconds left, never less than a tenth, so that every query is tried once."""
        return max(self.deadline - time.monotonic(), _SECONDS_MIN)


_limit: Final = ContextVar[TimeLimit | None]("limit", default=None)


@contextmanager
def time_limit(seconds: float) -> Iterator[TimeLimit]:
    """Sets one time limit for all queries in the block together."""
    token = _limit.set(TimeLimit.of(seconds))
    try:
        yield _limit.get() or TimeLimit.of(seconds)
    finally:
        _limit.reset(token)


def limit_of_block() -> TimeLimit | None:
    """The limit of the surrounding block, or None."""
    return _limit.get()


def limit_here(seconds: float) -> TimeLimit:
    """The limit of the surrounding block, or else one of so many seconds from now."""
    return _limit.get() or TimeLimit.of(seconds)
