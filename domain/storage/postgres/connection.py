"""A connection to PostgreSQL with a deadline, which detects a connection pooler in between."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from typing import Any, Final, TypeVar

import psycopg
from psycopg import Connection
from psycopg.conninfo import make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row
from typing_extensions import override

from domain.errors import StorageError

Row = tuple[Any, ...]

IDLE_IN_TRANSACTION_SECONDS_MAX: Final = 60

SET_IDLE_TIMEOUT: Final = f"SET LOCAL idle_in_transaction_session_timeout = '{IDLE_IN_TRANSACTION_SECONDS_MAX}s'"
"""Behind a pooler, where a session has no settings."""

_SESSION_DEFAULTS: Final = {
    "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_SECONDS_MAX}s",
    # Every statement goes by a key: a plan for any parameters is a good one, and making one takes as long as asking.
    "plan_cache_mode": "force_generic_plan",
}
"""Settings of every session, unless the URL's `options` name them."""

_PREPARE_THRESHOLD: Final = 5
_INTERVAL_SECONDS: Final = 0.1
_CANCEL_SECONDS_MAX: Final = 0.5

_Value = TypeVar("_Value")


class NoAnswer(psycopg.OperationalError):
    """The server did not answer before the connection's deadline; the connection is closed.

    Attributes:
        is_reachable: whether the server took the request to cancel the statement.
    """

    is_reachable = False


class PostgresConnection(Connection[Row]):
    """A connection that stops waiting for the server at its deadline, if it has one.

    Attributes:
        deadline: a moment of the monotonic clock.
        is_session: whether all statements reach one server process, as without a pooler. Otherwise session features
            (settings, LISTEN, prepared statements) must not be used: other clients would share them.
        returned_at: when it was last given back to a pool.
    """

    deadline: float | None = None
    is_session = True
    returned_at = 0.0

    @classmethod
    def open(cls, parameters: Mapping[str, str], *, seconds: float) -> PostgresConnection:
        """Connects and configures the session, within so many seconds.

        Raises:
            StorageError: a pooler gives every statement to another session.
        """
        connection = cls.connect(
            make_conninfo("", **parameters), autocommit=True, prepare_threshold=None, row_factory=tuple_row
        )
        try:
            connection.deadline = time.monotonic() + seconds
            connection.settle(parameters.get("options", ""))
            connection.deadline = None
        except BaseException:
            connection.close()
            raise
        return connection

    def settle(self, options: str) -> None:
        """Finds out whether this is a session, and sets what the URL's options do not set."""
        [[server_pid]] = self.execute("SELECT pg_backend_pid()").fetchall()
        # A pooler makes up the process id that it tells its clients at login.
        self.is_session = server_pid == self.info.backend_pid
        if self.is_session:
            self.prepare_threshold = _PREPARE_THRESHOLD
            for name, value in _SESSION_DEFAULTS.items():
                if name not in options:
                    self.execute("SELECT set_config(%s, %s, false)", (name, value))
        else:
            self._check_transactions()

    @override
    def wait(
        self,
        gen: Generator[Any, Any, _Value],
        interval: float = _INTERVAL_SECONDS,
        timeout: float | None = None,
    ) -> _Value:
        """Waits as psycopg does, but at the deadline cancels the statement and closes the connection."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        if self.deadline is None:
            return super().wait(gen, interval)
        left = max(self.deadline - time.monotonic(), 0.01)
        try:
            return super().wait(_until(self.deadline, gen), min(interval, left))
        except NoAnswer as error:
            error.is_reachable = self._give_up()
            raise

    def has_ended(self) -> bool:
        """Whether the server has closed this idle connection, as far as can be seen without a round trip."""
        try:
            self.pgconn.consume_input()  # may read the server's last words
            self.pgconn.consume_input()  # and this the end
        except psycopg.OperationalError:
            return True
        return self.info.transaction_status is not TransactionStatus.IDLE

    def _check_transactions(self) -> None:
        try:
            with self.transaction():
                pass
        except psycopg.Error as error:
            raise StorageError(
                "the pooler in front of PostgreSQL takes no transactions (pool_mode = statement); "
                "connect to the server directly, or set pool_mode = transaction"
            ) from error

    def _give_up(self) -> bool:
        """Cancels the statement if the server can be reached, and closes the connection."""
        try:
            self.cancel_safe(timeout=_CANCEL_SECONDS_MAX)
        except psycopg.Error:
            return False
        finally:
            self.close()
        return True


def is_to_be_repeated(error: psycopg.Error) -> bool:
    """Whether another connection may answer: the server ends this one, or a standby replayed what was in the way."""
    is_of_replay = isinstance(error, psycopg.errors.SerializationFailure | psycopg.errors.DeadlockDetected)
    return is_of_replay or error.diag.severity_nonlocalized in ("FATAL", "PANIC")


def _until(deadline: float, gen: Generator[Any, Any, _Value]) -> Generator[Any, Any, _Value]:
    """Wraps a psycopg generator so that it raises `NoAnswer` at the deadline."""
    try:
        request = next(gen)
        while True:
            ready = yield request
            if not ready and time.monotonic() >= deadline:
                raise NoAnswer("the server does not answer")
            request = gen.send(ready)
    except StopIteration as done:
        value: _Value = done.value
        return value
