"""Worker processes that share the partitions of a rebuild or a verification."""

from __future__ import annotations

import atexit
import gc
import os
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import BrokenExecutor, as_completed
from contextvars import ContextVar
from typing import Final, TypeVar

from domain.errors import RebuildFailed
from domain.storage import open_database
from domain.storage.location import Location
from projections.rebuilding.processes import ProcessExecutor
from projections.stores import generations_of
from projections.stores.generations import Generations

Result = TypeVar("Result")

_PARTITIONS_MIN: Final = 4
"""With fewer partitions the work is over before a process has started."""

_generations: Final = ContextVar[Generations]("generations")
"""Set once in each worker, when it starts."""


class Workers:
    """Processes that work on one installation: `count` of them, or one for each core; started when there is work."""

    def __init__(self, location: Location, count: int | None = None) -> None:
        self._count = 1 if location.backend == "memory" else (count or os.cpu_count() or 1)
        self._executor = ProcessExecutor(self._count, initializer=_open, initargs=(location,))

    def are_worth(self, partitions: Sequence[object]) -> bool:
        """Whether parallel work pays off; otherwise do not call `run`."""
        return self._count > 1 and len(partitions) >= _PARTITIONS_MIN

    def run(
        self, work: Callable[..., Result], partitions: Sequence[tuple[object, ...]]
    ) -> Generator[Result, None, None]:
        """Calls the function in the workers, once for each partition, and yields the results in any order.

        The function gets the worker's `Generations` and the partition's arguments. When a call raises, the
        exception is raised here and no further partition begins.

        Raises:
            RebuildFailed: a worker was killed.
        """
        futures = [self._executor.submit(_call, work, partition) for partition in partitions]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenExecutor as error:
            raise RebuildFailed(
                "a worker process was killed, perhaps for want of memory; what was loaded is kept, run it again"
            ) from error
        finally:
            for future in futures:
                future.cancel()

    def close(self) -> None:
        """Ends the processes, each after the partition it is at."""
        self._executor.shutdown()


def _open(location: Location) -> None:
    database = open_database(location)
    atexit.register(database.close)
    _generations.set(generations_of(database))
    collect_rarely()


def collect_rarely() -> None:
    """Makes this process look for cycles rarely; folding makes none, and looking took an eighth of its time."""
    gc.freeze()
    gc.set_threshold(200_000, 50, 50)


def _call(work: Callable[..., Result], arguments: tuple[object, ...]) -> Result:
    return work(_generations.get(), *arguments)
