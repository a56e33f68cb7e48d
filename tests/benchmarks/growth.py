"""What an envelope costs as the history grows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from projections import Appointments
from projections.cli.sample import sample_envelopes
from tests.benchmarks.figures import Benchmark, Figure, seconds_of


def growth(benchmark: Benchmark) -> Iterator[Figure]:
    """Microseconds an envelope of an append, a catch-up and a rebuild of the whole history, at each size, once."""
    for events in benchmark.sizes:
        url, schema = benchmark.place()
        path = benchmark.folder / "growth.jsonl"
        with path.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in sample_envelopes(events))
        with Appointments.open(url, schema=schema) as appointments:
            appointments.install()
            seconds = {
                "append": seconds_of(lambda: appointments.events.append_file(path)),  # noqa: B023
                "catch-up": seconds_of(appointments.projector.catch_up),
                "rebuild": seconds_of(appointments.rebuild),
            }
        for what, taken in seconds.items():
            figure = benchmark.figure(f"{what}, {events:,} envelopes", "µs an envelope", 1e6 * taken / events)
            yield replace(figure, events=events)
