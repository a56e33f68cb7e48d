"""The processes that share the partitions of a rebuild and of a verification."""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import closing, suppress
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from domain.errors import RebuildFailed
from domain.storage import open_database
from domain.storage.location import Location
from projections.stores import generations_of
from projections.stores.generations import Generations

Result = TypeVar("Result")

_PARTITIONS_MIN: Final = 4
"""Fewer partitions are done before a process has started."""

_BEGIN: Final = """
import pickle, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
try:
    sys.path[:] = pickle.load(sys.stdin.buffer)
except EOFError:
    sys.exit()
from projections.rebuilding.workers import serve
serve()
"""


class Workers:
    """Processes on one installation, as many as asked for or as there are cores; started when there is work.

    Each is a fresh interpreter that knows nothing of the caller's program, so a script needs no main guard.
    """

    def __init__(self, location: Location, count: int | None = None) -> None:
        self._location = location
        self._count = 1 if location.backend == "memory" else (count or os.cpu_count() or 1)
        self._processes: list[_Process] = []
        self._free: SimpleQueue[_Process] = SimpleQueue()
        self._threads = ThreadPoolExecutor(self._count)

    def are_worth(self, partitions: Sequence[object]) -> bool:
        """Whether parallel work pays off; otherwise do not call `run`."""
        return self._count > 1 and len(partitions) >= _PARTITIONS_MIN

    def run(
        self, work: Callable[..., Result], partitions: Sequence[tuple[object, ...]]
    ) -> Generator[Result, None, None]:
        """Calls the function with `Generations` and the arguments of each partition; results come in any order.

        What a partition raises is raised here, and no further partition begins.
        """
        while len(self._processes) < self._count:
            self._processes.append(_Process(self._location))
            self._free.put(self._processes[-1])
        futures: list[Future[Result]] = [self._threads.submit(self._do, work, partition) for partition in partitions]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            for future in futures:
                future.cancel()

    def close(self) -> None:
        """Ends the processes, each after the partition it is at."""
        self._threads.shutdown()
        for process in self._processes:
            process.close()

    def _do(self, work: Callable[..., Any], arguments: tuple[object, ...]) -> Any:
        process = self._free.get()
        try:
            return process.do(work, arguments)
        finally:
            self._free.put(process)


class _Process:
    """A worker at the other end of two pipes. It ends when the pipe to it does, however this process ends."""

    def __init__(self, location: Location) -> None:
        # In a process group of its own it never sees a Ctrl-C, and it ignores what a hangup or a service manager
        # sends to all: the caller says, once, that it ended, and with it the pipes end.
        self._process = subprocess.Popen(  # noqa: S603 - this very interpreter
            [sys.executable, "-c", _BEGIN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0
        )
        self._send(sys.path)
        self._send(location)

    def do(self, work: Callable[..., Any], arguments: tuple[object, ...]) -> Any:
        """Gives the result of the call in that process, or raises what it raised."""
        assert self._process.stdout is not None  # noqa: S101 - for the type checker
        try:
            self._send((work, arguments))
            is_done, result = pickle.load(self._process.stdout)  # noqa: S301 - our own process
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            raise RebuildFailed(
                "a working process was killed, perhaps for want of memory; what was loaded is kept, run it again"
            ) from error
        if is_done:
            return result
        raise result

    def close(self) -> None:
        with suppress(OSError):
            self._process.communicate()

    def _send(self, value: object) -> None:
        assert self._process.stdin is not None  # noqa: S101 - for the type checker
        with suppress(BrokenPipeError):  # found out when the answer is awaited
            pickle.dump(value, self._process.stdin)
            self._process.stdin.flush()


def serve() -> None:
    """Does what comes through standard input, until its end; what is printed meanwhile goes to standard error.

    The process that asked may end at any time: then the input ends, or nobody takes the answer.
    """
    source, target = sys.stdin.buffer, os.dup(1)
    os.dup2(2, 1)
    with suppress(EOFError, BrokenPipeError):
        database = open_database(pickle.load(source))  # noqa: S301 - from the process that started this one
        with closing(database):
            generations = generations_of(database)
            gc.freeze()  # a partition makes many values and no cycles: looking for them took an eighth of the time
            gc.set_threshold(200_000, 50, 50)
            while True:
                work, arguments = pickle.load(source)  # noqa: S301 - the same
                _send(target, _answer(work, generations, arguments))


def _answer(work: Callable[..., Any], generations: Generations, arguments: tuple[object, ...]) -> tuple[bool, Any]:
    """Whether the work was done, and what it gave or raised."""
    try:
        return True, work(generations, *arguments)
    except Exception as error:  # noqa: BLE001 - raised again by the caller
        return False, error


def _send(target: int, value: object) -> None:
    """Writes at once: what stayed in a buffer would be complained of when this process ends."""
    left = memoryview(pickle.dumps(value))
    while left:
        left = left[os.write(target, left) :]
