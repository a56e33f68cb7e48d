"""Workers that share the partitions of a rebuild or a verification: processes of this machine, or any executor's."""

from __future__ import annotations

import atexit
import gc
import os
import socket
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, as_completed
from contextlib import closing
from contextvars import ContextVar
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final, Generic, NamedTuple, TypeVar

from domain.appointment import current_fold_version
from domain.errors import AppointmentsError, RebuildFailed, StorageError, UsageError
from domain.event_store import EventStore
from domain.storage import Database, open_database
from domain.storage.location import Location, locate
from projections.rebuilding.processes import ProcessExecutor
from projections.stores import generations_of
from projections.stores.generations import Generations

Result = TypeVar("Result")

_PARTITIONS_MIN: Final = 4
"""With fewer partitions the work is over before a process has started."""

_generations: Final = ContextVar[Generations]("generations")
"""Set once in each process of our own, when it starts."""


def check_executor(executor: Executor | None, *, processes: int | None = None) -> None:
    """Raises `UsageError` for what is no executor, or for an executor together with a number of processes."""
    if executor is not None and not isinstance(executor, Executor):
        raise UsageError(
            f"expected a concurrent.futures.Executor, found {type(executor).__name__}", argument="executor"
        )
    if executor is not None and processes is not None:
        raise UsageError("an executor has workers of its own, so it excludes processes", argument="processes")


class Workers:
    """Runs functions on one installation, in processes of this machine or wherever an executor of the caller's does.

    Attributes:
        names: who has answered so far, a host and a process each.
    """

    def __init__(
        self,
        database: Database,
        location: Location,
        *,
        processes: int | None = None,
        executor: Executor | None = None,
    ) -> None:
        """Starts `processes` of them, or one for each core, when there is work, unless there is an executor."""
        self.names: set[str] = set()
        self._database, self._location, self._given = database, location, executor
        self._count = 1 if location.backend == "memory" else (processes or os.cpu_count() or 1)
        self._own = None if executor else ProcessExecutor(self._count, initializer=_open, initargs=(location,))

    def are_worth(self, partitions: Sequence[object]) -> bool:
        """Whether parallel work pays off, or an executor was given to be used; otherwise do not call `run`."""
        return self._given is not None or (self._count > 1 and len(partitions) >= _PARTITIONS_MIN)

    def run(
        self, work: Callable[..., Result], partitions: Sequence[tuple[object, ...]]
    ) -> Generator[Result, None, None]:
        """Calls the function in the workers, once for each partition, and yields the results in any order.

        The function gets the worker's `Generations` and the partition's arguments. When a call raises, the
        exception is raised here and no further partition begins.

        Raises:
            RebuildFailed: a worker was killed, cannot run this code, or works on another installation.
        """
        if self._own is not None:
            futures = [self._own.submit(_call, work, partition) for partition in partitions]
        elif self._given is not None:
            assignment = Assignment.of(self._database, self._location)
            futures = [self._given.submit(_call_elsewhere, assignment, work, partition) for partition in partitions]
        try:
            for future in as_completed(futures):
                answer = future.result()
                self.names.add(answer.worker)
                yield answer.result
        except Exception as error:
            if isinstance(error, AppointmentsError) or not (self._given or isinstance(error, BrokenExecutor)):
                raise
            raise RebuildFailed(f"{_what_happened(error)}; what was loaded is kept, run it again") from error
        finally:
            for future in futures:
                future.cancel()

    def close(self) -> None:
        """Ends our own processes, each after the partition it is at; an executor that was given goes on."""
        if self._own is not None:
            self._own.shutdown()


class Answer(NamedTuple, Generic[Result]):
    """What a call returned, and who ran it."""

    worker: str
    result: Result


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a worker of somebody's executor is told: where the installation is, which one it is, and whose code.

    It holds no password. A worker has its own credentials where libpq looks for them, and may have the whole place in
    `APPOINTMENTS_DB` and `APPOINTMENTS_SCHEMA`.
    """

    location: Location
    epoch: str
    product_version: str
    fold_version: int

    @classmethod
    def of(cls, database: Database, location: Location) -> Assignment:
        """What this process tells the workers."""
        epoch = EventStore(database).epoch()
        return cls(location.from_elsewhere(), epoch, version("appointments"), current_fold_version())

    def check_code(self) -> None:
        """Raises `RebuildFailed` where this process, which got the assignment, runs other code than who gave it."""
        mine, theirs = (version("appointments"), current_fold_version()), (self.product_version, self.fold_version)
        if mine != theirs:
            raise RebuildFailed(
                f"the worker {_name()} runs version {mine[0]} with fold {mine[1]}, "
                f"but this rebuild is of version {theirs[0]} with fold {theirs[1]}"
            )

    def place(self) -> Location:
        """The installation as this process reaches it."""
        url, schema = os.environ.get("APPOINTMENTS_DB"), os.environ.get("APPOINTMENTS_SCHEMA")
        return locate(url, schema=schema or self.location.schema) if url else self.location

    def check_installation(self, database: Database) -> None:
        """Raises `RebuildFailed` where the place is that of another installation."""
        if EventStore(database).epoch() != self.epoch:
            raise RebuildFailed(f"the worker {_name()} reaches another installation: {database.place}")


def _open(location: Location) -> None:
    database = open_database(location)
    atexit.register(database.close)
    _generations.set(generations_of(database))
    collect_rarely()


def collect_rarely() -> None:
    """Makes this process look for cycles rarely; folding makes none, and looking took an eighth of its time."""
    gc.freeze()
    gc.set_threshold(200_000, 50, 50)


def _call(work: Callable[..., Result], arguments: tuple[object, ...]) -> Answer[Result]:
    return Answer(_name(), work(_generations.get(), *arguments))


def _call_elsewhere(
    assignment: Assignment, work: Callable[..., Result], arguments: tuple[object, ...]
) -> Answer[Result]:
    """Connects for this call alone: nobody tells a worker of somebody's executor when it is needed no more."""
    assignment.check_code()
    try:
        with closing(open_database(assignment.place())) as database:
            assignment.check_installation(database)
            return Answer(_name(), work(generations_of(database), *arguments))
    except StorageError as error:
        error.add_note(f"on the worker {_name()}")
        raise


def _name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _what_happened(error: Exception) -> str:
    match error:
        case BrokenExecutor():
            return "a worker process was killed, perhaps for want of memory"
        case CancelledError():
            return "the executor gave up: its scheduler may have ended"
        case ImportError() | AttributeError():
            return f"a worker does not have this version of the package appointments: {error}"
        case _:
            said = str(error).strip().partition("\n")[0]
            return f"a worker failed: {type(error).__name__}: {said}"
