"""The floor: what the same machine needs at the least, without any of the promises."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing

import psycopg

from domain import Envelope, read_envelope
from domain.event_store import EventStore
from domain.identifiers import Position
from domain.storage import open_database
from domain.storage.location import locate
from projections.projector import Projector, project
from projections.rows import Rows
from projections.stores import store_of

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


def write_prepared_rows(place: tuple[str, str], other_place: tuple[str, str], lines: Sequence[bytes]) -> float:
    """Seconds of a catch-up's own statements in empty read models, with the rows of each batch made before."""
    batches = _batches_of_rows(place, lines)
    with closing(open_database(locate(other_place[0], schema=other_place[1]))) as database:
        Projector(database).install()
        store = store_of(database)
        began = time.perf_counter()
        for rows, position in batches:
            with store.unit_of_work() as work:
                work.write(rows, position)
        return time.perf_counter() - began


def _batches_of_rows(place: tuple[str, str], lines: Sequence[bytes]) -> list[tuple[Rows, Position]]:
    """The rows that a catch-up writes, batch by batch."""
    batches: list[tuple[Rows, Position]] = []
    with closing(open_database(locate(place[0], schema=place[1]))) as database:
        events, store = EventStore(database), store_of(database)
        Projector(database).install()
        events.append(lines)
        while not batches or batches[-1][1] < events.head():
            with store.unit_of_work() as work:
                batch = work.read(upto=events.head(), limit=work.batch_events)
                batches.append((project(work, batch), batch[-1].position))
                work.write(*batches[-1])
    return batches


_ANSWER = """
import sys, psycopg
with (
    psycopg.connect(sys.argv[1], autocommit=True) as listening,
    psycopg.connect(sys.argv[1], autocommit=True) as telling,
):
    listening.execute("LISTEN benchmark_asked")
    print(flush=True)
    for _ in listening.notifies():
        telling.execute("NOTIFY benchmark_answered")
"""


def notify_round_trips(url: str, times: int) -> list[float]:
    """Seconds of each bare NOTIFY to another process that answers by one.

    Each side listens on one connection and tells on another, where no answer can slip by.
    """
    with (
        psycopg.connect(url, autocommit=True) as listening,
        psycopg.connect(url, autocommit=True) as telling,
        subprocess.Popen([sys.executable, "-c", _ANSWER, url], stdout=subprocess.PIPE) as answering,
    ):
        assert answering.stdout is not None
        answering.stdout.readline()
        listening.execute("LISTEN benchmark_answered")
        seconds = []
        for _ in range(times):
            began = time.perf_counter()
            telling.execute("NOTIFY benchmark_asked")
            next(listening.notifies(stop_after=1))
            seconds.append(time.perf_counter() - began)
        answering.terminate()
    return seconds
