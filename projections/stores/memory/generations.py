"""Making and switching generations in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain

from typing_extensions import override

from domain.appointment import current_fold_version
from domain.errors import RebuildRunning
from domain.identifiers import AppointmentId, Generation, Position
from domain.storage.base import StoredEnvelope
from domain.storage.memory.database import MemoryDatabase
from domain.storage.memory.recorder import MemoryRecorder
from projections.rows import Rows, Side
from projections.stores.catalogue import GenerationInfo, GenerationState, Pointer
from projections.stores.generations import (
    TABLES,
    Fold,
    Generations,
    Loaded,
    Partition,
    Portion,
    Snapshot,
    Switch,
    quantiles,
)
from projections.stores.memory.store import MemoryUnitOfWork, ReadModels, Tables
from projections.stores.tally import Sum, Tally, sum_of_values


class MemoryGenerations(Generations):
    """The generations of a `memory:NAME`."""

    partition_events = 1_000

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database
        self._recorder = MemoryRecorder(database)

    @property
    def _models(self) -> ReadModels:
        return ReadModels.of(self._database)

    @override
    @contextmanager
    def rebuilding(self) -> Iterator[Callable[[], None]]:
        alone = self._models.rebuilding
        if not alone.acquire(blocking=False):
            raise RebuildRunning(f"another rebuild of memory:{self._database.name} is under way")
        try:
            yield lambda: None
        finally:
            alone.release()

    @override
    def boundaries(self, count: int, upto: Position) -> list[AppointmentId]:
        ids = sorted({stored.appointment_id for stored in self._history(upto)})
        return quantiles(ids, count)

    @override
    def begin(self, partitions: Sequence[Partition]) -> Generation:
        with self._database.contents.lock:
            number = Generation(max(self._models.generations) + 1)
            info = GenerationInfo(
                number, current_fold_version(), Position(0), GenerationState.BUILDING, datetime.now(UTC)
            )
            self._models.generations[number] = Tables(info)
            self._models.partitions[number] = {partition.number: (partition, None) for partition in partitions}
            return number

    @override
    def upto(self, generation: Generation) -> Position | None:
        return max(
            (partition.upto for partition, _ in self._models.partitions.get(generation, {}).values()), default=None
        )

    @override
    def partitions(self, generation: Generation) -> list[Partition]:
        return [partition for partition, tally in self._models.partitions[generation].values() if tally is None]

    @override
    def load(self, generation: Generation, partition: Partition, fold: Fold) -> Loaded:
        began = time.perf_counter()
        folded = fold(iter(self._streams(partition)))
        folded_at, rows = time.perf_counter(), folded.rows
        sums = [sum_of_values(one) for one in (rows.appointments, rows.talents, rows.coaches)]
        with self._database.contents.lock:
            _, tally = self._models.partitions[generation][partition.number]
            if tally is None:
                self._models.generations[generation].put(rows)
                tally = Tally(folded.envelopes, folded.texts, *sums)
                self._models.partitions[generation][partition.number] = (partition, tally)
        events, appointments = folded.envelopes.size, len(rows.appointments)
        return Loaded(events, appointments, folded_at - began, time.perf_counter() - folded_at)

    @override
    def tallies(self, generation: Generation) -> list[tuple[Partition, Tally]]:
        known = self._models.partitions[generation].values()
        return [(partition, tally) for partition, tally in known if tally is not None]

    @override
    def envelopes(self, upto: Position) -> Sum:
        history = self._history(upto)
        return Sum.of(len(history), sum(stored.event_id for stored in history))

    @override
    def portions(self, generation: Generation) -> list[Portion]:
        return [Portion(table, 0, 0) for table in TABLES]

    @override
    def read_back(self, generation: Generation, portion: Portion) -> Sum:
        with self.snapshot(generation) as snapshot:
            [rows] = snapshot.everything()
            tables = (rows.appointments, rows.talents, rows.coaches)
            return sum_of_values(tables[TABLES.index(portion.table)])

    @override
    def make_keys(self, generation: Generation) -> None:
        """Does nothing: dictionaries have their keys."""

    @override
    def finish(self, generation: Generation, position: Position) -> None:
        with self._database.contents.lock:
            tables = self._models.generations[generation]
            tables.info = replace(tables.info, position=max(tables.info.position, position))
            tables.projected_at = datetime.now(UTC)

    @override
    @contextmanager
    def switching(self, generation: Generation) -> Iterator[Switch]:
        models, contents = self._models, self._database.contents
        tables = models.tables(generation)
        fold_version = tables.info.fold_version
        pointer = models.pointers.get(fold_version)  # it only changes while other rebuilds are kept out
        serving = tables if pointer is None else models.tables(pointer.serving)
        with serving.write_lock, tables.write_lock, contents.lock:
            work = MemoryUnitOfWork(self._database, tables)
            yield Switch(work, serving.info.position)
            work.commit()
            tables.info = replace(tables.info, state=GenerationState.READY)
            if pointer is None or pointer.serving != generation:
                models.pointers[fold_version] = Pointer(generation, None if pointer is None else pointer.serving)
        contents.notify()

    @override
    def retire(self, fold_version: int) -> None:
        with self._database.contents.lock:
            self._models.pointers.pop(fold_version, None)
            for tables in self._models.generations.values():
                if tables.info.fold_version == fold_version and tables.info.state is not GenerationState.DROPPED:
                    tables.info = replace(tables.info, state=GenerationState.RETIRED)

    @override
    def drop(self, generation: Generation) -> bool:
        with self._database.contents.lock:
            info = self._models.generations[generation].info
            self._models.generations[generation] = Tables(replace(info, state=GenerationState.DROPPED))
            self._models.partitions.pop(generation, None)
            return True

    @override
    @contextmanager
    def snapshot(self, generation: Generation, *, token: str | None = None) -> Iterator[MemorySnapshot]:
        """Holds the lock of the place: nothing changes while it is open."""
        del token  # this view is not shared
        with self._database.contents.lock:
            yield MemorySnapshot(self, self._models.generations[generation], self._recorder.head())

    def _history(self, upto: Position) -> list[StoredEnvelope]:
        history: list[StoredEnvelope] = []
        after = Position(0)
        while batch := self._recorder.read(after=after, upto=upto, limit=1000):
            history += batch
            after = batch[-1].position
        return history

    def _streams(self, partition: Partition) -> list[StoredEnvelope]:
        mine = [
            stored
            for stored in self._history(partition.upto)
            if (partition.first is None or stored.appointment_id >= partition.first)
            and (partition.until is None or stored.appointment_id < partition.until)
        ]
        return sorted(mine, key=lambda stored: (stored.appointment_id, stored.event_id))


class MemorySnapshot(Snapshot):
    """A view of a `memory:NAME`, whose lock is held while it is open."""

    def __init__(self, generations: MemoryGenerations, tables: Tables, head: Position) -> None:
        self._adapter = generations
        self._tables = tables
        self.position = tables.info.position
        self.head = head

    @override
    def share(self) -> None:
        return None

    @override
    def streams(self, partition: Partition) -> Iterator[StoredEnvelope]:
        return iter(self._adapter._streams(partition))  # noqa: SLF001 - two halves of one adapter

    @override
    def rows(self, keys: Rows) -> Rows:
        appointments, schedules = self._tables.appointments, self._tables.schedules
        found = Rows(
            [appointments[row.appointment_id] for row in keys.appointments if row.appointment_id in appointments],
            [],
            [],
        )
        for side in Side:
            for key in keys.of(side):
                row = schedules[side].get(key.owner_id, {}).get(key.appointment_id)
                if row is not None:
                    found.of(side).append(row)
        return found

    @override
    def counts(self) -> tuple[int, int, int]:
        talents, coaches = (sum(map(len, self._tables.schedules[side].values())) for side in Side)
        return len(self._tables.appointments), talents, coaches

    @override
    def everything(self) -> Iterator[Rows]:
        talents, coaches = (
            list(chain.from_iterable(rows.values() for rows in self._tables.schedules[side].values()))
            for side in Side
        )
        yield Rows(list(self._tables.appointments.values()), talents, coaches)

    @override
    def marked_later(self) -> frozenset[AppointmentId]:
        history = self._adapter._history(self.head)  # noqa: SLF001 - two halves of one adapter
        return frozenset(one.appointment_id for one in history if one.event_id < 0 and one.position > self.position)

    @override
    def appointments_at(self, positions: Sequence[Position]) -> list[AppointmentId]:
        wanted = set(positions)
        history = self._adapter._history(self.position)  # noqa: SLF001 - two halves of one adapter
        return sorted({stored.appointment_id for stored in history if stored.position in wanted})

    @override
    def streams_of(self, appointment_ids: Sequence[AppointmentId]) -> Iterator[StoredEnvelope]:
        wanted = set(appointment_ids)
        everything = Partition(1, None, None, self.position)
        return (stored for stored in self.streams(everything) if stored.appointment_id in wanted)
