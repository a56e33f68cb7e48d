"""No question scans a large table: what the databases themselves say about each statement."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import Any, LiteralString

import psycopg
import pytest

from domain.storage.postgres.database import PostgresDatabase
from domain.storage.sqlite.database import SQLiteDatabase
from projections import Schedules
from projections.cli.sample import sample_envelopes
from tests.conftest import Place

TALENT = "7a1e0000-0000-4000-8000-000000000000"
NOW = datetime(2023, 7, 20, tzinfo=UTC)

QUESTIONS: Mapping[str, Callable[[Schedules], object]] = {
    "present": lambda schedules: schedules.talent(TALENT),
    "coach": lambda schedules: schedules.coach("c0ac0000-0000-4000-8000-000000000000", limit=5),
    "window": lambda schedules: schedules.talent(TALENT, start=NOW, status="PLANNED", desc=True),
    "appointment": lambda schedules: schedules.appointment(schedules.talent(TALENT)[0].id),
    "talents": lambda schedules: schedules.talents(limit=10, after=schedules.talents(limit=10).next),
    "as of": lambda schedules: schedules.talent(TALENT, as_of=NOW),
    "history": lambda schedules: schedules.history(schedules.talent(TALENT)[0].id),
    "changes": lambda schedules: schedules.changes(talent_id=TALENT, since=schedules.changes(talent_id=TALENT).token),
    "conflicts": lambda schedules: schedules.conflicts(coach_id="c0ac0000-0000-4000-8000-000000000000"),
    "figures": lambda schedules: schedules.figures(talent_id=TALENT),
}


def fill(place: Place) -> Schedules:
    place.events().append(sample_envelopes(12_000))
    place.projector().catch_up()
    return place.schedules()


@contextmanager
def asked_of_postgres(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[bytes, Any]]]:
    """The statements that are asked meanwhile; they are answered all the same."""
    asked: list[tuple[bytes, Any]] = []
    fetch, scanning = PostgresDatabase.fetch, PostgresDatabase.scanning

    def watched(self: PostgresDatabase, statement: bytes, parameters: Any = None) -> list[Any]:
        asked.append((statement, parameters))
        return fetch(self, statement, parameters)

    def scanned(self: PostgresDatabase, statement: bytes, parameters: Any) -> AbstractContextManager[Any]:
        asked.append((statement, parameters))
        return scanning(self, statement, parameters)

    with monkeypatch.context() as context:
        context.setattr(PostgresDatabase, "fetch", watched)
        context.setattr(PostgresDatabase, "scanning", scanned)
        yield asked


@pytest.mark.parametrize("what_the_planner_knows", ["ANALYZE", "VACUUM"])
def test_no_question_scans_a_table_of_events_or_rows_on_postgresql(
    postgres_place: Place, monkeypatch: pytest.MonkeyPatch, what_the_planner_knows: LiteralString
) -> None:
    schedules = fill(postgres_place)
    with psycopg.connect(postgres_place.url, autocommit=True) as connection:
        connection.execute(what_the_planner_knows)
        for name, question in QUESTIONS.items():
            with asked_of_postgres(monkeypatch) as asked:
                question(schedules)
            assert asked
            for statement, parameters in asked:
                plan = "\n".join(row[0] for row in connection.execute(b"EXPLAIN " + statement, parameters))
                scanned = re.findall(r"Seq Scan on (\w+)", plan)
                assert not [table for table in scanned if re.search(r"_events|_schedule|appointment_", table)], (
                    f"{name}:\n{plan}"
                )


def test_no_question_scans_a_table_of_events_or_rows_on_sqlite(
    sqlite_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedules = fill(sqlite_place)
    asked: list[str] = []
    create = SQLiteDatabase.reading

    @contextmanager
    def watched(self: SQLiteDatabase) -> Iterator[Any]:
        with create(self) as cursor:
            cursor.connection.set_trace_callback(asked.append)
            yield cursor
            cursor.connection.set_trace_callback(None)

    monkeypatch.setattr(SQLiteDatabase, "reading", watched)
    for question in QUESTIONS.values():
        question(schedules)
    monkeypatch.undo()
    assert len(asked) > len(QUESTIONS)
    with SQLiteDatabase(sqlite_place.url.removeprefix("sqlite:///")).reading() as cursor:
        for statement in {one for one in asked if one.lstrip().startswith("SELECT")}:
            plan = [row[3] for row in cursor.execute("EXPLAIN QUERY PLAN " + statement)]
            scans = [step for step in plan if step.startswith("SCAN") and "VIRTUAL TABLE" not in step]
            assert not [step for step in scans if re.search(r"SCAN (event|schedule|\w*_)", step)], (statement, plan)
