"""Rebuild: makes a new generation from history beside the serving one, verifies it, and switches readers to it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass

from domain.arguments import flag, optional, positive_number
from domain.errors import PoisonEvent, RebuildFailed, Superseded
from domain.event_store import EventStore
from domain.identifiers import Generation, Position
from domain.storage import Database, recorder_of
from domain.storage.base import StoredEnvelope
from domain.storage.location import Location
from projections.logs import LogEvent, tell
from projections.projector import Projector, fold_streams
from projections.rebuilding.differences import Difference
from projections.rebuilding.loaded import changed_partitions, check_projected, loaded_differences
from projections.rebuilding.old_generations import drop_superseded
from projections.rebuilding.progress import Progress, Watch
from projections.rebuilding.switching import info_of, switch
from projections.rebuilding.verification import check
from projections.rebuilding.workers import Workers, check_executor
from projections.stores import generations_of, store_of
from projections.stores.catalogue import GenerationInfo, GenerationState
from projections.stores.generations import Folded, Generations, Loaded, Partition, partitions_up_to
from projections.stores.tally import TextsRead


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """What a rebuild did.

    Attributes:
        generation: the one it made, which serves now.
        position: the position that readers were switched at.
        events: how many envelopes this run read and folded.
        appointments: how many appointments this run loaded.
        seconds: how long each phase took; "read and fold" and "load" are added up over the processes.
        total_seconds: how long all of it took.
        kept: old generations that were not dropped, since another session held them.
    """

    generation: Generation
    position: Position
    events: int
    appointments: int
    seconds: dict[str, float]
    total_seconds: float
    kept: tuple[Generation, ...] = ()

    @property
    def events_per_second(self) -> float:
        """Envelopes a second over the whole rebuild."""
        return self.events / self.total_seconds if self.total_seconds else 0.0


class DifferencesFound(RebuildFailed):
    """The new generation differs from history, so it was dropped and the old one serves on."""

    def __init__(self, differences: list[Difference]) -> None:
        super().__init__(
            f"the new generation differs from history in {len(differences)} places, so the old one serves on and "
            f"the next rebuild begins anew; the first: {differences[0]}"
        )
        self.differences = differences


def rebuild(
    database: Database,
    location: Location,
    *,
    progress: Callable[[Progress], None] | None = None,
    restart: bool = False,
    processes: int | None = None,
    executor: Executor | None = None,
) -> RebuildReport:
    """Makes, verifies and switches to a new generation; see `Appointments.rebuild`."""
    restart, processes = flag("restart", restart), optional(positive_number, "processes", processes)
    check_executor(executor, processes=processes)
    _install(database)
    generations = generations_of(database)
    with (
        generations.rebuilding() as check_alone,
        closing(Workers(database, location, processes=processes, executor=executor)) as workers,
    ):
        run = _Run(database, generations, workers, Watch(progress, workers.names), check_alone)
        unfinished = _unfinished(database, generations, restart=restart)
        while True:
            if unfinished is None:
                upto = EventStore(database).head()
                began = generations.begin(partitions_up_to(generations, upto)), upto
            try:
                return run.complete(*(unfinished or began))
            except Superseded as error:
                tell(LogEvent.BEGUN_ANEW, level=logging.WARNING, reason=str(error))
            except DifferencesFound as error:
                if unfinished is None:
                    raise
                reason = "what an interrupted rebuild had loaded differs from history, which was changed since"
                tell(LogEvent.BEGUN_ANEW, level=logging.WARNING, reason=reason, differences=len(error.differences))
            unfinished = None


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of a rebuild."""

    database: Database
    generations: Generations
    workers: Workers
    watch: Watch
    check_alone: Callable[[], None]

    def complete(self, generation: Generation, upto: Position) -> RebuildReport:
        """Completes a generation and switches to it; drops it at a poison event, since history will be mended."""
        try:
            return self._complete(generation, upto)
        except Superseded:
            self.generations.drop(generation)
            raise
        except PoisonEvent as error:
            self.generations.drop(generation)
            error.add_note("the next rebuild begins anew")
            raise

    def _complete(self, generation: Generation, upto: Position) -> RebuildReport:
        began, generations, watch = time.perf_counter(), self.generations, self.watch
        earlier = generations.tallies(generation)
        self._accept(generation, changed_partitions(generations, generation, earlier, workers=self.workers))
        loaded = _load(self.database, generations, self.workers, generation, watch)
        self.check_alone()
        with watch.timing("index"):
            watch.show("index", 0, 1)
            generations.make_keys(generation)
            watch.show("index", 1, 1)
        generations.finish(generation, upto)
        with watch.timing("verify"):
            self._accept(generation, self._differences(generation, upto))
        _project_to_head(self.database, generation, watch)
        with watch.timing("verify"):
            self._accept(generation, check_projected(generations, generation, after=upto))
        _project_to_head(self.database, generation, watch)
        with watch.timing("switch"):
            watch.show("switch", 0, 1)
            position = switch(self.database, generations, generation, self.check_alone)
            watch.show("switch", 1, 1)
        self.check_alone()
        kept = drop_superseded(self.database, generations).kept
        seconds = time.perf_counter() - began
        return RebuildReport(generation, position, loaded.events, loaded.appointments, watch.seconds, seconds, kept)

    def _differences(self, generation: Generation, upto: Position) -> list[Difference]:
        """Returns how a loaded generation differs from history.

        Counts and digests are compared first. History is folded again only to say which rows differ, or where an
        interrupted run had already projected into the generation, so that no digest holds for it.
        """

        def show(done: int, total: int) -> None:
            self.watch.show("verify", done, total)

        show(0, 1)
        found: list[Difference] = []
        if _position(self.database, generation) == upto:
            found = loaded_differences(self.generations, generation, upto, workers=self.workers, progress=show)
            if not found:
                return []
        return check(self.generations, generation, workers=self.workers, progress=show).differences or found

    def _accept(self, generation: Generation, differences: list[Difference]) -> None:
        """Drops the generation and raises `DifferencesFound` if there are any differences."""
        if differences:
            self.generations.drop(generation)
            raise DifferencesFound(differences)


def rollback(database: Database) -> Generation:
    """Switches back to the previous generation, caught up; see `Appointments.rollback`."""
    _previous(database)
    generations = generations_of(database)
    with generations.rebuilding() as check_alone:
        previous = _previous(database)
        _project_to_head(database, previous.number, Watch(None))
        switch(database, generations, previous.number, check_alone)
        return previous.number


def _install(database: Database) -> None:
    Projector(database).install()


def _previous(database: Database) -> GenerationInfo:
    catalogue = store_of(database).catalogue()
    for info in catalogue.generations:
        if info.number == catalogue.previous and info.state is GenerationState.READY:
            return info
    if recorder_of(database).ledger.read():
        raise RebuildFailed(
            "there is no previous generation to roll back to: when a person is forgotten, those that still name "
            "them are dropped"
        )
    raise RebuildFailed("there is no previous generation to roll back to")


def _unfinished(database: Database, generations: Generations, *, restart: bool) -> tuple[Generation, Position] | None:
    """Returns an unfinished generation that can be resumed, and the last position to load; drops all others."""
    for info in store_of(database).catalogue().made_by_this_fold(GenerationState.BUILDING):
        upto = generations.upto(info.number)
        if upto is not None and not restart:
            return info.number, upto
        generations.drop(info.number)
    return None


def _load(
    database: Database, generations: Generations, workers: Workers, generation: Generation, watch: Watch
) -> Loaded:
    """Loads all partitions that are not loaded yet, and returns what was read and written."""
    total = EventStore(database).head()
    sum_of = Loaded(0, 0, 0.0, 0.0)
    watch.show("read and fold", 0, total)
    with closing(_loaded(generations, workers, generation)) as loading:
        for loaded in loading:
            sum_of = sum_of.plus(loaded)
            watch.seconds["read and fold"], watch.seconds["load"] = sum_of.folding_seconds, sum_of.loading_seconds
            watch.show("read and fold", sum_of.events, total)
            watch.show("load", sum_of.events, total)
    for phase in ("read and fold", "load"):
        # Positions have gaps, and partitions that an interrupted rebuild loaded are not counted.
        watch.show(phase, total, total)
    return sum_of


def _loaded(generations: Generations, workers: Workers, generation: Generation) -> Generator[Loaded, None, None]:
    partitions = generations.partitions(generation)
    if not workers.are_worth(partitions):
        return (load_partition(generations, generation, partition) for partition in partitions)
    return workers.run(load_partition, [(generation, partition) for partition in partitions])


def load_partition(generations: Generations, generation: Generation, partition: Partition) -> Loaded:
    """Folds and loads one partition of history, unless it is loaded already."""
    return generations.load(generation, partition, fold_partition)


def fold_partition(envelopes: Iterator[StoredEnvelope]) -> Folded:
    """Folds a partition into rows, with the count and digest of its envelopes."""
    texts = TextsRead(envelopes)
    rows, folded = fold_streams(texts)
    return Folded(rows, folded, texts.sum)


def _position(database: Database, generation: Generation) -> Position:
    return info_of(database, generation).position


def _project_to_head(database: Database, generation: Generation, watch: Watch) -> None:
    with watch.timing("catch up"):
        Projector(database, generation=generation).catch_up(
            progress=lambda position, goal: watch.show("catch up", position, goal)
        )
