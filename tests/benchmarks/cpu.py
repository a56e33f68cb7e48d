"""What an envelope costs a processor: its contract, and re-reading it from history, beside `json.loads`."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

from domain import Envelope, read_envelope
from domain.identifiers import Position
from domain.storage.base import StoredEnvelope
from domain.topics import TOPIC
from projections.projector import fold_streams
from projections.rebuilding.workers import collect_rarely
from tests.benchmarks.figures import Benchmark, Figure, lines

REPETITIONS = 7
ENVELOPES_MAX = 10_000


def cpu(benchmark: Benchmark) -> Iterator[Figure]:
    """Process time for each envelope: medians of interleaved repetitions over the same texts."""
    streams = _streams(lines(min(benchmark.events, ENVELOPES_MAX)))
    texts = [stored.text for stored in streams]
    works: dict[str, Callable[[], object]] = {
        "json.loads": lambda: _for_each(texts, json.loads),
        "contract": lambda: _for_each(texts, read_envelope),
        "history": lambda: fold_streams(iter(streams)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in works}
    with _as_in_a_worker():
        for _ in range(REPETITIONS):
            for name, work in works.items():
                began = time.process_time()
                work()
                seconds[name].append(time.process_time() - began)
    cost = {name: 1e6 * median(each) / len(texts) for name, each in seconds.items()}
    yield benchmark.figure("contract, of json.loads", "µs CPU", cost["contract"], cost["json.loads"])
    yield benchmark.figure("history to rows, of json.loads", "µs CPU", cost["history"], cost["json.loads"])


def _for_each(texts: list[bytes], work: Callable[[bytes], object]) -> None:
    for text in texts:
        work(text)


def _streams(content: list[bytes]) -> list[StoredEnvelope]:
    """As a rebuild reads them: stream by stream."""
    stored = []
    for position, text in enumerate(content, 1):
        envelope = read_envelope(text)
        assert isinstance(envelope, Envelope)
        stored.append(StoredEnvelope(Position(position), envelope.event_id, envelope.snapshot.id, TOPIC, text))
    return sorted(stored, key=lambda one: (one.appointment_id, one.event_id))


@contextmanager
def _as_in_a_worker() -> Iterator[None]:
    """Looks for cycles as rarely as the processes of a rebuild do, for all three alike.

    An append leaves Python's own thresholds; with those `json.loads` would cost more, and the ratios be kinder.
    """
    thresholds = gc.get_threshold()
    collect_rarely()
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
