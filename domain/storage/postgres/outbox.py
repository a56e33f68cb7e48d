"""Reads the outbox of another PostgreSQL database by a query of the user's, in read-only transactions."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from typing_extensions import override

from domain.errors import AppointmentsError, StorageUnavailable, UsageError
from domain.storage.postgres.connection import NoAnswer, PostgresConnection
from domain.storage.postgres.url import CONNECT_SECONDS_MAX, PostgresUrl

_STATES_OF_AN_OUTAGE: Final = ("08", "40", "53", "55P03", "57", "58")


class OutboxRow(NamedTuple):
    """One row of an outbox: the id by which it is read, and an envelope as JSON."""

    id: int
    text: bytes


class OutboxConnection:
    """A connection that reads an outbox.

    Attributes:
        place: where the outbox is, as a URL without user and password.
    """

    def __init__(self, connection: PostgresConnection, secrets: list[str], seconds: float) -> None:
        self._connection = connection
        self._secrets = secrets
        self._seconds = seconds
        self.place = _place_of(connection.info)
        connection.adapters.register_loader("json", _JsonText)
        connection.adapters.register_loader("jsonb", _JsonText)

    def rows(self, query: str, *, after: int, limit: int) -> list[OutboxRow]:
        """The next rows of the query, checked to be in the order of their ids.

        Raises:
            UsageError: the query fails, or its rows are not as expected.
            StorageUnavailable: the database went away, or gave no answer in time.
        """
        self._connection.deadline = time.monotonic() + self._seconds
        try:
            self._connection.read_only = True
            with self._connection.transaction(), self._connection.cursor() as cursor:
                cursor.execute(query.encode(), {"after": after, "limit": limit})
                if cursor.description is None:
                    raise _unexpected("a query that returns rows", cursor.statusmessage)
                if len(cursor.description) != 2:
                    raise _unexpected("two columns, an id and an envelope", f"{len(cursor.description)} columns")
                found = cursor.fetchall()
        except psycopg.Error as error:
            raise _explained(error, self.place, self._secrets) from error
        finally:
            self._connection.deadline = None
        return _checked([_row(*row) for row in found], after, limit)


@contextmanager
def connected_outbox(dsn: str) -> Iterator[OutboxConnection]:
    """Connects to an outbox for the block. `dsn` is a URL or libpq's `name=value`; both may leave out the password.

    Raises:
        StorageUnavailable: it cannot be reached.
        StorageError: the URL cannot be read. No message holds a secret.
    """
    url = PostgresUrl.read(dsn)
    secrets = [secret for secret in (url.parameters.get("password"), os.environ.get("PGPASSWORD")) if secret]
    try:
        connection = PostgresConnection.open(url.connecting_within(CONNECT_SECONDS_MAX), seconds=CONNECT_SECONDS_MAX)
    except psycopg.Error as error:
        said = _said(error, secrets)
        raise StorageUnavailable(f"cannot connect to the outbox: {said}", place=url.place) from error
    with connection:
        yield OutboxConnection(connection, secrets, url.timeout_seconds)


class _JsonText(Loader):
    """Leaves JSON as the text that it is."""

    @override
    def load(self, data: Buffer) -> bytes:
        return bytes(data)


def _place_of(info: psycopg.ConnectionInfo) -> str:
    """The place that was connected to, whether the URL, the environment or a service file named it."""
    if info.host.startswith("/"):
        return f"postgresql://:{info.port}/{info.dbname}?host={info.host}"
    return f"postgresql://{info.host}:{info.port}/{info.dbname}"


def _row(row_id: Any, envelope: Any) -> OutboxRow:
    if not isinstance(row_id, int) or isinstance(row_id, bool):
        raise _unexpected("an integer id in the first column", type(row_id).__name__)
    if isinstance(envelope, str):
        return OutboxRow(row_id, envelope.encode())
    if envelope is None or isinstance(envelope, bytes):
        return OutboxRow(row_id, b"null" if envelope is None else envelope)
    raise _unexpected("an envelope as text, json, jsonb or bytea in the second column", type(envelope).__name__)


def _checked(rows: list[OutboxRow], after: int, limit: int) -> list[OutboxRow]:
    if len(rows) > limit:
        raise _unexpected("at most %(limit)s rows", f"{len(rows):,} where {limit:,} were asked for")
    before = after
    for row in rows:
        if row.id <= before:
            raise _unexpected(
                "rows in ascending order of their first column, each above %(after)s", f"{row.id} after {before}"
            )
        before = row.id
    return rows


def _unexpected(expected: str, found: str | None) -> UsageError:
    return UsageError(f"query: expected {expected}, found {found}", argument="query")


def _explained(error: psycopg.Error, place: str, secrets: list[str]) -> AppointmentsError:
    said, state = _said(error, secrets), error.sqlstate or ""
    if isinstance(error, NoAnswer):
        return StorageUnavailable("the outbox gave no answer in time", place=place)
    is_away = isinstance(error, psycopg.OperationalError) and not state
    if is_away or state.startswith(_STATES_OF_AN_OUTAGE):
        return StorageUnavailable(f"the outbox cannot be reached or went away: {said}", place=place, sqlstate=state)
    return UsageError(f"the query of the outbox failed: {said}", argument="query")


def _said(error: psycopg.Error, secrets: list[str]) -> str:
    """The first line of the driver's message, without a secret."""
    text = (str(error).strip().splitlines() or ["no reason given"])[0]
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
