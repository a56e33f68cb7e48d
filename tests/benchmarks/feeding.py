"""Append, catch-up, and from append to visible."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from statistics import median
from time import perf_counter

from projections import Appointments
from tests.benchmarks.figures import Benchmark, Figure, lines, percentile_99, planted, rate, seconds_of, timed
from tests.benchmarks.floors import store_plainly
from tests.benchmarks.library import run_projection, save_each

VISIBLE_TIMES = 100


def feeding(benchmark: Benchmark) -> Iterator[Figure]:
    """The figures of what goes in."""
    content = lines(benchmark.events)
    yield _append(benchmark, content)
    yield _catch_up(benchmark, content)
    yield from _visible(benchmark, content[:1000])


def _append(benchmark: Benchmark, content: list[bytes]) -> Figure:
    ours: list[float] = []
    floor: list[float] = []
    for _ in range(benchmark.runs):
        url, schema = benchmark.place()
        with Appointments.open(url, schema=schema) as appointments:
            events = appointments.events
            events.install()
            ours.append(seconds_of(partial(events.append, content)))
        with timed(floor):
            store_plainly(benchmark.backend, *benchmark.place(), content)
    url, schema = benchmark.place()
    library = save_each(benchmark.backend, url, schema, content[: benchmark.library_events])
    count = len(content)
    return benchmark.figure("append", "envelopes/s", rate(count, ours), rate(count, floor), library)


def _catch_up(benchmark: Benchmark, content: list[bytes]) -> Figure:
    ours = []
    for _ in range(benchmark.runs):
        url, schema = benchmark.place()
        with Appointments.open(url, schema=schema) as appointments:
            events = appointments.events
            projector = appointments.projector
            projector.install()
            events.append(content)
            ours.append(seconds_of(projector.catch_up))
    library = None
    if benchmark.backend == "postgresql":  # the library's runner cannot follow SQLite
        url, schema = benchmark.place()
        save_each(benchmark.backend, url, schema, content[: benchmark.library_events])
        library = run_projection(url, schema, benchmark.library_events)
    return benchmark.figure("catch-up", "envelopes/s", rate(len(content), ours), None, library)


def _visible(benchmark: Benchmark, content: list[bytes]) -> Iterator[Figure]:
    """From the call of append to the answer that has it, while a follower of another process projects."""
    url, schema = benchmark.place()
    seconds = []
    with Appointments.open(url, schema=schema) as appointments:
        events = appointments.events
        projector = appointments.projector
        projector.install()
        events.append(content)
        projector.catch_up()
        with _follower(url, schema), Appointments.open(url, schema=schema) as reading:
            schedules = reading.schedules
            for line in planted("talent", VISIBLE_TIMES, 1, first_event_id=1):
                began = perf_counter()
                report = events.append([line])
                schedules.talent("talent", at_least=report.position, limit=1)
                seconds.append(perf_counter() - began)
    yield benchmark.figure("append to visible, median", "ms", 1000 * median(seconds[1:]))
    yield benchmark.figure("append to visible, 99th percentile", "ms", 1000 * percentile_99(seconds[1:]))


@contextmanager
def _follower(url: str, schema: str) -> Iterator[None]:
    command = [sys.executable, "-m", "projections", "project", "--follow", "--db", url, "--schema", schema]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()
