"""The rebuild shared among 1, 2 and 4 workers of a Dask cluster on this machine, beside as many processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from projections import Appointments, RebuildReport
from projections.cli.sample import sample_envelopes
from projections.rebuilding.dask import executor_at
from tests.benchmarks.figures import Benchmark, Figure
from tests.support.dask_cluster import dask_cluster

COUNTS = (1, 2, 4)


def workers(benchmark: Benchmark) -> Iterator[Figure]:
    """The rate with each number of workers; the floor's column has that of as many processes of our own.

    Workers wait longer for the database the nearer it is to its limit: then their share of time in it grows, and
    the rate does not.
    """
    url, schema = benchmark.place()
    with Appointments.open(url, schema=schema) as appointments:
        appointments.events.append(sample_envelopes(benchmark.events))
        for count in COUNTS:
            own = [appointments.rebuild(processes=count) for _ in range(benchmark.runs)]
            with (
                dask_cluster(Path(benchmark.folder), count) as cluster,
                executor_at(cluster.address) as executor,
            ):
                shared = [appointments.rebuild(executor=executor) for _ in range(benchmark.runs)]
            of = f"{count} workers" if count > 1 else "1 worker"
            what = f"rebuild, {of}, {os.cpu_count()} processors"
            yield benchmark.figure(what, "envelopes/s", _rate(shared), _rate(own))
            yield benchmark.figure(f"their share of time in the database, {of}", "%", _share(shared), _share(own))


def _rate(reports: list[RebuildReport]) -> float:
    return median(one.events_per_second for one in reports)


def _share(reports: list[RebuildReport]) -> float:
    loading = [one.seconds["load"] / (one.seconds["load"] + one.seconds["read and fold"]) for one in reports]
    return 100 * median(loading)
