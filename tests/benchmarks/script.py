"""A script as one would write it by hand: batches of `executemany`, one upsert an event, and none of the promises.

It validates nothing and keeps no lifecycle, no moves, no change feed: a late event of an appointment is left out.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import psycopg

from tests.benchmarks.figures import seconds_of

BATCH = 1000

TABLES = (
    "CREATE TABLE script_event (id bigint PRIMARY KEY, appointment_id text NOT NULL, envelope text NOT NULL)",
    """CREATE TABLE script_schedule (appointment_id text PRIMARY KEY, talent_id text NOT NULL,
        coach_id text NOT NULL, event_id bigint NOT NULL, status text NOT NULL, start_date text,
        appointment text NOT NULL)""",
    "CREATE INDEX script_talent ON script_schedule (talent_id, start_date)",
    "CREATE INDEX script_coach ON script_schedule (coach_id, start_date)",
)
INSERT = "INSERT INTO script_event (id, appointment_id, envelope) VALUES (%s, %s, %s) ON CONFLICT (id) DO NOTHING"
SELECT = "SELECT envelope FROM script_event ORDER BY id"
UPSERT = (
    "INSERT INTO script_schedule (appointment_id, talent_id, coach_id, event_id, status, start_date, appointment)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (appointment_id) DO UPDATE SET talent_id = excluded.talent_id,"
    " coach_id = excluded.coach_id, event_id = excluded.event_id, status = excluded.status,"
    " start_date = excluded.start_date, appointment = excluded.appointment"
    " WHERE script_schedule.event_id < excluded.event_id"
)


def run_script(backend: str, url: str, schema: str, lines: Sequence[bytes]) -> tuple[float, float]:
    """Envelopes a second: of inserting them, and of making the schedules of what was inserted."""
    if backend == "sqlite":
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            for statement in TABLES:
                connection.execute(statement)
            return _rates(connection, INSERT.replace("%s", "?"), UPSERT.replace("%s", "?"), lines)
    with psycopg.connect(url) as server:
        server.execute(f"CREATE SCHEMA {schema}".encode())
        server.execute(f"SET search_path = {schema}".encode())
        for statement in TABLES:
            server.execute(statement.encode())
        server.commit()
        return _rates(server, INSERT, UPSERT, lines)


def _rates(connection: Any, insert: str, upsert: str, lines: Sequence[bytes]) -> tuple[float, float]:
    def store() -> None:
        for start in range(0, len(lines), BATCH):
            batch = [_event(line.decode()) for line in lines[start : start + BATCH]]
            connection.cursor().executemany(insert, batch)
            connection.commit()

    def project() -> None:
        reading = connection.cursor()
        reading.execute(SELECT)
        for texts in _batches(reading):
            connection.cursor().executemany(upsert, [_row(text) for (text,) in texts])
            connection.commit()

    return len(lines) / seconds_of(store), len(lines) / seconds_of(project)


def _batches(cursor: Any) -> Iterator[list[Any]]:
    while batch := cursor.fetchmany(BATCH):
        yield batch


def _event(text: str) -> tuple[Any, ...]:
    document = json.loads(text)
    return document["id"], document["eventData"]["appointment"]["id"], text


def _row(text: str) -> tuple[Any, ...]:
    document = json.loads(text)
    one = document["eventData"]["appointment"]
    return (
        one["id"],
        one["talentId"],
        one["coachId"],
        document["id"],
        one["status"],
        one.get("startDate"),
        json.dumps(one, ensure_ascii=False),
    )
