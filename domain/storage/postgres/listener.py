"""One connection that listens to PostgreSQL for all waiters of a process."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition, Event, Lock, Thread
from typing import Final

import psycopg
from psycopg import Notify, sql

from domain.errors import StorageError
from domain.storage.postgres.connection import PostgresConnection

_STOP_LATENCY_SECONDS: Final = 0.2
_POLL_SECONDS: Final = 0.1
_ANSWER_SECONDS_MAX: Final = 10.0
_RETRY_SECONDS: Final = 1.0
_HEAR: Final = "-- LISTEN goes on"
"""Asks nothing, and hands what has come to the handler. An operator sees in pg_stat_activity what it is for."""


class PostgresListener:
    """Wakes any number of waiters on any channels, over one connection that the first waiter opens.

    Without such a connection, or behind a pooler, waiters return often instead, so that their callers poll.
    """

    def __init__(self, connect: Callable[[], PostgresConnection]) -> None:
        self._connect = connect
        self._connecting = Lock()
        self._retry_at = 0.0
        self._changed = Condition()
        self._connection: PostgresConnection | None = None
        self._heard: dict[str, int] = {}
        self._count = 0
        self._ending: socket.socket | None = None
        self._is_closed = False

    @contextmanager
    def waiter(self, channel: str) -> Iterator[Callable[[Event, float], None]]:
        """Opens a wait for notifications on a channel, with the promises of `Recorder.waiter`."""
        if self._is_closed:
            raise StorageError("the connections to PostgreSQL were closed here; open the database again")
        self._listen(channel)
        seen = self._heard.get(channel)

        def wait(stop: Event, seconds: float) -> None:
            nonlocal seen
            deadline = time.monotonic() + seconds
            if seen is None:
                self._listen(channel)
            with self._changed:
                if seen is None and channel not in self._heard:
                    self._changed.wait(min(seconds, _POLL_SECONDS))
                while seen is not None and self._heard.get(channel) == seen and not stop.is_set():
                    left = deadline - time.monotonic()
                    if left <= 0:
                        break
                    self._changed.wait(min(left, _STOP_LATENCY_SECONDS))
                seen = self._heard.get(channel)

        yield wait

    def close(self) -> None:
        """Closes the connection; harmless when repeated."""
        with self._changed:
            self._is_closed = True
            if self._ending is not None:
                self._ending.close()  # its other end becomes readable
                self._ending = None

    def _listen(self, channel: str) -> None:
        """Listens on the channel, unless another thread is about to, or it failed a moment ago."""
        if (
            channel in self._heard
            or time.monotonic() < self._retry_at
            or not self._connecting.acquire(blocking=False)
        ):
            return
        try:
            connection = self._connection or self._start()
            if connection is not None and channel not in self._heard:
                connection.deadline = time.monotonic() + _ANSWER_SECONDS_MAX
                connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
                with self._changed:
                    if self._connection is connection:
                        self._hear(channel)
        except (psycopg.Error, StorageError):  # waiters poll instead, and their queries say what is wrong
            self._retry_at = time.monotonic() + _RETRY_SECONDS
        finally:
            self._connecting.release()

    def _start(self) -> PostgresConnection | None:
        connection = self._connect()
        if not connection.is_session:
            connection.close()
            self._retry_at = float("inf")
            return None
        connection.add_notify_handler(self._on_notify)
        ended, ending = socket.socketpair()
        with self._changed:
            if self._is_closed:
                ending.close()
            else:
                self._connection, self._ending = connection, ending
        Thread(target=self._run, args=(connection, ended), name="appointments-listener", daemon=True).start()
        return connection

    def _run(self, connection: PostgresConnection, ended: socket.socket) -> None:
        with connection, ended, selectors.DefaultSelector() as selector:
            try:
                selector.register(connection.fileno(), selectors.EVENT_READ)
                selector.register(ended, selectors.EVENT_READ)
                while all(key.fileobj is not ended for key, _ in selector.select()):
                    connection.deadline = time.monotonic() + _ANSWER_SECONDS_MAX
                    connection.execute(_HEAR)
            except psycopg.Error:  # waiters return, query, and listen again
                pass
            finally:
                with self._changed:
                    if self._connection is connection:
                        self._connection = None
                        self._heard.clear()
                        if self._ending is not None:
                            self._ending.close()
                            self._ending = None
                    self._changed.notify_all()

    def _on_notify(self, notify: Notify) -> None:
        with self._changed:
            self._hear(notify.channel)

    def _hear(self, channel: str) -> None:
        self._count += 1
        self._heard[channel] = self._count
        self._changed.notify_all()
