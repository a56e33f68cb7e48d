"""The projector: keeps the read models up to date with the event store.

It takes the envelopes in batches: reads one, folds it, and writes rows and position in one transaction.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from threading import Event
from typing import Final

from domain.appointment import FoldedAppointment
from domain.arguments import optional, seconds, stop_event, whole_number
from domain.errors import NotInstalled, NotRebuilt, PoisonEvent, StorageError, StorageUnavailable, VersionMismatch
from domain.event_store import EventStore
from domain.identifiers import AppointmentId, Generation, Position
from domain.markers import markers_in
from domain.poison import fold_stored
from domain.storage import Database
from domain.storage.base import StoredEnvelope
from domain.topics import MARKER_TOPIC, has_envelope
from projections.following import EitherEvent, FollowerLog, sign_of_life
from projections.logs import LogEvent, tell
from projections.rows import Rows, folded_from, rows_of, tombstones_of
from projections.stores import store_of
from projections.stores.base import UnitOfWork
from projections.stores.tally import Sum

POLL_SECONDS: Final = 1.0
PATIENCE_SECONDS: Final = 60.0


class Projector:
    """Brings the read models up to the event store; `Appointments.projector` is the one to use.

    Any number may run at once, in any number of processes: one projects at a time, and no envelope counts twice.

    Args:
        database: where the event store and the read models are; whoever opened it closes it.
        generation: the generation to project into. Without it, the one that serves readers, and after a switch the
            next one.
        closing: set when the database is about to be closed, which ends `follow`.
    """

    def __init__(
        self, database: Database, *, generation: Generation | None = None, closing: Event | None = None
    ) -> None:
        self._events = EventStore(database)
        self._store = store_of(database)
        self._place = database.place
        self._generation = generation
        self._closing = closing or Event()
        self._installed = False

    def install(self) -> None:
        """Creates the tables that are missing; harmless when none is."""
        if not self._installed:
            self._events.install()
            try:
                self._store.catalogue()
            except NotInstalled:
                self._store.create()
            self._installed = True

    def migrate(self) -> None:
        """Upgrades the tables of an older version in one transaction; harmless where there are none."""
        try:
            self._events.recorder.check()
            self._store.catalogue()
        except NotInstalled:
            return
        except VersionMismatch:
            self._store.migrate()

    def catch_up(
        self,
        *,
        upto: Position | None = None,
        progress: Callable[[Position, Position], None] | None = None,
        stop: Event | None = None,
    ) -> Position:
        """Projects every envelope that is stored when this is called, and returns the position reached.

        Creates the tables first where they are missing.

        Args:
            upto: the position to end at instead.
            progress: told the position reached and the one to reach, after every batch.
            stop: ends it after the batch under way when set.

        Raises:
            PoisonEvent: a stored event cannot be folded; everything before it is projected.
            VersionMismatch: no generation was made by this version of the fold.
            StorageError: the database cannot be used; every batch told to `progress` is committed.
        """
        asked, stop = optional(whole_number, "upto", upto), optional(stop_event, "stop", stop)
        self.install()
        goal = self._events.head() if asked is None else Position(asked)
        if self._generation is None and (stamp := self._store.stamp()).position >= goal:
            return stamp.position
        poison: PoisonEvent | None = None
        while True:
            try:
                position = self._project(goal, progress, stop)
            except PoisonEvent as error:  # of several in one batch any may come first
                poison, goal = error, Position(error.stops_at - 1)
            else:
                if poison is not None:
                    if self._generation is None:
                        self._store.sign(sign_of_life(position, blocked_at=Position(poison.stops_at)))
                    raise poison
                return position

    def follow(
        self,
        stop: Event | None = None,
        *,
        progress: Callable[[Position, Position], None] | None = None,
        patience: float | None = PATIENCE_SECONDS,
    ) -> Position | None:
        """Catches up, then waits for appends of any process and projects each as it comes.

        Returns when another thread sets `stop` or closes the `Appointments`; the batch under way is completed. That
        is the position reached, or None when the database was away, or not rebuilt, all the time.
        Without either it runs until an exception, Ctrl-C for one, ends it. A database that cannot be reached, or has
        to be rebuilt first for this version of the fold, is tried again after growing pauses, for `patience` seconds.

        Args:
            stop: ends it when set.
            progress: told the position reached and the one to reach, after every batch.
            patience: how many seconds in a row the database may be away, or not rebuilt; None for ever.

        Raises:
            PoisonEvent: a stored event cannot be folded; everything before it is projected.
            VersionMismatch: only newer versions of the fold or the tables are here.
            StorageError: the database cannot be used, or was closed before this was called.
        """
        if self._closing.is_set():
            raise StorageError(f"{self._place} was closed here; open it again", place=self._place)
        asked = optional(stop_event, "stop", stop)
        ending = self._closing if asked is None else EitherEvent(asked, self._closing)
        log = FollowerLog(self._place, patience=optional(seconds, "patience", patience), sign=self._store.sign)
        try:
            self._follow_until(ending, progress, log)
        except StorageError:
            if not self._closing.is_set():
                raise
        return log.position

    def _follow_until(
        self, ending: Event, progress: Callable[[Position, Position], None] | None, log: FollowerLog
    ) -> None:
        reason = "asked to"
        try:
            while not ending.is_set():
                try:
                    self._follow_while_reachable(ending, progress, log)
                except (StorageUnavailable, NotRebuilt) as error:
                    log.lost(error, ending)
        except Exception as error:
            reason = type(error).__name__
            raise
        finally:
            log.stopped(reason)

    def _follow_while_reachable(
        self, ending: Event, progress: Callable[[Position, Position], None] | None, log: FollowerLog
    ) -> None:
        self.install()
        with self._events.recorder.waiter() as wait:
            while not ending.is_set():
                began = time.monotonic()
                self.catch_up(progress=progress, stop=ending)
                log.went_on(self._store.stamp(), seconds=time.monotonic() - began)
                wait(ending, POLL_SECONDS)

    def _project(
        self, goal: Position, progress: Callable[[Position, Position], None] | None, stop: Event | None
    ) -> Position:
        while True:
            position, is_done = self._project_batch(goal)
            if progress is not None:
                progress(position, goal)
            tell(LogEvent.BATCH, level=logging.DEBUG, position=position, goal=goal)
            if is_done or (stop is not None and stop.is_set()):
                return position

    def _project_batch(self, goal: Position) -> tuple[Position, bool]:
        """Projects one batch; returns the position reached and whether nothing is left up to the goal."""
        with self._store.unit_of_work(self._generation) as work:
            if work.position >= goal:
                return work.position, True
            batch = work.read(upto=goal, limit=work.batch_events)
            if not batch:
                return work.position, True
            reached = batch[-1].position
            work.write(project(work, batch), reached)
        return reached, reached >= goal


def project(work: UnitOfWork, batch: Sequence[StoredEnvelope]) -> Rows:
    """Folds a batch into what the read models hold of its appointments, and returns the rows to write.

    What they hold of an appointment with a marker in the batch is removed, and its whole stream folded anew.
    """
    changes: dict[AppointmentId, list[StoredEnvelope]] = {}
    for stored in batch:
        changes.setdefault(stored.appointment_id, []).append(stored)
    marked = {stored.appointment_id for stored in batch if stored.topic == MARKER_TOPIC}
    known = {row.appointment_id: folded_from(row.body) for row in work.appointments(sorted(changes.keys() - marked))}
    folded_appointments = []
    for appointment_id in changes.keys() - marked:
        after = fold_stored(known.get(appointment_id), changes[appointment_id])
        if after is not None:
            folded_appointments.append((after, changes[appointment_id][-1].position))
    rows = rows_of(folded_appointments)
    if marked:
        work.remove(sorted(marked))
        rows.extend(_folded_anew(work, sorted(marked), batch))
    return rows


def _folded_anew(work: UnitOfWork, appointment_ids: Sequence[AppointmentId], batch: Sequence[StoredEnvelope]) -> Rows:
    """Folds the streams of appointments with a marker in the batch up to its end."""
    try:
        rows, _ = fold_streams(work.streams_of(appointment_ids, upto=batch[-1].position))
    except PoisonEvent as error:
        marked = (one for one in batch if one.topic == MARKER_TOPIC and one.appointment_id == error.appointment_id)
        error.stops_at = max(next(marked).position, error.position)
        raise
    return rows


def fold_streams(envelopes: Iterable[StoredEnvelope]) -> tuple[Rows, Sum]:
    """Folds whole streams, one after the other, into rows; returns them with the sum of the events in them."""
    count = total = 0
    tombstones = Rows([], [], [])

    def folded_appointments() -> Iterator[tuple[FoldedAppointment, Position]]:
        nonlocal count, total
        for _, stream in groupby(envelopes, key=attrgetter("appointment_id")):
            stored_envelopes = list(stream)
            folded = fold_stored(None, stored_envelopes)
            passed_over = [stored for stored in stored_envelopes if not has_envelope(stored)]
            if passed_over:
                count += len(passed_over)
                total += sum(stored.event_id for stored in passed_over)
                tombstones.extend(tombstones_of(markers_in(passed_over), folded))
            if folded is None:
                continue
            for revision in folded.revisions:  # not what was read: what is in the rows
                count += 1
                total += revision.event_id
            yield folded, max(stored_envelopes).position

    rows = rows_of(folded_appointments())
    rows.extend(tombstones)
    return rows, Sum.of(count, total)
