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
from tests.benchmarks.floors import notify_round_trips, store_plainly, write_prepared_rows
from tests.benchmarks.library import save_and_wait
from tests.benchmarks.rivals import Rivals, rivals_of

VISIBLE_TIMES = 100


def feeding(benchmark: Benchmark) -> Iterator[Figure]:
    """The figures of what goes in."""
    content = lines(benchmark.events)
    rivals = rivals_of(benchmark)
    yield _append(benchmark, content, rivals)
    yield _catch_up(benchmark, content, rivals)
    yield from _visible(benchmark, content[:1000])


def _append(benchmark: Benchmark, content: list[bytes], rivals: Rivals) -> Figure:
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
    count = len(content)
    return benchmark.figure("append", "envelopes/s", rate(count, ours), rate(count, floor), rivals.append())


def _catch_up(benchmark: Benchmark, content: list[bytes], rivals: Rivals) -> Figure:
    ours: list[float] = []
    floor: list[float] = []
    for _ in range(benchmark.runs):
        url, schema = benchmark.place()
        with Appointments.open(url, schema=schema) as appointments:
            projector = appointments.projector
            projector.install()
            appointments.events.append(content)
            ours.append(seconds_of(projector.catch_up))
        floor.append(write_prepared_rows(benchmark.place(), benchmark.place(), content))
    count = len(content)
    return benchmark.figure("catch-up", "envelopes/s", rate(count, ours), rate(count, floor), rivals.project())


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
    floor: list[float] = []
    library: list[float] = []
    if benchmark.backend == "postgresql":
        floor = notify_round_trips(url, VISIBLE_TIMES)
        library = save_and_wait(*benchmark.place(), content[:VISIBLE_TIMES])
    for kind, of in (("median", median), ("99th percentile", percentile_99)):
        values = [1000 * of(one[1:]) if one else None for one in (seconds, floor, library)]
        rivals = {"library, in one process": values[2]} if values[2] is not None else {}
        yield benchmark.figure(f"append to visible, {kind}", "ms", values[0] or 0.0, values[1], rivals)


@contextmanager
def _follower(url: str, schema: str) -> Iterator[None]:
    command = [sys.executable, "-m", "projections", "project", "--follow", "--db", url, "--schema", schema]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()
