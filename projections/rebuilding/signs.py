"""The signs of life of a rebuild, by which a health check tells one that stands still."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from projections.rebuilding.progress import Progress
from projections.stores.health import Health

SIGN_SECONDS: Final = 10.0
"""How often a rebuild that gets on within a phase gives one."""


class RebuildSigns:
    """Calling it with the progress of a rebuild gives a sign of life now and then, and tells another one."""

    def __init__(self, health: Health, tell: Callable[[Progress], None] | None) -> None:
        self._health = health
        self._tell = tell
        self._last: tuple[str, float] | None = None

    def __call__(self, progress: Progress) -> None:
        """Gives a sign when a phase begins, and in a long one each `SIGN_SECONDS`."""
        now = time.monotonic()
        if self._last is None or progress.phase != self._last[0] or now - self._last[1] >= SIGN_SECONDS:
            self._health.sign_rebuild(progress.phase)
            self._last = progress.phase, now
        if self._tell is not None:
            self._tell(progress)
