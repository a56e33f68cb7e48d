"""What a follower tells of its database and its progress, and how long it waits for a database that is away."""

from __future__ import annotations

import logging
import os
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Event
from typing import Final

from domain.errors import StorageUnavailable
from domain.identifiers import Position
from projections.logs import LogEvent, tell
from projections.stores.base import FollowerSign, Stamp

_PAUSE_SECONDS: Final = 1.0
_PAUSE_SECONDS_MAX: Final = 30.0
_ALIVE_SECONDS: Final = 60.0
SIGN_SECONDS: Final = 10.0
"""How often a follower gives a sign of life to the read models: seldom, for on SQLite others wake up by it."""


def sign_of_life(
    position: Position, *, started_at: datetime | None = None, blocked_at: Position | None = None
) -> FollowerSign:
    """The sign of life that this process gives now."""
    now = datetime.now(UTC)
    name = f"{platform.node()}:{os.getpid()}"
    return FollowerSign(
        name=name, started_at=started_at or now, seen_at=now, position=position, blocked_at=blocked_at
    )


class FollowerLog:
    """The state of one follower, as its log tells it."""

    def __init__(
        self, place: str, *, patience: float | None, sign: Callable[[FollowerSign], None] | None = None
    ) -> None:
        self._place = place
        self._sign = sign
        self._started_at = datetime.now(UTC)
        self._signed_at: float | None = None
        self._patience = patience
        self._pause = _PAUSE_SECONDS
        self._away_since: float | None = None
        self._stamp: Stamp | None = None
        self._told_at = 0.0

    def went_on(self, stamp: Stamp, *, seconds: float) -> None:
        """Tells what is new after a round of projecting; when nothing is, once a minute that it is alive."""
        now, before = time.monotonic(), self._stamp
        if before is None:
            tell(LogEvent.CONNECTED, place=self._place, generation=stamp.generation, position=stamp.position)
        elif self._away_since is not None:
            tell(LogEvent.RECONNECTED, place=self._place, seconds=now - self._away_since)
        if before is not None and before.generation != stamp.generation:
            tell(LogEvent.SWITCHED, before=before.generation, generation=stamp.generation)
        if before is None or before.position != stamp.position:
            events = stamp.position - (0 if before is None else before.position)
            tell(LogEvent.CAUGHT_UP, position=stamp.position, lag=stamp.lag, positions=events, seconds=seconds)
            self._told_at = now
        elif now - self._told_at >= _ALIVE_SECONDS:
            tell(LogEvent.ALIVE, position=stamp.position, lag=stamp.lag)
            self._told_at = now
        self._stamp, self._away_since, self._pause = stamp, None, _PAUSE_SECONDS
        if self._sign is not None and (self._signed_at is None or now - self._signed_at >= SIGN_SECONDS):
            self._sign(sign_of_life(stamp.position, started_at=self._started_at))
            self._signed_at = now

    def lost(self, error: StorageUnavailable, ending: Event) -> None:
        """Tells once that the database is away and waits, longer each time; raises when the patience ends."""
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
            tell(
                LogEvent.LOST, level=logging.WARNING, place=self._place, reason=str(error), pause_seconds=self._pause
            )
        left = None if self._patience is None else self._away_since + self._patience - now
        if left is not None and left <= 0:
            raise error
        ending.wait(self._pause if left is None else min(self._pause, left))
        self._pause = min(2 * self._pause, _PAUSE_SECONDS_MAX)

    def stopped(self, reason: str) -> None:
        """Tells why it ends."""
        position = None if self._stamp is None else self._stamp.position
        tell(LogEvent.STOPPED, position=position, reason=reason)
