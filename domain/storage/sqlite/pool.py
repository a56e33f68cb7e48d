"""The connections of one process to one SQLite file: readers never wait, writers wait in turn."""

from __future__ import annotations

import os
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any, Final

IDLE_MAX: Final = 5
"""So many connections stay open for the next use; as many as there are threads may be in use."""

STATEMENTS_MAX: Final = 128
"""So many prepared statements a connection keeps: more than this product has."""


class PoolClosedError(Exception):
    """The pool was closed in this process."""


class ForkedError(Exception):
    """This process was forked from the one that is using the connection."""


class WriterTimeoutError(Exception):
    """The writers of this process that came before did not end in time."""


class Connection(sqlite3.Connection):
    """A connection that knows its process and its cursors."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.pid = os.getpid()
        self._cursors: list[sqlite3.Cursor] = []

    def cursor(self) -> sqlite3.Cursor:  # type: ignore[override] # nobody here asks for cursors of another class
        """A cursor that ends with this use of the connection."""
        cursor = super().cursor()
        self._cursors.append(cursor)
        return cursor

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        """Runs a statement on such a cursor."""
        return self.cursor().execute(sql, parameters)

    def check_process(self) -> None:
        """Raises `ForkedError` in any process but the one that opened this connection."""
        if self.pid != os.getpid():
            raise ForkedError

    def end_use(self) -> None:
        """Ends every transaction and statement: one half read would keep its view of the file for the next user."""
        while self._cursors:
            self._cursors.pop().close()
        if self.in_transaction:
            self.rollback()


def connect(uri: str, *, lock_timeout: float) -> Connection:
    """Opens a connection that commits each statement unless told otherwise, and that any thread may use."""
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
    """Connections made by `connect` when they are needed, kept for the next use. Safe in threads.

    A forked process opens its own, and never closes those of its parent: SQLite takes the locks of both for one's.
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
        """A connection for this block alone. What it has begun by then is rolled back."""
        mine = self._mine()
        connection = mine.take() or self._connect()
        try:
            yield connection
        finally:
            mine.give_back(connection)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection with the write lock, in a transaction that is committed at the end of the block.

        The lock is taken at once: a transaction that becomes a writer later would ignore the busy timeout.

        Raises:
            WriterTimeoutError: earlier writers of this process did not end in time.
        """
        with self._mine().writers.turn(self._lock_timeout), self.connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.check_process()
            connection.commit()

    def close(self) -> None:
        """Closes what is idle now, and the rest after its use; harmless when repeated."""
        self._is_closed = True
        self._of_process.close()

    def _mine(self) -> _OfProcess:
        self.check_open()
        if self._of_process.pid != os.getpid():
            _PARENTS.append(self._of_process)
            self._of_process = _OfProcess(self._path)
        return self._of_process


class _OfProcess:
    """The half of a pool that a forked process makes anew."""

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
    """Lets the writers of one process to one file in one at a time, in the order in which they came.

    SQLite's own wait asks again now and then: who writes on and on would keep out who waits.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._writers: deque[Lock] = deque()

    @contextmanager
    def turn(self, seconds: float) -> Iterator[None]:
        """Waits for the turn and has it until the end of the block.

        Raises:
            WriterTimeoutError: it did not come within so many seconds.
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
"""By process and file: everything in a process that writes one file waits in one queue."""

_PARENTS: Final[list[object]] = []
"""What was inherited by a fork, so that it is never collected and closed."""
