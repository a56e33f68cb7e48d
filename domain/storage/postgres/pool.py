"""A connection pool that connects in the thread that needs a connection, and so reports why it failed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, Lock
from typing import Final

from psycopg.pq import TransactionStatus

from domain.errors import StorageError, StorageUnavailable
from domain.storage.postgres.connection import PostgresConnection
from domain.storage.time_limit import TimeLimit

CONNECTIONS_MAX: Final = 10
_IDLE_SECONDS_MAX: Final = 300.0


class PostgresPool:
    """Lends at most `CONNECTIONS_MAX` connections at a time to any number of threads.

    `psycopg_pool` connects in background threads: with a wrong password a caller only learns that time is up, and
    after a restart of the server it retries the second connection after one second and the third after two more.
    """

    def __init__(self, connect: Callable[[float], PostgresConnection], *, place: str) -> None:
        self._connect = connect
        self._place = place
        self._pid = os.getpid()
        self._places = BoundedSemaphore(CONNECTIONS_MAX)
        self._idle: list[PostgresConnection] = []
        self._changing = Lock()
        self._is_closed = False

    def __del__(self) -> None:
        if self._pid == os.getpid():
            self.clear()

    @contextmanager
    def connection(self, limit: TimeLimit) -> Iterator[PostgresConnection]:
        """Lends a connection for the block: an idle one that is still open, or a new one.

        Raises:
            StorageUnavailable: all are in use until the limit, or none can be made.
            StorageError: the pool was closed.
        """
        if not self._places.acquire(timeout=min(limit.left, _IDLE_SECONDS_MAX)):
            raise StorageUnavailable(
                f"no free connection to PostgreSQL within {limit.seconds:g} s ({CONNECTIONS_MAX} are in use)",
                place=self._place,
            )
        try:
            connection = self._take() or self._connect(limit.left)
            try:
                yield connection
            finally:
                self._give_back(connection)
        finally:
            self._places.release()

    def clear(self) -> None:
        """Closes the idle connections."""
        with self._changing:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def close(self) -> None:
        """Closes the idle connections now, and the others when they are returned."""
        self._is_closed = True
        self.clear()

    def _take(self) -> PostgresConnection | None:
        while True:
            with self._changing:
                if self._is_closed:
                    raise StorageError(
                        "the connections to PostgreSQL were closed here; open the database again", place=self._place
                    )
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if not connection.has_ended():
                return connection
            connection.close()

    def _give_back(self, connection: PostgresConnection) -> None:
        connection.deadline = None
        connection.returned_at = time.monotonic()
        stale = []
        with self._changing:
            if self._is_closed or connection.info.transaction_status is not TransactionStatus.IDLE:
                stale.append(connection)
            else:
                self._idle.append(connection)
            while self._idle and self._idle[0].returned_at < connection.returned_at - _IDLE_SECONDS_MAX:
                stale.append(self._idle.pop(0))
        for one in stale:
            one.close()
