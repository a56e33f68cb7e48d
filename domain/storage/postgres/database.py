"""One schema of a PostgreSQL database: runs its statements and translates its errors."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from itertools import chain, islice
from threading import Event
from typing import Any, Final, NoReturn, cast

import psycopg
from eventsourcing.utils import strtobool
from psycopg import Cursor, sql
from typing_extensions import override

from domain.errors import NotAllowed, NotInstalled, StorageError, StorageUnavailable
from domain.storage.base import Database
from domain.storage.postgres.connection import SET_IDLE_TIMEOUT, NoAnswer, PostgresConnection, is_to_be_repeated
from domain.storage.postgres.connection import Row as Row  # noqa: PLC0414 - whoever asks, reads rows
from domain.storage.postgres.listener import PostgresListener
from domain.storage.postgres.pool import CONNECTIONS_MAX, PostgresPool
from domain.storage.postgres.scripts import statements_of
from domain.storage.postgres.url import CONNECT_SECONDS_MAX, PostgresUrl
from domain.storage.time_limit import TimeLimit, limit_here

LOCK_SECONDS_MAX: Final = 60

# What PostgreSQL's error codes, or their classes, mean for a caller; the source is appendix A of its manual.
_STATES: Final[Sequence[tuple[tuple[str, ...], type[StorageError], str]]] = (
    (("42501",), NotAllowed, "this role may not do that: {said}; the README lists the rights each role needs"),
    (("28", "3D000"), StorageError, "cannot log in to PostgreSQL: {said}"),
    (
        ("57014", "55P03", "25P03", "40001", "40P01"),
        StorageUnavailable,
        "PostgreSQL gave up waiting: {said}; what was committed is safe, run it again",
    ),
    (("25006",), StorageError, "this server only answers questions, it is a standby or set to read-only: {said}"),
    (("53", "58"), StorageUnavailable, "PostgreSQL is out of resources: {said}; what was committed is safe"),
)

CREATE_SCHEMA: Final = "CREATE SCHEMA IF NOT EXISTS {schema}"
_HAS_SCHEMA: Final = "SELECT 1 FROM pg_namespace WHERE nspname = %(name)s"


class PostgresDatabase(Database):
    """One installation on a server, with a connection pool of its own.

    Statements are SQL with `{schema}` for the schema and `%(name)s` for parameters. Every driver error leaves as a
    `StorageError` without a secret in it. `fetch` ends within the limit of the block that it is called in, or within
    `timeout_seconds`; whatever writes or holds a snapshot takes as long as it must. Safe in threads and forks.
    """

    backend = "postgresql"

    def __init__(self, url: str, *, schema: str) -> None:
        if strtobool(os.environ.get("POSTGRES_ENABLE_DB_FUNCTIONS") or "no"):
            raise StorageError(
                "POSTGRES_ENABLE_DB_FUNCTIONS is on: with it the event store loses events for readers; unset it"
            )
        self._url = PostgresUrl.read(url)
        self.timeout_seconds = self._url.timeout_seconds
        self.schema = schema
        self.place = f"{self._url.place}, schema {schema}"
        self._is_closed = False
        self._connections = _Connections(self._connect, self._connect_to_listen, self.place)
        self._statements: dict[tuple[str, tuple[tuple[str, object], ...]], bytes] = {}

    def statement(self, template: str, **names: object) -> bytes:
        """Fills the schema and other names into the braces of a template."""
        key = (template, tuple(names.items()))
        if key not in self._statements:
            identifiers: dict[str, Any] = {"schema": sql.Identifier(self.schema)}
            identifiers |= {name: sql.SQL(str(part)) for name, part in names.items()}
            self._statements[key] = sql.SQL(template).format(**identifiers).as_bytes(None)
        return self._statements[key]

    def fetch(self, statement: bytes, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        """Runs a SELECT and returns its rows; again when the server closed the connection or, a standby, replays."""
        limit = limit_here(self.timeout_seconds)
        with self._translated():
            for _ in range(CONNECTIONS_MAX):
                with self._of_process().pool.connection(limit) as connection:
                    try:
                        return self._fetch(connection, statement, parameters, limit)
                    except psycopg.OperationalError as error:
                        if isinstance(error, NoAnswer) or not (connection.closed or is_to_be_repeated(error)):
                            raise
            with self._of_process().pool.connection(limit) as connection:
                return self._fetch(connection, statement, parameters, limit)

    @contextmanager
    def scanning(self, statement: bytes, parameters: Mapping[str, Any]) -> Iterator[Iterator[Row]]:
        """Runs a SELECT whose rows come while the caller reads them, all of one snapshot, in bounded memory.

        Its first row comes within the time limit; how long the others take is up to the caller.
        """
        limit = limit_here(self.timeout_seconds)
        with (
            self._translated(),
            self._living_connection() as connection,
            connection.cursor(binary=True) as cursor,
            closing(cast("Generator[Row, None, None]", cursor.stream(statement, parameters))) as rows,
        ):
            connection.deadline = time.monotonic() + limit.left
            try:
                first = list(islice(rows, 1))
            except NoAnswer as error:
                self._explain(error, limit.seconds)
            connection.deadline = None
            yield chain(first, rows)

    @contextmanager
    def writing(self) -> Iterator[Cursor[Row]]:
        """Opens a transaction; commits at the end of the block and rolls back on any error."""
        with (
            self._translated(),
            self._living_connection() as connection,
            connection.transaction(),
            connection.cursor(binary=True) as cursor,
        ):
            if not connection.is_session:
                cursor.execute(SET_IDLE_TIMEOUT)
            yield cursor

    @contextmanager
    def holding(self) -> Iterator[Cursor[Row]]:
        """Opens a transaction on a separate connection without an idle timeout."""
        with (
            self._translated(),
            self._connect(CONNECT_SECONDS_MAX) as connection,
            connection.transaction(),
            connection.cursor() as cursor,
        ):
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            yield cursor

    @contextmanager
    def snapshot(self, token: str | None = None) -> Iterator[Cursor[Row]]:
        """Opens a transaction that reads one snapshot; with a token, the snapshot another transaction exported."""
        with self._translated(), self._living_connection() as connection, connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            if token is not None:
                connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(token)))
            if not connection.is_session:
                connection.execute(SET_IDLE_TIMEOUT)
            with connection.cursor(binary=True) as cursor:
                yield cursor

    @contextmanager
    def connection(self) -> Iterator[PostgresConnection]:
        """Lends a connection to the library's recorder; the driver's errors are not translated."""
        with self._of_process().pool.connection(limit_here(self.timeout_seconds)) as connection:
            yield connection

    def run_script(self, script: str, **names: object) -> None:
        """Runs statements that end in a semicolon at a line's end, one an execute, in one transaction.

        Creates the schema only when it is missing: IF NOT EXISTS alone would require the right to create it.
        """
        with self.writing() as cursor:
            # For two at once: IF NOT EXISTS does not wait for what another transaction is creating.
            cursor.execute(self.statement("SELECT pg_advisory_xact_lock(4172090317)"))
            cursor.execute(self.statement(_HAS_SCHEMA), {"name": self.schema})
            if not cursor.fetchall():
                cursor.execute(self.statement(CREATE_SCHEMA))
            for statement in statements_of(script):
                cursor.execute(self.statement(statement, **names))

    def waiter(self, channel: str) -> AbstractContextManager[Callable[[Event, float], None]]:
        """Opens a wait for notifications on a channel, with the promises of `Recorder.waiter`."""
        return self._of_process().listener.waiter(channel)

    @override
    def close(self) -> None:
        """Gives back every connection; harmless when repeated."""
        self._is_closed = True
        connections = self._of_process()
        connections.listener.close()
        connections.pool.close()

    def _of_process(self) -> _Connections:
        """The connections of this process. On its parent's, a forked process would read the parent's answers."""
        if self._connections.pid != os.getpid():
            _PARENTS.append(self._connections)
            self._connections = _Connections(self._connect, self._connect_to_listen, self.place)
            if self._is_closed:
                self._connections.pool.close()
        return self._connections

    @contextmanager
    def _living_connection(self) -> Iterator[PostgresConnection]:
        """Lends a connection that the server has just answered on."""
        for _ in range(CONNECTIONS_MAX + 1):
            with self._of_process().pool.connection(TimeLimit.of(CONNECT_SECONDS_MAX)) as connection:
                connection.deadline = time.monotonic() + CONNECT_SECONDS_MAX
                try:
                    connection.execute("")
                except NoAnswer as error:
                    self._explain(error, CONNECT_SECONDS_MAX)
                except psycopg.OperationalError:
                    continue
                connection.deadline = None
                yield connection
                return
        raise StorageUnavailable("PostgreSQL ended every new connection at once; run it again", place=self.place)

    def _connect(self, seconds: float) -> PostgresConnection:
        try:
            return PostgresConnection.open(
                self._url.connecting_within(seconds), seconds=min(seconds, CONNECT_SECONDS_MAX)
            )
        except psycopg.OperationalError as error:
            raise StorageUnavailable(
                f"cannot connect to PostgreSQL: {self._said(error)}; "
                "is the server running, and are host, database, user and password right?",
                place=self.place,
                sqlstate=error.sqlstate,
            ) from error

    def _connect_to_listen(self) -> PostgresConnection:
        return self._connect(min(limit_here(CONNECT_SECONDS_MAX).left, CONNECT_SECONDS_MAX))

    def _fetch(
        self, connection: PostgresConnection, statement: bytes, parameters: Mapping[str, Any] | None, limit: TimeLimit
    ) -> list[Row]:
        connection.deadline = time.monotonic() + limit.left
        try:
            with connection.cursor(binary=True) as cursor:
                return cursor.execute(statement, parameters).fetchall()
        except NoAnswer as error:
            self._explain(error, limit.seconds)

    def _explain(self, error: NoAnswer, seconds: float) -> NoReturn:
        if not error.is_reachable:
            self._of_process().pool.clear()  # or the next query would wait as long for the next connection
        raise StorageUnavailable(
            f"PostgreSQL gave no answer within {seconds:g} s; what was committed is safe, run it again",
            place=self.place,
        ) from error

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise self._storage_error(error) from error

    def _storage_error(self, error: psycopg.Error) -> StorageError:
        kind, text = self._explained(error)
        return kind(text, place=self.place, sqlstate=error.sqlstate)

    def _explained(self, error: psycopg.Error) -> tuple[Callable[..., StorageError], str]:
        said = self._said(error)
        state = error.sqlstate or ""
        if state in ("42P01", "3F000"):
            return NotInstalled, f"the schema {self.schema} holds no appointments; create it with: appointments init"
        for states, kind, words in _STATES:
            if state.startswith(states):
                return kind, words.format(said=said)
        if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            return (
                StorageUnavailable,
                f"PostgreSQL cannot be reached or went away: {said}; what was committed is safe, run it again",
            )
        if isinstance(error, psycopg.InternalError) and not state:  # the driver's own: an answer, then an error
            return (
                StorageUnavailable,
                f"PostgreSQL broke off its answer: {said}; what was committed is safe, run it again",
            )
        return StorageError, f"PostgreSQL refused: {said}"

    def _said(self, error: psycopg.Error) -> str:
        """The first line of the driver's message, without a password."""
        text = (str(error).strip().splitlines() or ["no reason given"])[0]
        for secret in (self._url.parameters.get("password"), os.environ.get("PGPASSWORD")):
            if secret:
                text = text.replace(secret, "***")
        return text


class _Connections:
    """The connections of one process; a forked process makes its own."""

    def __init__(
        self,
        connect: Callable[[float], PostgresConnection],
        connect_to_listen: Callable[[], PostgresConnection],
        place: str,
    ) -> None:
        self.pid = os.getpid()
        self.pool = PostgresPool(connect, place=place)
        self.listener = PostgresListener(connect_to_listen)


_PARENTS: Final[list[_Connections]] = []
"""What a forked process got from its parent: closing it would end the parent's sessions."""
