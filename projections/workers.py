"""The processes that share the pieces of a rebuild and of a verification."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process, resource_tracker
from threading import Thread
from typing import Any, Final, TypeVar

from domain.databases import open_database
from domain.errors import RebuildFailed
from domain.settings import Location
from projections.stores import builder_of
from projections.stores.building import Builder

Result = TypeVar("Result")


_PIECES_MIN: Final = 4
"""Fewer pieces are done before a process has started."""


class Workers:
    """Processes on one installation, as many as asked for or as there are cores; started when there is work."""

    def __init__(self, location: Location, count: int | None = None) -> None:
        self._location = location
        self._executor: ProcessPoolExecutor | None = None
        self._count = 1 if location.backend == "memory" else (count or os.cpu_count() or 1)

    def are_worth(self, pieces: Sequence[object]) -> bool:
        """Whether there is work for several; else the calling process does it itself, and `run` is not for use."""
        return self._count > 1 and len(pieces) >= _PIECES_MIN

    def run(self, work: Callable[..., Result], pieces: Sequence[tuple[object, ...]]) -> Generator[Result, None, None]:
        """Calls the function with a builder and the arguments of each piece; results come in any order.

        What a piece raises is raised here, and no further piece begins.
        """
        futures: list[Future[Result]] = []
        try:
            with _interrupts_kept_here():
                futures.extend(self._open().submit(_work, work, piece) for piece in pieces)
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise RebuildFailed(
                "a working process was killed, perhaps for want of memory; what was loaded is kept, run it again"
            ) from error
        finally:
            for future in futures:
                future.cancel()

    def close(self) -> None:
        """Ends the processes, each after the piece it is at."""
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)

    def _open(self) -> ProcessPoolExecutor:
        if self._executor is None:
            # Spawned, not forked: a forked process would share the connections of this one.
            self._executor = ProcessPoolExecutor(
                self._count, mp_context=get_context("spawn"), initializer=_begin, initargs=(self._location,)
            )
        return self._executor


@contextmanager
def _interrupts_kept_here() -> Iterator[None]:
    """Processes started in this block never see a Ctrl-C: this one says, once, that it ended."""
    resource_tracker.ensure_running()  # with the first process it would start, and let interrupts in again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_builder: Final[list[Builder]] = []


def _begin(location: Location) -> None:
    gc.freeze()  # a piece makes many values and no cycles: looking for them took an eighth of the time
    gc.set_threshold(200_000, 50, 50)
    Thread(target=_end_with_parent, daemon=True).start()
    _builder.append(builder_of(open_database(location)))


def _end_with_parent() -> None:
    """Ends this process when its parent is gone, also by SIGKILL: else it would wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(work: Callable[..., Any], arguments: tuple[object, ...]) -> Any:
    return work(_builder[0], *arguments)
