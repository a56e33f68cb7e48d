"""The floor: what the same machine needs at the least, without any of the promises."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing

import psycopg

from domain import Envelope, read_envelope

BATCH = 1000

_TABLE = """
    CREATE TABLE {name} (
        originator_id text NOT NULL, originator_version bigint NOT NULL, topic text, state {bytes},
        notification_id {serial}
    )
"""


def store_plainly(backend: str, url: str, name: str, lines: Sequence[bytes]) -> None:
    """Validates each envelope and inserts it by plain COPY, on SQLite executemany, with a commit every thousand."""
    if backend == "sqlite":
        _insert(url.removeprefix("sqlite:///"), lines)
    else:
        _copy(url, name, lines)


def _copy(url: str, name: str, lines: Sequence[bytes]) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_TABLE.format(name=name, bytes="bytea", serial="bigserial").encode())
        connection.execute(f"ALTER TABLE {name} ADD PRIMARY KEY (originator_id, originator_version)".encode())
        connection.execute(f"CREATE UNIQUE INDEX ON {name} (notification_id)".encode())
        statement = f"COPY {name} (originator_id, originator_version, topic, state) FROM STDIN (FORMAT BINARY)"
        for batch in _batches(lines):
            with connection.cursor().copy(statement.encode()) as copy:
                copy.set_types(["text", "int8", "text", "bytea"])
                for row in batch:
                    copy.write_row(row)


def _insert(path: str, lines: Sequence[bytes]) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(_TABLE.format(name="floor", bytes="blob", serial="INTEGER PRIMARY KEY"))
        connection.execute("CREATE UNIQUE INDEX floor_key ON floor (originator_id, originator_version)")
        for batch in _batches(lines):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "INSERT INTO floor (originator_id, originator_version, topic, state) VALUES (?, ?, ?, ?)", batch
            )
            connection.execute("COMMIT")


def _batches(lines: Sequence[bytes]) -> Iterator[list[tuple[str, int, str, bytes]]]:
    for start in range(0, len(lines), BATCH):
        yield [_row(line) for line in lines[start : start + BATCH]]


def _row(line: bytes) -> tuple[str, int, str, bytes]:
    envelope = read_envelope(line)
    assert isinstance(envelope, Envelope)
    return envelope.snapshot.id, envelope.event_id, "topic", envelope.text
