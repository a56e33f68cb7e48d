"""Asks the read models: waits for the position that a caller needs, within a time limit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from threading import Event
from typing import Final, TypeVar

from domain.arguments import optional, seconds, whole_number
from domain.errors import Forgotten, ReadModelBehind, StorageError, StorageUnavailable
from domain.identifiers import AppointmentId
from domain.person import Person
from domain.storage import Database, recorder_of
from domain.storage.base import StoredEnvelope
from domain.storage.time_limit import TimeLimit, time_limit
from projections.stores import store_of
from projections.stores.base import Stamp

_Found = TypeVar("_Found")


class Reader:
    """The read models of an installation, for asking only: nothing is ever created or changed.

    Attributes:
        store: the adapter that answers.
    """

    def __init__(self, database: Database, *, primary: Database | None = None) -> None:
        """With a primary the database is a replica, which is checked to be that one's."""
        self._database, self._primary = database, primary
        self.store: Final = store_of(database)
        self._recorder = recorder_of(database)
        self._timeout_seconds = database.timeout_seconds

    def ask(
        self,
        question: Callable[[], tuple[Stamp, _Found]],
        *,
        about: Person | None = None,
        at_least: int | None = None,
        timeout: float | None,
    ) -> tuple[Stamp, _Found]:
        """What the store answers, once it has reached a position; the wait counts for the timeout.

        Raises:
            Forgotten: the person whom it is about was forgotten.
            ReadModelBehind: the position was not reached in time.
            VersionMismatch: no read models were made by this version of the fold.
        """
        at_least = optional(whole_number, "at_least", at_least)
        with self.within(timeout) as limit:
            self._wait_for(at_least, limit)
            stamp, found = question()
            self._check_known(about, stamp)
        return stamp, found

    def _check_known(self, about: Person | None, stamp: Stamp) -> None:
        if about is None or not stamp.erasures:
            return
        if self._recorder.ledger.read(version=stamp.erasures).is_forgotten(about):
            raise Forgotten(about.side)

    @contextmanager
    def scan(
        self,
        question: Callable[[], AbstractContextManager[tuple[Stamp, Iterator[_Found]]]],
        *,
        about: Person | None = None,
        at_least: int | None = None,
        timeout: float | None,
    ) -> Iterator[tuple[Stamp, Iterator[_Found]]]:
        """What the store answers as `ask` does, read while the block goes on; the timeout is for its beginning."""
        at_least = optional(whole_number, "at_least", at_least)
        with ExitStack() as answering:
            with self.within(timeout) as limit:
                self._wait_for(at_least, limit)
                stamp, found = answering.enter_context(question())
                self._check_known(about, stamp)
            yield stamp, found

    @contextmanager
    def read(
        self,
        question: Callable[[], AbstractContextManager[tuple[Stamp, Iterator[_Found]]]],
        *,
        about: Person | None = None,
        at_least: int | None = None,
        timeout: float | None,
    ) -> Iterator[tuple[Stamp, Iterator[_Found]]]:
        """As `scan`, but the timeout is that of the whole answer."""
        with (
            self.within(timeout) as limit,
            self.scan(question, about=about, at_least=at_least, timeout=timeout) as (stamp, found),
        ):
            yield stamp, _in_time(found, limit)

    def stream(self, appointment_id: AppointmentId, *, timeout: float | None) -> list[StoredEnvelope]:
        """The stored envelopes of one appointment, by event id."""
        with self.within(timeout):
            self._check_replica()
            self._recorder.check()
            return self._recorder.stream(appointment_id)

    def within(self, timeout: float | None) -> AbstractContextManager[TimeLimit]:
        """Limits what is asked in the block to so many seconds, or to the database's default."""
        return time_limit(self._timeout_seconds if timeout is None else seconds("timeout", timeout))

    def _check_replica(self) -> None:
        """Raises `StorageError` for a replica of another installation; while the primary is away nobody can tell."""
        if self._primary is None:
            return
        try:
            is_same = recorder_of(self._primary).epoch() == self._recorder.epoch()
        except StorageUnavailable as error:
            if error.place != self._primary.place:
                raise
            return
        if not is_same:
            raise StorageError(
                "read_host is no replica of this installation, or has not yet received the restored one",
                place=self._database.place,
            )
        self._primary = None

    def _wait_for(self, at_least: int | None, limit: TimeLimit) -> None:
        """Waits for a position if there is one, of a replica that is the right one."""
        self._check_replica()
        if at_least is None or self.store.stamp().position >= at_least:
            return
        never = Event()
        with self.store.waiter() as wait:
            while (stamp := self.store.stamp()).position < at_least:
                left = limit.deadline - time.monotonic()
                if left <= 0:
                    raise ReadModelBehind(at_least, stamp.position, limit.seconds, head=stamp.head)
                wait(never, left)


def _in_time(found: Iterator[_Found], limit: TimeLimit) -> Iterator[_Found]:
    deadline = time.monotonic() + limit.left  # of which, as for every query, a tenth of a second is always there
    for one in found:
        if time.monotonic() > deadline:
            raise StorageUnavailable(f"the answer took more than {limit.seconds:g} s; allow more time for it")
        yield one
