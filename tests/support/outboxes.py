"""Outboxes of another database, as a publisher has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

from domain import EventStore, Position
from tests.conftest import own_schema
from tests.support.builders import as_json


class PublisherOutbox:
    """A table of envelopes under ids that a sequence hands out.

    Attributes:
        dsn: the URL of its database.
        query: what reads it.
    """

    def __init__(self, dsn: str, schema: str) -> None:
        self.dsn = dsn
        self.table = f"{schema}.outbox"
        self.query = self.reading("body")
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {schema}".encode())
            connection.execute(f"CREATE TABLE {self.table} (id bigserial PRIMARY KEY, body jsonb)".encode())

    def reading(self, column: str) -> str:
        """What reads an expression as the envelope."""
        return f"SELECT id, {column} FROM {self.table} WHERE id > %(after)s ORDER BY id LIMIT %(limit)s"

    def add(self, envelopes: Sequence[dict[str, Any]]) -> None:
        """Adds envelopes in one transaction."""
        with psycopg.connect(self.dsn) as connection:
            for one in envelopes:
                self.insert(connection, one)

    def insert(self, connection: psycopg.Connection, one: dict[str, Any]) -> None:
        """Adds an envelope in the transaction of a connection: its id is handed out, and nobody sees it yet."""
        statement = f"INSERT INTO {self.table} (body) VALUES (%s::jsonb)"
        connection.execute(statement.encode(), [as_json(one).decode()])


@contextmanager
def publisher_outbox(dsn: str) -> Iterator[PublisherOutbox]:
    """An outbox of its own, dropped at the end of the block."""
    with own_schema(dsn) as schema:
        yield PublisherOutbox(dsn, schema)


def stored_ids(events: EventStore) -> list[int]:
    """The envelopes' ids in the event store, ascending."""
    stored = events.recorder.read(after=Position(0), upto=Position(10**9), limit=10**6)
    return sorted(one.event_id for one in stored)
