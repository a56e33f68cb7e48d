"""The rebuild, beside its floor; on SQLite while another process appends."""

from __future__ import annotations

from collections.abc import Iterator
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from statistics import median

import psycopg

from projections import Appointments, RebuildReport
from projections.cli.sample import sample_envelopes
from tests.benchmarks.figures import Benchmark, Figure, percentile_99, planted, seconds_of
from tests.benchmarks.rivals import rivals_of

KEYS = {
    "appointment": "appointment_id",
    "talent_schedule": "talent_id, appointment_id",
    "coach_schedule": "coach_id, appointment_id",
}


def rebuilding(benchmark: Benchmark) -> Iterator[Figure]:
    """The rebuild of a history that is stored already."""
    url, schema = benchmark.place()
    with Appointments.open(url, schema=schema) as appointments:
        events = appointments.events
        events.append(sample_envelopes(benchmark.events))
    if benchmark.backend == "sqlite":
        yield from _beside_appends(benchmark, url, schema)
        return
    rivals = rivals_of(benchmark).project()
    reports, floors = [], []
    for _ in range(benchmark.runs):
        with Appointments.open(url, schema=schema) as appointments:
            reports.append(appointments.rebuild())
        floors.append(_floor(url, schema, reports[-1].generation))
    yield from _by_phase(benchmark, reports)
    count = benchmark.events
    floor = median(count / one for one in floors)
    yield benchmark.figure("rebuild", "envelopes/s", median(one.events_per_second for one in reports), floor, rivals)
    unverified = [count / (one.total_seconds - one.seconds["verify"]) for one in reports]
    yield benchmark.figure("rebuild, its verification left out", "envelopes/s", median(unverified), floor, rivals)


def _by_phase(benchmark: Benchmark, reports: list[RebuildReport]) -> Iterator[Figure]:
    for phase in reports[0].seconds:
        yield benchmark.figure(f"rebuild, {phase}", "s", median(one.seconds[phase] for one in reports))


def _floor(url: str, schema: str, generation: int) -> float:
    """Seconds to copy the states out to nothing, the final rows of three tables in, and to build their keys."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"SET search_path = {schema}".encode())

        def copy_out(source: str) -> Iterator[bytes]:
            with connection.cursor().copy(f"COPY {source} TO STDOUT (FORMAT BINARY)".encode()) as copy:
                yield from map(bytes, copy)

        seconds = seconds_of(lambda: sum(map(len, copy_out("(SELECT state FROM stored_events)"))))
        for table, key in KEYS.items():
            rows = list(copy_out(f"{table}_{generation}"))
            connection.execute(f"CREATE TABLE floor (LIKE {table}_{generation})".encode())

            def copy_in(rows: list[bytes] = rows) -> None:
                with connection.cursor().copy(b"COPY floor FROM STDIN (FORMAT BINARY)") as copy:
                    for row in rows:
                        copy.write(row)

            seconds += seconds_of(copy_in)
            index = f"CREATE UNIQUE INDEX ON floor ({key})".encode()
            seconds += seconds_of(lambda index=index: connection.execute(index))  # type: ignore[misc]
            connection.execute("DROP TABLE floor")
        return seconds


def _beside_appends(benchmark: Benchmark, url: str, schema: str) -> Iterator[Figure]:
    with Appointments.open(url, schema=schema) as appointments:
        projector = appointments.projector
        projector.install()
    context = get_context("spawn")
    stop, results = context.Event(), context.Queue()
    appender = context.Process(target=_append_one_by_one, args=(url, stop, results))
    appender.start()
    results.get()  # the first is in
    with Appointments.open(url) as appointments:
        report = appointments.rebuild()
    stop.set()
    seconds = results.get()
    appender.join()
    yield from _by_phase(benchmark, [report])
    yield benchmark.figure("rebuild beside appends", "envelopes/s", report.events_per_second)
    unverified = report.events / (report.total_seconds - report.seconds["verify"])
    yield benchmark.figure("rebuild beside appends, its verification left out", "envelopes/s", unverified)
    yield benchmark.figure("append beside a rebuild, 99th percentile", "ms", 1000 * percentile_99(seconds))
    yield benchmark.figure("append beside a rebuild, longest", "ms", 1000 * max(seconds))


def _append_one_by_one(url: str, stop: Event, results: object) -> None:
    put = results.put  # type: ignore[attr-defined]
    seconds = []
    content = iter(planted("talent", 1000, 100, first_event_id=1))
    with Appointments.open(url) as appointments:
        events = appointments.events
        while not stop.is_set():
            batch = [next(content)]
            seconds.append(seconds_of(lambda batch=batch: events.append(batch)))  # type: ignore[misc]
            if len(seconds) == 1:
                put(None)
            stop.wait(0.02)
    put(seconds)
