"""Pulls envelopes from the outbox of another PostgreSQL database, once or for as long as it runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Event
from typing import Final

from domain.arguments import optional, seconds, stop_event
from domain.errors import StorageUnavailable
from domain.event_store import AppendReport, EventStore
from domain.pulling import OutboxQuery, Taken, pulling
from projections.following import EitherEvent, Outage
from projections.logs import LogEvent, tell

INTERVAL_SECONDS: Final = 1.0
"""How long a follower waits between two looks at an outbox."""

PATIENCE_SECONDS: Final = 60.0
_ALIVE_SECONDS: Final = 60.0


class Outbox:
    """The outbox of another database, made by `Appointments.outbox`."""

    def __init__(self, events: EventStore, query: OutboxQuery, *, closing: Event) -> None:
        self._events = events
        self._query = query
        self._closing = closing

    def pull(self, *, restart: bool = False, progress: Callable[[AppendReport], None] | None = None) -> AppendReport:
        """Takes what the outbox holds now and was not taken before, and returns what became of it.

        Each page and how far the outbox was read are committed together, so whatever ends this, the next pull goes
        on where it ended. The tables that are missing are created.

        Args:
            restart: read from the first row on, as after the outbox was made anew; what is known is a duplicate.
            progress: told after every page what is committed so far.

        Raises:
            UsageError: the query fails, or its rows are not as expected.
            StorageUnavailable: one of the two databases is away.
            StorageError: one of them cannot be used.
        """
        committed = AppendReport()

        def note(report: AppendReport) -> None:
            nonlocal committed
            committed = report
            if progress is not None:
                progress(report)

        try:
            with pulling(self._events, self._query, restart=restart) as pull:
                report, _ = pull.round(progress=note)
        except BaseException as error:
            if committed.read:
                error.add_note(f"{committed.read:,} items were done; running it again completes the work")
            raise
        return report + AppendReport(position=self._events.head())

    def follow(
        self,
        stop: Event | None = None,
        *,
        restart: bool = False,
        interval: float = INTERVAL_SECONDS,
        patience: float | None = PATIENCE_SECONDS,
    ) -> None:
        """Pulls again and again, until another thread sets `stop` or closes the `Appointments`.

        Args:
            stop: ends it when set; the page under way is completed.
            restart: begin with the first row instead of where reading ended.
            interval: how many seconds to wait between two looks at the outbox.
            patience: how many seconds in a row one of the databases may be away; None for ever.

        Raises:
            UsageError: the query fails, or its rows are not as expected.
            StorageError: one of the databases cannot be used, or was away for too long.
        """
        asked = optional(stop_event, "stop", stop)
        ending = self._closing if asked is None else EitherEvent(asked, self._closing)
        log = _Log(optional(seconds, "patience", patience))
        reason = "asked to"
        try:
            while not ending.is_set():
                try:
                    with pulling(self._events, self._query, restart=restart) as pull:
                        while not ending.is_set():
                            began = time.monotonic()
                            log.went_on(pull.place, pull.round(stop=ending), time.monotonic() - began)
                            restart = False
                            ending.wait(seconds("interval", interval))
                except StorageUnavailable as error:
                    log.lost(error, ending)
        except Exception as error:
            reason = type(error).__name__
            raise
        finally:
            log.stopped(reason)


class _Log:
    """What a follower of an outbox tells."""

    def __init__(self, patience: float | None) -> None:
        self._outage = Outage(patience=patience)
        self._last_id: int | None = None
        self._is_connected = False
        self._told_at = 0.0

    def went_on(self, place: str, taken: Taken, round_seconds: float) -> None:
        """Tells what a round took; when it took nothing, once a minute that this is alive."""
        now, away_seconds, report = time.monotonic(), self._outage.ended(), taken.report
        self._last_id = taken.last_id
        if not self._is_connected:
            tell(LogEvent.CONNECTED, place=place)
            self._is_connected = True
        elif away_seconds is not None:
            tell(LogEvent.RECONNECTED, place=place, seconds=away_seconds)
        if report.read:
            tell(
                LogEvent.PULLED, outbox_id=taken.last_id, read=report.read, appended=report.appended,
                duplicates=report.duplicates, ignored=report.ignored, quarantined=report.quarantined,
                seconds=round_seconds, level=logging.WARNING if report.quarantined else logging.INFO,
            )  # fmt: skip
            self._told_at = now
        elif now - self._told_at >= _ALIVE_SECONDS:
            tell(LogEvent.ALIVE, outbox_id=taken.last_id)
            self._told_at = now

    def lost(self, error: StorageUnavailable, ending: Event) -> None:
        """Tells once that one of the databases is away and waits, longer each time; raises when the patience ends."""
        self._outage.lost(error.place or "unknown", error, ending)

    def stopped(self, reason: str) -> None:
        """Tells why it ends."""
        tell(LogEvent.STOPPED, outbox_id=self._last_id, reason=reason)
