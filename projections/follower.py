"""A projector that follows the event store in a thread, whatever happens to the database."""

from __future__ import annotations

import logging
from threading import Event, Thread
from typing import Final, Self

from domain.errors import AppointmentsError
from projections.logs import LogEvent, reason_of, tell
from projections.projector import Projector

RETRY_SECONDS: Final = 5.0
"""After how long a follower that could not go on tries again."""


class Follower:
    """Follows within a `with` block; what stops it is logged, told by `trouble`, and tried again."""

    def __init__(self, projector: Projector) -> None:
        self._projector = projector
        self._stop = Event()
        self._thread = Thread(target=self._run, name="follower", daemon=True)
        self.trouble: str | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._projector.follow(self._stop, progress=self._went_on)
            except AppointmentsError as error:
                self.trouble = str(error)
                tell(LogEvent.RETRYING, level=logging.ERROR, reason=reason_of(error), pause_seconds=RETRY_SECONDS)
                self._stop.wait(RETRY_SECONDS)

    def _went_on(self, *_: int) -> None:
        self.trouble = None
