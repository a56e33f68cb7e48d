"""The read models in memory, beside the event store of the same name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from threading import Event, Lock, RLock

from typing_extensions import override

from domain.appointment import current_fold_version
from domain.identifiers import AppointmentId, Generation, Position
from domain.storage.base import StoredEnvelope
from domain.storage.memory.database import MemoryDatabase
from domain.storage.memory.recorder import MemoryRecorder
from projections.rows import AppointmentRow, Rows, ScheduleRow, Side
from projections.stores.base import (
    ChangesQuery,
    FollowerSign,
    OwnerCounts,
    ScheduleChange,
    ScheduleQuery,
    Stamp,
    Store,
    UnitOfWork,
)
from projections.stores.catalogue import Catalogue, GenerationInfo, GenerationState, Pointer
from projections.stores.generations import Partition
from projections.stores.health import VerificationNote
from projections.stores.tally import Tally


@dataclass(slots=True)
class Tables:
    """The three tables of one generation, and the lock that its unit of work holds."""

    info: GenerationInfo
    projected_at: datetime | None = None
    write_lock: RLock = field(default_factory=RLock)
    appointments: dict[str, AppointmentRow] = field(default_factory=dict)
    schedules: dict[Side, dict[str, dict[str, ScheduleRow]]] = field(
        default_factory=lambda: {Side.TALENT: {}, Side.COACH: {}}
    )

    def remove(self, appointment_ids: Sequence[AppointmentId]) -> None:
        """Deletes every row of these appointments."""
        for appointment_id in appointment_ids:
            self.appointments.pop(appointment_id, None)
            for side in Side:
                for rows in self.schedules[side].values():
                    rows.pop(appointment_id, None)

    def put(self, rows: Rows) -> None:
        """Inserts rows, replacing those with the same keys."""
        self.appointments |= {row.appointment_id: row for row in rows.appointments}
        for side in Side:
            for row in rows.of(side):
                self.schedules[side].setdefault(row.owner_id, {})[row.appointment_id] = row


class ReadModels:
    """Every generation of one installation in memory."""

    def __init__(self) -> None:
        first = Generation(1)
        info = GenerationInfo(first, current_fold_version(), Position(0), GenerationState.READY, datetime.now(UTC))
        self.pointers = {info.fold_version: Pointer(first, None)}
        self.generations = {first: Tables(info)}
        self.partitions: dict[Generation, dict[int, tuple[Partition, Tally | None]]] = {}
        self.rebuilding = Lock()
        self.rebuild_sign: tuple[str, datetime] | None = None
        self.verification: VerificationNote | None = None
        self.followers: dict[str, FollowerSign] = {}
        self.calendar_links: dict[tuple[Side, str], str] = {}

    @staticmethod
    def of(database: MemoryDatabase) -> ReadModels:
        """The read models of a database, created on first use."""
        contents = database.contents
        with contents.lock:
            if contents.read_models is None:
                contents.read_models = ReadModels()
            models: ReadModels = contents.read_models
            return models

    def tables(self, generation: Generation | None) -> Tables:
        """The tables of a generation, or of the serving one when no number is given."""
        return self.generations[generation or self.catalogue().serving]

    def catalogue(self) -> Catalogue:
        """All generations, and which of them serve."""
        infos = tuple(tables.info for _, tables in sorted(self.generations.items()))
        return Catalogue(dict(self.pointers), infos)


class MemoryStore(Store):
    """The read models of a `memory:NAME`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database
        self._recorder = MemoryRecorder(database)

    @property
    def _models(self) -> ReadModels:
        return ReadModels.of(self._database)

    @override
    def create(self) -> None:
        """Creates nothing: in memory nothing is ever missing."""
        _ = self._models

    @override
    def migrate(self) -> None:
        """Changes nothing: in memory nothing is ever old."""
        _ = self._models

    @override
    def catalogue(self) -> Catalogue:
        with self._database.contents.lock:
            return self._models.catalogue()

    @override
    @contextmanager
    def unit_of_work(self, generation: Generation | None = None) -> Iterator[MemoryUnitOfWork]:
        """Looks again once the lock is free: another generation may serve by then."""
        models, contents = self._models, self._database.contents
        while True:
            tables = models.tables(generation)
            with tables.write_lock:
                if tables is not models.tables(generation):
                    continue
                work = MemoryUnitOfWork(self._database, tables)
                yield work
                work.commit()
            contents.notify()
            return

    @override
    def stamp(self) -> Stamp:
        with self._database.contents.lock:
            info = self._serving().info
            head, contents = self._recorder.head(), self._database.contents
            return Stamp(info.number, info.fold_version, info.position, head, contents.epoch, contents.erasures)

    @override
    def schedule(self, query: ScheduleQuery) -> tuple[Stamp, list[str]]:
        with self._database.contents.lock:
            rows = list(self._serving().schedules[query.side].get(query.owner_id, {}).values())
            return self.stamp(), [row.body for row in query.page(rows) if row.body is not None]

    @override
    def appointment(self, appointment_id: AppointmentId) -> tuple[Stamp, str | None]:
        with self._database.contents.lock:
            row = self._serving().appointments.get(appointment_id)
            return self.stamp(), None if row is None else row.body

    @override
    def owners(self, side: Side, *, after: str | None, limit: int | None) -> tuple[Stamp, list[OwnerCounts]]:
        with self._database.contents.lock:
            everyone = sorted(self._serving().schedules[side].items())
            counts = [
                _counts(owner_id, list(rows.values()))
                for owner_id, rows in everyone
                if after is None or owner_id > after
            ]
            return self.stamp(), [one for one in counts if one.planned + one.done + one.canceled][:limit]

    @override
    def changes(self, query: ChangesQuery) -> tuple[Stamp, list[ScheduleChange]]:
        with self._database.contents.lock:
            rows = self._serving().schedules[query.side].get(query.owner_id, {}).values()
            changed = sorted(
                (
                    ScheduleChange(row.appointment_id, row.position, row)
                    for row in rows
                    if row.position > query.after
                    or (row.position == query.after and query.after_id and row.appointment_id > query.after_id)
                ),
                key=lambda change: (change.position, change.appointment_id),
            )
            return self.stamp(), changed[: query.limit]

    @override
    @contextmanager
    def scan_schedule(self, query: ScheduleQuery) -> Iterator[tuple[Stamp, Iterator[str]]]:
        stamp, bodies = self.schedule(query)
        yield stamp, iter(bodies)

    @override
    @contextmanager
    def scan_changes(self, query: ChangesQuery) -> Iterator[tuple[Stamp, Iterator[ScheduleChange]]]:
        stamp, changed = self.changes(query)
        yield stamp, iter(changed)

    @override
    @contextmanager
    def scan_streams(self, side: Side, owner_id: str) -> Iterator[tuple[Stamp, Iterator[StoredEnvelope]]]:
        with self._database.contents.lock:
            stamp = self.stamp()
            ids = sorted(self._serving().schedules[side].get(owner_id, {}))
            envelopes = [stored for one in ids for stored in self._recorder.stream(AppointmentId(one))]
        yield stamp, (stored for stored in envelopes if stored.position <= stamp.position)

    @override
    def appointments_count(self) -> int:
        return len(self._serving().appointments)

    @override
    def sizes(self) -> dict[str, int]:
        return {}

    @override
    def sign(self, sign: FollowerSign) -> None:
        with self._database.contents.lock:
            self._models.followers[sign.name] = sign

    @override
    def followers(self) -> list[FollowerSign]:
        with self._database.contents.lock:
            return sorted(self._models.followers.values(), key=lambda one: one.seen_at, reverse=True)

    @override
    def waiter(self) -> AbstractContextManager[Callable[[Event, float], None]]:
        return self._database.waiter()

    def _serving(self) -> Tables:
        return self._models.tables(None)


class MemoryUnitOfWork(UnitOfWork):
    """A unit of work whose writes are kept until `commit`."""

    batch_events = 1_000

    def __init__(self, database: MemoryDatabase, tables: Tables) -> None:
        self._contents = database.contents
        self._recorder = MemoryRecorder(database)
        self._tables = tables
        self._written: list[tuple[Sequence[AppointmentId], Rows, Position]] = []
        self._removed: list[AppointmentId] = []
        self.generation = tables.info.number
        self.position = tables.info.position

    @override
    def read(self, *, upto: Position, limit: int) -> list[StoredEnvelope]:
        return self._recorder.read(after=self.position, upto=upto, limit=limit)

    @override
    def appointments(self, appointment_ids: Sequence[AppointmentId]) -> list[AppointmentRow]:
        rows = self._tables.appointments
        return [rows[one] for one in appointment_ids if one in rows]

    @override
    def streams_of(self, appointment_ids: Sequence[AppointmentId], *, upto: Position) -> list[StoredEnvelope]:
        streams = [stored for one in appointment_ids for stored in self._recorder.stream(one)]
        return [stored for stored in streams if stored.position <= upto]

    @override
    def remove(self, appointment_ids: Sequence[AppointmentId]) -> None:
        self._removed += appointment_ids

    @override
    def write(self, rows: Rows, position: Position) -> None:
        self._written.append((self._removed, rows, position))
        self._removed = []
        self.position = position

    def commit(self) -> None:
        """Applies everything that was written."""
        with self._contents.lock:
            for removed, rows, position in self._written:
                self._tables.remove(removed)
                self._tables.put(rows)
                self._tables.info = replace(self._tables.info, position=position)
                self._tables.projected_at = datetime.now(UTC)


def _counts(owner_id: str, rows: Sequence[ScheduleRow]) -> OwnerCounts:
    statuses = [row.status for row in rows if row.body is not None and not row.is_deleted]
    return OwnerCounts(owner_id, statuses.count("PLANNED"), statuses.count("DONE"), statuses.count("CANCELED"))
