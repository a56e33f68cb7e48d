"""Questions, each beside a bare SELECT of the same rows made into the same values."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from statistics import median
from typing import Any

import psycopg

from domain.decoding import decode_envelope
from projections import Appointments, Schedules
from projections.cli.sample import sample_envelopes
from projections.rows import appointment_from
from tests.benchmarks.figures import Benchmark, Figure, percentile_99, planted, timed

TIMES = 300
FIFTY, HUNDRED = "talent-with-50", "talent-with-100"
AS_OF = datetime(2023, 7, 2, 0, 3, tzinfo=UTC)
START, END = datetime(2023, 7, 5, tzinfo=UTC), datetime(2023, 7, 20, tzinfo=UTC)

SELECT_BODIES = """
    SELECT body FROM talent_schedule_1 WHERE talent_id = %s AND body IS NOT NULL ORDER BY starts_at, appointment_id
"""
SELECT_WINDOW = """
    SELECT body FROM talent_schedule_1
    WHERE talent_id = %s AND body IS NOT NULL AND ends_at > %s AND starts_at < %s
    ORDER BY starts_at, appointment_id
"""
SELECT_STREAMS = """
    SELECT state FROM stored_events
    WHERE originator_id IN (SELECT appointment_id COLLATE "default" FROM talent_schedule_1 WHERE talent_id = %s)
    ORDER BY originator_id, originator_version
"""

Fetch = Callable[..., list[Any]]


def asking(benchmark: Benchmark) -> Iterator[Figure]:
    """Every question at every size."""
    for events in benchmark.sizes:
        url, schema = benchmark.place()
        _prepare(url, schema, events)
        with Appointments.open(url, schema=schema) as appointments, _bare(benchmark.backend, url, schema) as fetch:
            schedules = appointments.schedules
            for what, ours, floor in _questions(schedules, fetch):
                ours_seconds, floor_seconds = _measure(ours, floor)
                name = f"{what}, {events:,} envelopes"
                for kind, of in (("median", median), ("99th percentile", percentile_99)):
                    yield benchmark.figure(f"{name}, {kind}", "ms", 1000 * of(ours_seconds), 1000 * of(floor_seconds))


def _prepare(url: str, schema: str, events: int) -> None:
    with Appointments.open(url, schema=schema) as appointments:
        store = appointments.events
        projector = appointments.projector
        projector.install()
        store.append(planted(FIFTY, 50, 1, first_event_id=1))
        store.append(planted(HUNDRED, 100, 3, first_event_id=100))
        store.append(sample_envelopes(events))
        projector.catch_up()


@contextmanager
def _bare(backend: str, url: str, schema: str) -> Iterator[Fetch]:
    """Fetches rows with the driver alone."""
    if backend == "sqlite":
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))

        def fetch(statement: str, *parameters: Any) -> list[Any]:
            spoken = statement.replace("%s", "?").replace('COLLATE "default"', "")
            return connection.execute(spoken, parameters).fetchall()

        yield fetch
        connection.close()
        return
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f"SET search_path = {schema}".encode())
        yield (
            lambda statement, *parameters: (
                server.cursor(binary=True).execute(statement.encode(), parameters).fetchall()
            )
        )


def _questions(schedules: Schedules, fetch: Fetch) -> Iterator[tuple[str, Callable[[], Any], Callable[[], Any]]]:
    milliseconds = [int(one.timestamp() * 1000) for one in (START, END)]

    def bodies(talent_id: str) -> list[Any]:
        return [appointment_from(body) for (body,) in fetch(SELECT_BODIES, talent_id)]

    def window() -> list[Any]:
        return [appointment_from(body) for (body,) in fetch(SELECT_WINDOW, FIFTY, *milliseconds)]

    def streams() -> list[Any]:
        return [decode_envelope(bytes(text)) for (text,) in fetch(SELECT_STREAMS, HUNDRED)]

    token = schedules.changes(talent_id=FIFTY).token
    yield "schedule of 50", lambda: schedules.talent(FIFTY), lambda: bodies(FIFTY)
    yield "window", lambda: schedules.talent(FIFTY, start=START, end=END), window
    yield "as of, 100 appointments", lambda: schedules.talent(HUNDRED, as_of=AS_OF), streams
    yield "all changes of 50", lambda: schedules.changes(talent_id=FIFTY), lambda: bodies(FIFTY)
    yield "no changes since", lambda: schedules.changes(talent_id=FIFTY, since=token), lambda: fetch("SELECT 1")
    yield "conflicts of 50", lambda: schedules.conflicts(talent_id=FIFTY), lambda: bodies(FIFTY)
    yield "figures of 50", lambda: schedules.figures(talent_id=FIFTY), lambda: bodies(FIFTY)


def _measure(ours: Callable[[], Any], floor: Callable[[], Any]) -> tuple[list[float], list[float]]:
    """Turn about, so that both meet the same machine."""
    ours_seconds: list[float] = []
    floor_seconds: list[float] = []
    for _ in range(TIMES):
        with timed(ours_seconds):
            ours()
        with timed(floor_seconds):
            floor()
    return ours_seconds[10:], floor_seconds[10:]
