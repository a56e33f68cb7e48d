"""One schema of a PostgreSQL database: the one place that connects to PostgreSQL and translates its errors."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from threading import Event, Lock
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

import psycopg
from eventsourcing.postgres import PostgresDatastore
from eventsourcing.utils import strtobool
from psycopg import Connection, Cursor, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import tuple_row
from psycopg_pool import ConnectionPool, PoolTimeout

from domain.errors import NotInstalled, StorageError, StorageUnavailable

CONNECTIONS_MAX: Final = 10
CONNECT_SECONDS_MAX: Final = 10
LOCK_SECONDS_MAX: Final = 60
_SESSION_DEFAULTS: Final = {
    "idle_in_transaction_session_timeout": "60s",
    # Every statement goes by a key: a plan for any parameters is a good one, and making one takes as long as asking.
    "plan_cache_mode": "force_generic_plan",
}
"""Settings of every connection, unless the URL's `options` name them."""

_STOP_LATENCY_SECONDS: Final = 0.2

_CONNECTION_DEFAULTS: Final = {
    "application_name": "appointments",
    "connect_timeout": str(CONNECT_SECONDS_MAX),
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
}

# What PostgreSQL's error codes, or their classes, mean for a caller; the source is appendix A of its manual.
_STATES: Final[Sequence[tuple[tuple[str, ...], type[StorageError], str]]] = (
    (("42501",), StorageError, "this role may not do that: {said}; the README lists the rights each role needs"),
    (("28", "3D000"), StorageError, "cannot log in to PostgreSQL: {said}"),
    (
        ("57014", "55P03", "25P03"),
        StorageUnavailable,
        "PostgreSQL gave up waiting: {said}; what was committed is safe, run it again",
    ),
    (("53", "58"), StorageUnavailable, "PostgreSQL is out of resources: {said}; what was committed is safe"),
)

CREATE_SCHEMA: Final = "CREATE SCHEMA IF NOT EXISTS {schema}"
_HAS_SCHEMA: Final = "SELECT 1 FROM pg_namespace WHERE nspname = %(name)s"

Row = tuple[Any, ...]


class PostgresDatabase(PostgresDatastore):
    """One installation on a server: the library's datastore, on a pool that takes every libpq parameter.

    Statements are SQL with `{schema}` for the schema and `%(name)s` for parameters. Every driver error leaves as a
    `StorageError` without a secret in it.
    """

    def __init__(self, url: str, *, schema: str) -> None:
        if strtobool(os.environ.get("POSTGRES_ENABLE_DB_FUNCTIONS") or "no"):
            raise StorageError(
                "POSTGRES_ENABLE_DB_FUNCTIONS is on: with it the event store loses events for readers; unset it"
            )
        self._parameters = _connection_parameters(url)
        super().__init__(dbname="", host="", port="", user="", password="", schema=schema, originator_id_type="text")
        self.pool.close()
        self.pool = ConnectionPool(  # type: ignore[assignment] # the library's own pool adds only what is not used
            make_conninfo("", **self._parameters),
            kwargs={"autocommit": True},
            configure=self._configure,
            min_size=0,
            max_size=CONNECTIONS_MAX,
            timeout=CONNECT_SECONDS_MAX,
            max_idle=300.0,
            open=False,
        )
        self._opening = Lock()
        self._is_closed = False
        self._statements: dict[tuple[str, tuple[tuple[str, object], ...]], bytes] = {}

    def register_type_adapters(self) -> None:
        """Does nothing: the library's composite types serve inserts that this product does not use."""

    def statement(self, template: str, **names: object) -> bytes:
        """SQL text with the schema, and other names, in the places of the template's braces."""
        key = (template, tuple(names.items()))
        if key not in self._statements:
            identifiers: dict[str, Any] = {"schema": sql.Identifier(self.schema)}
            identifiers |= {name: sql.SQL(str(part)) for name, part in names.items()}
            self._statements[key] = sql.SQL(template).format(**identifiers).as_bytes(None)
        return self._statements[key]

    def fetch(self, statement: bytes, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        """Runs one reading statement and returns its rows; once more when the server had gone and is back."""
        with self._translated():
            for _ in range(CONNECTIONS_MAX):
                with self._connection() as connection, suppress(_ConnectionGone):
                    return self._fetch(connection, statement, parameters)
                self._connect().close()
            with self._connection() as connection:
                return self._fetch(connection, statement, parameters)

    @contextmanager
    def writing(self) -> Iterator[Cursor[Row]]:
        """A cursor in a transaction; commits at the end of the block, rolls back on any error."""
        with (
            self._translated(),
            self._living_connection() as connection,
            connection.transaction(),
            connection.cursor(binary=True) as cursor,
        ):
            yield cursor

    @contextmanager
    def holding(self) -> Iterator[Cursor[Row]]:
        """A cursor in a transaction on a connection of its own, which may be idle for as long as the block takes."""
        with self._translated(), self._connect() as connection:
            connection.execute("SET idle_in_transaction_session_timeout = 0")
            with connection.transaction(), connection.cursor() as cursor:
                yield cursor

    @contextmanager
    def snapshot(self, token: str | None = None) -> Iterator[Cursor[Row]]:
        """A cursor whose statements all see one snapshot, that of another transaction when its token is given."""
        with self._translated(), self._living_connection() as connection, connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            if token is not None:
                connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(token)))
            with connection.cursor(binary=True) as cursor:
                yield cursor

    def run_script(self, script: str, **names: object) -> None:
        """Runs statements that end in a semicolon at a line's end, one an execute, in one transaction.

        Makes the schema where there is none: PostgreSQL's IF NOT EXISTS asks for the right to make one all the same.
        """
        with self.writing() as cursor:
            # Two at once: IF NOT EXISTS does not wait for what another transaction creates.
            cursor.execute(self.statement("SELECT pg_advisory_xact_lock(4172090317)"))
            cursor.execute(self.statement(_HAS_SCHEMA), {"name": self.schema})
            if not cursor.fetchall():
                cursor.execute(self.statement(CREATE_SCHEMA))
            for statement in statements_of(script):
                cursor.execute(self.statement(statement, **names))

    @contextmanager
    def waiter(self, channel: str) -> Iterator[Callable[[Event, float], None]]:
        """Listens on a channel; see `Recorder.waiter`. A notification during other work is kept by the connection."""
        with self._translated(), self._connect() as connection:
            connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))

            def wait(stop: Event, seconds: float) -> None:
                deadline = time.monotonic() + seconds
                with self._translated():
                    while not stop.is_set() and (left := deadline - time.monotonic()) > 0:
                        for _ in connection.notifies(timeout=min(left, _STOP_LATENCY_SECONDS), stop_after=1):
                            return

            yield wait

    def close(self) -> None:
        """Gives back every connection; harmless when repeated."""
        self._is_closed = True
        with suppress(AttributeError):  # the library closes also what could not be opened
            self.pool.close()

    @contextmanager
    def _connection(self) -> Iterator[Connection[Row]]:
        self._open()
        try:
            connection: Connection[Row] = self.pool.getconn()  # type: ignore[assignment] # the library says dict rows
        except PoolTimeout:
            self._explain()
        try:
            yield connection
        finally:
            self.pool.putconn(connection)  # type: ignore[arg-type] # the same

    @contextmanager
    def _living_connection(self) -> Iterator[Connection[Row]]:
        for _ in range(CONNECTIONS_MAX + 1):
            with self._connection() as connection:
                try:
                    connection.execute("")
                except psycopg.OperationalError:
                    self._connect().close()
                    continue
                yield connection
                return
        self._explain()

    def _open(self) -> None:
        """Opens the pool after one connection has shown that it can be had: the pool itself would only time out."""
        with self._opening:
            if self._is_closed:
                raise StorageError("the connections to PostgreSQL were closed here; open the database again")
            if self.pool.closed:
                self._connect().close()
                self.pool.open()

    def _connect(self) -> Connection[Row]:
        try:
            connection: Connection[Row] = psycopg.connect(make_conninfo("", **self._parameters), autocommit=True)
        except psycopg.OperationalError as error:
            raise StorageUnavailable(
                f"cannot connect to PostgreSQL: {self._said(error)}; "
                "is the server running, and are host, database, user and password right?"
            ) from error
        self._configure(connection)
        return connection

    def _configure(self, connection: Connection[Any]) -> None:
        connection.row_factory = tuple_row
        for name, value in _SESSION_DEFAULTS.items():
            if name not in self._parameters.get("options", ""):
                connection.execute("SELECT set_config(%s, %s, false)", (name, value))

    @staticmethod
    def _fetch(connection: Connection[Row], statement: bytes, parameters: Mapping[str, Any] | None) -> list[Row]:
        try:
            with connection.cursor(binary=True) as cursor:
                return cursor.execute(statement, parameters).fetchall()
        except psycopg.OperationalError as error:
            if connection.closed:
                raise _ConnectionGone from error
            raise

    def _explain(self) -> NoReturn:
        """Connects once outside the pool, to say what is in the way."""
        self._connect().close()
        raise StorageUnavailable(
            f"no free connection to PostgreSQL within {CONNECT_SECONDS_MAX} s ({CONNECTIONS_MAX} are in use)"
        )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise self._storage_error(error) from error

    def _storage_error(self, error: psycopg.Error) -> StorageError:
        said = self._said(error)
        state = error.sqlstate or ""
        if state in ("42P01", "3F000"):
            return NotInstalled(f"the schema {self.schema} holds no appointments; create it with: appointments init")
        for states, kind, words in _STATES:
            if state.startswith(states):
                return kind(words.format(said=said))
        if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            return StorageUnavailable(
                f"PostgreSQL cannot be reached or went away: {said}; what was committed is safe, run it again"
            )
        return StorageError(f"PostgreSQL refused: {said}")

    def _said(self, error: psycopg.Error) -> str:
        """The first line of what the driver said, without a secret."""
        text = (str(error).strip().splitlines() or ["no reason given"])[0]
        for secret in (self._parameters.get("password"), os.environ.get("PGPASSWORD")):
            if secret:
                text = text.replace(secret, "***")
        return text


class _ConnectionGone(Exception):  # noqa: N818 - not an error yet: another connection may do
    """A pooled connection whose server went away."""


def statements_of(script: str) -> list[str]:
    """The statements of a script, each without comment lines and without its semicolon."""
    statements = re.sub(r"(?m)^--.*\n", "", script).split(";\n")
    return [statement.strip() for statement in statements if statement.strip()]


def _connection_parameters(url: str) -> dict[str, str]:
    """The libpq parameters of a URL, with this product's defaults for those it does not name."""
    try:
        parts = urlsplit(url)
        is_readable = parts.netloc.count("@") <= 1 and "@" not in parts.path + parts.query and not parts.fragment
        parameters = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    except (psycopg.Error, ValueError):
        is_readable, parameters = False, {}
    if not is_readable:
        # The driver's own message may repeat a piece of a password that was not percent-encoded.
        raise StorageError(
            "the PostgreSQL URL cannot be read; special characters in the user and the password are percent-encoded"
        )
    return _CONNECTION_DEFAULTS | parameters
