"""The object that users open: the event store, the projector and the schedules of one installation."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from threading import Event
from types import TracebackType
from typing import Final, Self
from uuid import UUID

from domain.arguments import identifier, optional, seconds
from domain.event_store import EventStore
from domain.identifiers import Generation
from domain.input.batches import BATCH_ITEMS_MAX
from domain.person import Person
from domain.pulling import OVERLAP_DEFAULT, OutboxQuery
from domain.receipt import Receipt
from domain.storage import open_database
from domain.storage.location import Location, locate
from domain.storage.time_limit import time_limit
from projections.calendar_links import CalendarLinks
from projections.forgetting import Forgetting
from projections.outbox import Outbox
from projections.projector import Projector
from projections.queries.filters import owner_of
from projections.queries.schedules import Schedules
from projections.rebuilding.fold_versions import GenerationStatus, generation_statuses, retirable, retire
from projections.rebuilding.old_generations import DroppedGenerations, drop_old
from projections.rebuilding.progress import Progress
from projections.rebuilding.rebuild import RebuildReport, rebuild, rollback
from projections.rebuilding.signs import RebuildSigns
from projections.rebuilding.verification import Verification, verify
from projections.shown import owners_shown
from projections.status import InstallationStatus, note_verification, status_of
from projections.stores import health_of, store_of
from projections.stores.catalogue import Catalogue


class Appointments:
    """One installation: `events` to append to, `projector` to project with, `schedules` to ask.

    Opening it connects to nothing: connections are made when they are first used, so a reader needs no right to
    write. The three parts share one pool of connections, and on PostgreSQL one more that listens for all who wait.
    Safe to use from several threads; after a fork the child makes connections of its own. Close it at the end, or use
    it as a context manager.

    Attributes:
        place: where it is, as a URL without a secret.
        events: the event store.
        projector: what brings the read models up to the event store.
        schedules: what answers questions.
        calendar_links: the tokens of calendar feeds.
        forgetting: the receipts of forgotten persons, and the steps of forgetting one.
    """

    def __init__(self, location: Location, *, timeout: float | None = None) -> None:
        if not isinstance(location, Location):
            raise TypeError(
                f"location: expected a Location, found {type(location).__name__}; "
                "to open a URL: Appointments.open(url)"
            )
        timeout_seconds = optional(seconds, "timeout", timeout)
        self._location = location
        self._closing = Event()
        self._database = open_database(location)
        replica = location.replica()
        self._replica = open_database(replica) if replica else None
        if timeout_seconds is not None:
            for database in filter(None, (self._database, self._replica)):
                database.timeout_seconds = timeout_seconds
        self.place: Final = self._database.place
        self.events: Final = EventStore(self._database, shown=partial(owners_shown, self._database))
        self.projector: Final = Projector(self._database, closing=self._closing)
        self.schedules: Final = (
            Schedules(self._replica, primary=self._database) if self._replica else Schedules(self._database)
        )
        self.calendar_links: Final = CalendarLinks(self._database)
        self.forgetting: Final = Forgetting(self._database)

    @classmethod
    def open(cls, url: str | None = None, *, schema: str | None = None, timeout: float | None = None) -> Self:
        """Opens the installation at a URL, without connecting or creating anything.

        Args:
            url: `sqlite:///relative.db`, `sqlite:////absolute.db`, `postgresql://user@host/dbname` or `memory:NAME`;
                with `?read_host=HOST` a PostgreSQL replica answers what `schedules` is asked;
                without it the environment's `APPOINTMENTS_DB`, else `sqlite:///appointments.db`.
            schema: the PostgreSQL schema; without it the environment's `APPOINTMENTS_SCHEMA`, else `appointments`.
            timeout: how many seconds a question to `schedules`, and on PostgreSQL one to `events`, may take that has
                no `timeout` of its own, 0 to 86,400; without it, as many as a PostgreSQL URL says (`?timeout=5`, 0
                for no limit), else 30. Appends, projections and rebuilds take as long as they must.

        Raises:
            UsageError: the URL or the schema is of no known form, or the timeout makes no sense.
        """
        return cls(locate(url, schema=schema), timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self.place}>"

    def close(self) -> None:
        """Ends `projector.follow()` in other threads and closes every connection; harmless when repeated.

        What other threads are doing with a connection is completed first. Whoever uses a part of it afterwards gets a
        `StorageError` that says so.
        """
        self._closing.set()
        for database in filter(None, (self._replica, self._database)):
            database.close()

    def install(self) -> None:
        """Creates the tables that are missing and upgrades those of an older version, as `appointments init` does.

        Harmless when nothing is to do. A first append or projection creates missing tables by itself, but upgrades
        none.

        Raises:
            StorageError: the database cannot be used, or the role may not create tables.
        """
        self.projector.migrate()
        self.projector.install()

    def outbox(self, dsn: str, *, query: str, overlap: int = OVERLAP_DEFAULT, limit: int = BATCH_ITEMS_MAX) -> Outbox:
        """The outbox of another PostgreSQL database, to `pull` from; connects to nothing yet.

        Args:
            dsn: the URL of its database.
            query: a SELECT of an ascending integer id and an envelope (text, json, jsonb or bytea), with `%(after)s`
                and `%(limit)s`: `SELECT id, body FROM outbox WHERE id > %(after)s ORDER BY id LIMIT %(limit)s`. It
                runs in read-only transactions.
            overlap: how many ids below the highest one are read again each time: ids are handed out before they are
                committed, and what is committed when this many later ids were read may be missed.
            limit: how many rows are read at once, and appended in one transaction.

        Raises:
            UsageError: the query lacks a parameter, or a number makes no sense.
        """
        outbox = OutboxQuery(dsn, query, overlap=overlap, limit=limit)
        return Outbox(self.events, outbox, closing=self._closing)

    def status(self) -> InstallationStatus:
        """Positions, lag, counts and health; each is asked for by itself, so they may be a moment apart.

        Raises:
            StorageUnavailable: the database gave no answer in time.
            StorageError: the database cannot be used.
        """
        with time_limit(self._database.timeout_seconds):
            return status_of(self._database, replica=self._replica)

    def catalogue(self) -> Catalogue:
        """The generations of the read models, and which of them serves.

        Raises:
            StorageError: the database cannot be used.
        """
        return store_of(self._database).catalogue()

    def sizes(self) -> dict[str, int]:
        """The bytes that each table takes on disk, with its indexes; on SQLite every page of the file is looked at.

        Raises:
            StorageError: the database cannot be used.
        """
        return store_of(self._database).sizes()

    def rebuild(
        self,
        *,
        restart: bool = False,
        processes: int | None = None,
        progress: Callable[[Progress], None] | None = None,
        executor: Executor | None = None,
    ) -> RebuildReport:
        """Makes a new generation from history, verifies it and lets readers see it; the old one serves until then.

        Resumes an unfinished rebuild unless `restart` is set.

        Args:
            restart: start over instead of resuming an unfinished rebuild.
            processes: how many processes load and verify at once; as many as there are cores unless given.
            progress: told how far each phase is.
            executor: whose workers load and verify, on this machine or others, instead of processes of our own. They
                get the installation without a password, and their own from where libpq looks or `APPOINTMENTS_DB`.

        Raises:
            RebuildFailed: a worker was lost or runs other code; what was loaded is kept.
            RebuildRunning: another one is under way.
            DifferencesFound: the new generation does not equal history.
            PoisonEvent: a stored event cannot be folded.
            StorageError: the database cannot be used. Whatever is raised, the old generation serves.
        """
        report = rebuild(
            self._database,
            self._location,
            restart=restart,
            processes=processes,
            progress=RebuildSigns(health_of(self._database), progress),
            executor=executor,
        )
        note_verification(self._database, report.generation, checked=report.appointments, differences=0)
        return report

    def verify(
        self,
        *,
        sample: int | None = None,
        progress: Callable[[int, int], None] | None = None,
        executor: Executor | None = None,
    ) -> Verification:
        """Compares the serving read models with a fold of history.

        Args:
            sample: check only this many appointments, chosen by chance.
            progress: told the number of appointments checked and how many there are.
            executor: whose workers verify, as for `rebuild`; on PostgreSQL, and not for a sample.

        Raises:
            RebuildFailed: a worker was lost or runs other code.
            VersionMismatch: none were made by this version of the fold.
            StorageError: the database cannot be used.
        """
        generation = self.schedules.stamp().generation
        found = verify(self._database, self._location, sample=sample, progress=progress, executor=executor)
        if sample is None:
            differences = len(found.differences)
            note_verification(self._database, generation, checked=found.checked, differences=differences)
        return found

    def rollback(self) -> Generation:
        """Catches the previous generation up and lets readers see it again; returns its number.

        Raises:
            RebuildFailed: there is no previous generation.
            VersionMismatch: no read models were made by this version of the fold.
            RebuildRunning: a rebuild is under way.
        """
        return rollback(self._database)

    def generations(self) -> list[GenerationStatus]:
        """The generations of every version of the fold, by number, with what `appointments generations` tells.

        Raises:
            StorageError: the database cannot be used.
        """
        return generation_statuses(self._database)

    def retirable_generations(self, fold_version: int) -> list[Generation]:
        """The generations that `retire_generations` would drop; raises what it would raise."""
        return retirable(self._database, fold_version)

    def retire_generations(self, fold_version: int) -> DroppedGenerations:
        """Drops the generations of an older version of the fold; code of that version is answered no more.

        Raises:
            FoldVersionNotFound: there are none.
            UsageError: it is the version of this code or a newer one, no newer one serves, or a follower of it was
                seen within a minute.
            RebuildRunning: a rebuild is under way.
            StorageError: the database cannot be used.
        """
        return retire(self._database, fold_version)

    def forget(
        self,
        *,
        talent_id: str | UUID | None = None,
        coach_id: str | UUID | None = None,
        reference: str | None = None,
    ) -> Receipt:
        """Takes a talent or a coach out of everything that is stored, for good, and returns the receipt.

        What is stored of them is masked, and so is what comes later. The other person's schedule keeps when they met.
        Whoever was forgotten already stays so. `reference` is the requester's; the receipt has it.

        Raises:
            PoisonEvent: a stored event cannot be read. With a note where the person is forgotten all the same.
            StorageError: the database cannot be used or the role lacks a right. With a note as well.
        """
        side, owner_id = owner_of(talent_id, coach_id)
        person = Person(side, identifier(f"{side}_id", owner_id))
        return self.forgetting.forget(person, reference=reference, projector=self.projector)

    def drop_old_generations(self) -> DroppedGenerations:
        """Drops the tables of old generations that a rebuild had to keep because somebody else held them.

        Raises:
            RebuildRunning: a rebuild is under way; it does this itself at its end.
        """
        return drop_old(self._database)
