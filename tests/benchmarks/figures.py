"""What a benchmark is run on, and what it finds."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

from projections.cli.sample import sample_envelopes
from tests.support.builders import as_json, envelope

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Figure:
    """One line of the table: medians of this product and of the floor, and what rivals reach, where there are any.

    `events` is how large the history was.
    """

    what: str
    backend: str
    unit: str
    ours: float
    floor: float | None = None
    rivals: Mapping[str, float] = field(default_factory=dict)
    events: int | None = None

    def cells(self) -> list[str]:
        rivals = [f"{_ratio(self.ours, rate)} x {name} ({_number(rate)})" for name, rate in self.rivals.items()]
        values = (_number(self.ours), _number(self.floor), _ratio(self.ours, self.floor), "\n".join(rivals))
        return [self.what, self.backend, self.unit, *values]

    def __str__(self) -> str:
        return "  ".join(cell for cell in self.cells() if cell).replace("\n", ", ")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:,.2f}"


def _ratio(ours: float, other: float | None) -> str:
    return "" if not other else f"{ours / other:,.2f}"


@dataclass(frozen=True)
class Benchmark:
    """Where and how much."""

    backend: str
    server_url: str
    folder: Path
    events: int
    sizes: tuple[int, ...]
    runs: int
    eventsource_py: bool

    def place(self) -> tuple[str, str]:
        """The URL and the schema of an installation that is not there yet."""
        name = f"benchmark_{next(_numbers)}"
        return (self.server_url if self.backend == "postgresql" else f"{self.server_url}{name}.db"), name

    def figure(
        self, what: str, unit: str, ours: float, floor: float | None = None, rivals: Mapping[str, float] | None = None
    ) -> Figure:
        return Figure(what, self.backend, unit, ours, floor, rivals or {})


def lines(count: int) -> list[bytes]:
    """Sample envelopes."""
    return [line.encode() for line in sample_envelopes(count)]


def planted(talent_id: str, appointments: int, revisions: int, *, first_event_id: int) -> list[bytes]:
    """Envelopes of one talent with that many appointments; their ids are far below those of the sample."""
    numbers = itertools.count(first_event_id)
    return [
        as_json(
            envelope(
                next(numbers),
                id=f"{talent_id}-{number:04}",
                talentId=talent_id,
                coachId=f"coach-of-{talent_id}",
                description=f"revision {revision}",
                startDate=f"2023-07-{1 + number % 28:02}T{8 + number % 9:02}:{10 * revision:02}:00.000Z",
                endDate=f"2023-07-{1 + number % 28:02}T{9 + number % 9:02}:{10 * revision:02}:00.000Z",
            )
        )
        for revision in range(revisions)
        for number in range(appointments)
    ]


def seconds_of(work: Callable[[], object]) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@contextmanager
def timed(into: list[float]) -> Iterator[None]:
    """Adds the seconds that a block takes."""
    began = time.perf_counter()
    yield
    into.append(time.perf_counter() - began)


def rate(count: int, seconds: list[float]) -> float:
    """The median rate of several runs."""
    return median(count / one for one in seconds)


def percentile_99(seconds: list[float]) -> float:
    """The 99th percentile."""
    return quantiles(seconds, n=100, method="inclusive")[98]
