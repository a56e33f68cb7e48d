"""What a follower tells of its database and its progress, and how long it waits for a database or a rebuild."""

from __future__ import annotations

import logging
import math
import os
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Event
from typing import Final

from typing_extensions import override

from domain.appointment import current_fold_version
from domain.errors import NotRebuilt, StorageUnavailable
from domain.identifiers import Position
from projections.logs import LogEvent, tell
from projections.stores.base import FollowerSign, Stamp

_PAUSE_SECONDS: Final = 1.0
_PAUSE_SECONDS_MAX: Final = 30.0
_ALIVE_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.1
SIGN_SECONDS: Final = 10.0
"""How often a follower gives a sign of life to the read models: seldom, for on SQLite others wake up by it."""


def sign_of_life(
    position: Position, *, started_at: datetime | None = None, blocked_at: Position | None = None
) -> FollowerSign:
    """The sign of life that this process gives now."""
    now = datetime.now(UTC)
    name = f"{platform.node()}:{os.getpid()}"
    return FollowerSign(
        name=name,
        fold_version=current_fold_version(),
        started_at=started_at or now,
        seen_at=now,
        position=position,
        blocked_at=blocked_at,
    )


class Outage:
    """How long a database has been away, or a rebuild to come first: told once, and waited for with patience."""

    def __init__(self, *, patience: float | None) -> None:
        self._patience = patience
        self._pause = _PAUSE_SECONDS
        self._since: float | None = None

    def lost(self, place: str, error: StorageUnavailable | NotRebuilt, ending: Event) -> None:
        """Tells the first time what is waited for, and waits; raises when the patience ends.

        The pauses grow while the database is away: asking whether a rebuild is done costs it nothing.
        """
        now = time.monotonic()
        if self._since is None:
            self._since = now
            event = LogEvent.WAITING if isinstance(error, NotRebuilt) else LogEvent.LOST
            tell(event, level=logging.WARNING, place=place, reason=str(error), pause_seconds=self._pause)
        left = None if self._patience is None else self._since + self._patience - now
        if left is not None and left <= 0:
            raise error
        ending.wait(self._pause if left is None else min(self._pause, left))
        if isinstance(error, StorageUnavailable):
            self._pause = min(2 * self._pause, _PAUSE_SECONDS_MAX)

    def ended(self) -> float | None:
        """Takes note that the database is there; returns how many seconds it was away, or None if it was not."""
        since, self._since, self._pause = self._since, None, _PAUSE_SECONDS
        return None if since is None else time.monotonic() - since


class FollowerLog:
    """The state of one follower, as its log tells it."""

    def __init__(
        self, place: str, *, patience: float | None, sign: Callable[[FollowerSign], None] | None = None
    ) -> None:
        self._place = place
        self._sign = sign
        self._started_at = datetime.now(UTC)
        self._signed_at: float | None = None
        self._outage = Outage(patience=patience)
        self._stamp: Stamp | None = None
        self._told_at = 0.0

    def went_on(self, stamp: Stamp, *, seconds: float) -> None:
        """Tells what is new after a round of projecting; when nothing is, once a minute that it is alive."""
        now, before, away_seconds = time.monotonic(), self._stamp, self._outage.ended()
        if before is None:
            tell(LogEvent.CONNECTED, place=self._place, generation=stamp.generation, position=stamp.position)
        elif away_seconds is not None:
            tell(LogEvent.RECONNECTED, place=self._place, seconds=away_seconds)
        if before is not None and before.generation != stamp.generation:
            tell(LogEvent.SWITCHED, before=before.generation, generation=stamp.generation)
        if before is None or before.position != stamp.position:
            events = stamp.position - (0 if before is None else before.position)
            tell(LogEvent.CAUGHT_UP, position=stamp.position, lag=stamp.lag, positions=events, seconds=seconds)
            self._told_at = now
        elif now - self._told_at >= _ALIVE_SECONDS:
            tell(LogEvent.ALIVE, position=stamp.position, lag=stamp.lag)
            self._told_at = now
        self._stamp = stamp
        if self._sign is not None and (self._signed_at is None or now - self._signed_at >= SIGN_SECONDS):
            self._sign(sign_of_life(stamp.position, started_at=self._started_at))
            self._signed_at = now

    def lost(self, error: StorageUnavailable | NotRebuilt, ending: Event) -> None:
        """Waits for a while for a database that is away, or has to be rebuilt; raises when the patience ends."""
        self._outage.lost(self._place, error, ending)

    def stopped(self, reason: str) -> None:
        """Tells why it ends."""
        tell(LogEvent.STOPPED, position=self.position, reason=reason)

    @property
    def position(self) -> Position | None:
        """The position of the read models when they were last seen; None when they never were."""
        return None if self._stamp is None else self._stamp.position


class EitherEvent(Event):
    """Counts as set as soon as one of two events is."""

    def __init__(self, first: Event, second: Event) -> None:
        super().__init__()
        self._first = first
        self._second = second

    @override
    def is_set(self) -> bool:
        return self._first.is_set() or self._second.is_set()

    @override
    def wait(self, timeout: float | None = None) -> bool:
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        while not self.is_set() and (left := deadline - time.monotonic()) > 0:
            self._first.wait(min(left, _LOOK_SECONDS))
        return self.is_set()
