"""The connections of one process to one SQLite file: readers never wait, writers queue."""

from __future__ import annotations

import os
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any, Final

from typing_extensions import override

IDLE_MAX: Final = 5
"""How many idle connections are kept; the number in use is not limited."""

STATEMENTS_MAX: Final = 128
"""How many prepared statements a connection caches: more than this product has."""


class PoolClosedError(Exception):
    """The pool was closed in this process."""


class ForkedError(Exception):
    """This process was forked from the one that uses the connection."""


class WriterTimeoutError(Exception):
    """Earlier writers of this process did not finish in time."""


class Connection(sqlite3.Connection):
    """A connection that remembers its process and its open cursors."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.pid = os.getpid()
        self._cursors: list[sqlite3.Cursor] = []

    @override
    def cursor(self) -> sqlite3.Cursor:  # type: ignore[override] # nobody here asks for cursors of another class
        """A cursor that is closed when the connection is returned."""
        cursor = super().cursor()
        self._cursors.append(cursor)
        return cursor

    @override
    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        """Runs a statement on a new cursor."""
        return self.cursor().execute(sql, parameters)

    def check_process(self) -> None:
        """Raises `ForkedError` in any process but the one that opened this connection."""
        if self.pid != os.getpid():
            raise ForkedError

    def end_use(self) -> None:
        """Closes all cursors and rolls back: a half-read cursor would keep its snapshot for the next user."""
        while self._cursors:
            self._cursors.pop().close()
        if self.in_transaction:
            self.rollback()


def connect(uri: str, *, lock_timeout: float) -> Connection:
    """Opens a connection in autocommit mode that any thread may use."""
    return sqlite3.connect(
        uri,
        uri=True,
        timeout=lock_timeout,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=STATEMENTS_MAX,
        factory=Connection,
    )


class Pool:
    """Connections made by `connect` on demand and kept for reuse. Safe in threads.

    A forked process opens its own and never closes its parent's: SQLite would take the parent's locks for its own.
    """

    def __init__(self, path: Path, connect: Callable[[], Connection], *, lock_timeout: float) -> None:
        self._path = path
        self._connect = connect
        self._lock_timeout = lock_timeout
        self._is_closed = False
        self._of_process = _OfProcess(path)

    def __del__(self) -> None:
        self.close()

    def check_open(self) -> None:
        """Raises `PoolClosedError` after `close`."""
        if self._is_closed:
            raise PoolClosedError

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Lends a connection for the block; a transaction left open is rolled back."""
        mine = self._mine()
        connection = mine.take() or self._connect()
        try:
            yield connection
        finally:
            mine.give_back(connection)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Lends a connection in a transaction with the write lock, committed at the end of the block.

        Takes the lock at once: a transaction that starts to write later would ignore the busy timeout.

        Raises:
            WriterTimeoutError: earlier writers of this process did not finish in time.
        """
        with self._mine().writers.admitted(self._lock_timeout), self.connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.check_process()
            connection.commit()

    def close(self) -> None:
        """Closes the idle connections now, and the others when they are returned; harmless when repeated."""
        self._is_closed = True
        self._of_process.close()

    def _mine(self) -> _OfProcess:
        self.check_open()
        if self._of_process.pid != os.getpid():
            _PARENTS.append(self._of_process)
            self._of_process = _OfProcess(self._path)
        return self._of_process


class _OfProcess:
    """The connections of one process; a forked process makes its own."""

    def __init__(self, path: Path) -> None:
        self.pid = os.getpid()
        self.writers = _WRITERS.setdefault((self.pid, path), WriterQueue())
        self._lock = Lock()
        self._idle: list[Connection] = []
        self._is_closed = False

    def take(self) -> Connection | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def give_back(self, connection: Connection) -> None:
        if connection.pid != os.getpid():
            _PARENTS.append(connection)
            return
        with suppress(sqlite3.Error):  # a connection that cannot roll back is closed, which does the same
            connection.end_use()
            if self._keeps(connection):
                return
        connection.close()

    def close(self) -> None:
        if self.pid != os.getpid():
            _PARENTS.append(self)
            return
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _keeps(self, connection: Connection) -> bool:
        with self._lock:
            if self._is_closed or len(self._idle) == IDLE_MAX:
                return False
            self._idle.append(connection)
            return True


class WriterQueue:
    """A fair lock: admits the writers of one process to one file one at a time, first come, first served.

    SQLite's own busy handler polls, so a writer that never pauses would starve the others.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._writers: deque[Lock] = deque()

    @contextmanager
    def admitted(self, seconds: float) -> Iterator[None]:
        """Waits until it is this writer's turn, which lasts until the end of the block.

        Raises:
            WriterTimeoutError: its turn did not come within so many seconds.
        """
        mine = Lock()
        with self._lock:
            if self._writers:
                mine.acquire()
            self._writers.append(mine)
        try:
            if not mine.acquire(timeout=seconds):
                raise WriterTimeoutError
            yield
        finally:
            with self._lock:
                had_turn = self._writers[0] is mine
                self._writers.remove(mine)
                if had_turn and self._writers:
                    self._writers[0].release()


_WRITERS: Final[dict[tuple[int, Path], WriterQueue]] = {}
"""One queue for each process and file, shared by all pools."""

_PARENTS: Final[list[object]] = []
"""Connections inherited by a fork, kept so that they are never garbage-collected and closed."""
