"""Tells open pages that what they show has changed: one thread waits for all of them, whatever their number."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from itertools import groupby
from threading import Event, Lock, Thread
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from domain.arguments import identifier
from domain.errors import AppointmentsError, Forgotten, InvalidToken
from projections.queries.schedules import Schedules
from projections.rows import Side
from projections.web.addresses import check_token, id_of
from projections.web.guard import STREAMS

BREATH_SECONDS: Final = 15.0
"""After how long without a change a stream says that it lives; a client that is gone is noticed then."""

PAUSE_SECONDS: Final = 0.25
"""How long changes are collected before pages are told, so that a busy projector does not keep them busy."""

_WAIT_SECONDS: Final = 1.0
_CHANGED: Final = b"event: changed\ndata:\n\n"
_ALIVE: Final = b": alive\n\n"


@dataclass(eq=False, slots=True)
class _Page:
    """An open page: whose schedule it shows, since which token it is told of changes, and what wakes it."""

    side: Side
    owner_id: str
    token: str
    loop: asyncio.AbstractEventLoop
    asked_at: tuple[object, ...] | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def question(self) -> tuple[Side, str, str]:
        return self.side, self.owner_id, self.token


class Watch:
    """Watches the schedules of all open pages with one thread, which lives while a page is open."""

    def __init__(self, schedules: Schedules) -> None:
        self._schedules = schedules
        self._lock = Lock()
        self._pages: set[_Page] = set()
        self._thread: Thread | None = None
        self._came = Event()

    async def changes(self, side: Side, owner_id: str, since: str, *, closing: asyncio.Event) -> AsyncIterator[bytes]:
        """The events of one page, until the service closes."""
        page = _Page(side, owner_id, since, asyncio.get_running_loop())
        closes = asyncio.ensure_future(closing.wait())
        self._open(page)
        try:
            yield _ALIVE
            while not closes.done():
                changes = asyncio.ensure_future(page.changed.wait())
                try:
                    await asyncio.wait({changes, closes}, timeout=BREATH_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    changes.cancel()
                if closes.done():
                    return
                yield _CHANGED if page.changed.is_set() else _ALIVE
                page.changed.clear()
        finally:
            closes.cancel()
            self._close(page)

    @property
    def pages(self) -> int:
        """How many pages are open."""
        return len(self._pages)

    def _open(self, page: _Page) -> None:
        with self._lock:
            self._pages.add(page)
            if self._thread is None or not self._thread.is_alive():
                self._thread = Thread(target=self._run, name="appointments-live", daemon=True)
                self._thread.start()
        self._came.set()

    def _close(self, page: _Page) -> None:
        with self._lock:
            self._pages.discard(page)
        self._came.set()

    def _is_needed(self) -> bool:
        """Whether a page is open; the thread ends where none is, and the next page starts another."""
        with self._lock:
            if not self._pages:
                self._thread = None
            return bool(self._pages)

    def _run(self) -> None:
        while self._is_needed():
            try:
                with self._schedules.waiter() as wait:
                    self._follow(wait)
            except AppointmentsError:  # pages stay as they are, and are told when the database is back
                self._came.wait(_WAIT_SECONDS)
                self._came.clear()

    def _follow(self, wait: Callable[[Event, float], None]) -> None:
        pause = Event()
        while self._is_needed():
            self._came.clear()
            self._tell()
            if not self._came.is_set():
                wait(self._came, _WAIT_SECONDS)
                pause.wait(PAUSE_SECONDS)

    def _tell(self) -> None:
        """Asks for those pages that have not been asked for since projectors last committed."""
        stamp = self._schedules.stamp()
        now = (stamp.epoch, stamp.generation, stamp.position)
        with self._lock:
            pages = sorted((page for page in self._pages if page.asked_at != now), key=lambda page: page.question)
        for (side, owner_id, token), same in groupby(pages, key=lambda page: page.question):
            is_changed, token_next = self._asked(side, owner_id, token)
            for page in same:
                page.token, page.asked_at = token_next, now
                if is_changed:
                    page.loop.call_soon_threadsafe(page.changed.set)

    def _asked(self, side: Side, owner_id: str, token: str) -> tuple[bool, str]:
        """Whether a schedule has changed since a token, and the token of now."""
        try:
            return self._changed_since(side, owner_id, token)
        except Forgotten:  # the page is told, and finds out when it asks
            return True, token

    def _changed_since(self, side: Side, owner_id: str, token: str) -> tuple[bool, str]:
        try:
            if side is Side.TALENT:
                found = self._schedules.changes(talent_id=owner_id, since=token)
            else:
                found = self._schedules.changes(coach_id=owner_id, since=token)
        except InvalidToken:  # the fold is another, or the event store was restored: everything may have changed
            return True, self._schedules.token(side, owner_id)
        return len(found) > 0, found.token


def add_live(app: FastAPI, schedules: Schedules, closing: asyncio.Event) -> None:
    """Adds the streams that pages listen to."""
    watch = Watch(schedules)

    def add(side: Side) -> None:
        @app.get(f"{STREAMS}{side.plural}/", include_in_schema=False)
        @app.get(f"{STREAMS}{side.plural}/{{segment}}", include_in_schema=False)
        async def live(request: Request, since: str, segment: str = "") -> StreamingResponse:
            given = id_of(segment) if segment else request.query_params.get("id", "")
            owner_id = identifier(f"{side}_id", given)
            check_token(since)
            events = watch.changes(side, owner_id, since, closing=closing)
            return StreamingResponse(events, media_type="text/event-stream")

    for side in Side:
        add(side)
