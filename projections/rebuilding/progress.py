"""How far a rebuild is, and how long each of its phases took."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple

PHASES: Final = ("read and fold", "load", "index", "verify", "catch up", "switch")


class Progress(NamedTuple):
    """How far a phase is. `done` and `total` count envelopes, in "verify" appointments where known.

    `workers` are those that have done part of the work so far, 0 where this process works alone.
    """

    phase: str
    done: int
    total: int
    seconds: float
    workers: int = 0


@dataclass(slots=True)
class Watch:
    """Tells the progress and keeps the time."""

    tell: Callable[[Progress], None] | None
    workers: Collection[str] = ()
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PHASES, 0.0))

    def show(self, phase: str, done: int, total: int) -> None:
        """Tells how far a phase is."""
        if self.tell is not None:
            self.tell(Progress(phase, done, total, self.seconds[phase], len(self.workers)))

    @contextmanager
    def timing(self, phase: str) -> Iterator[None]:
        """Adds the time of the block to a phase."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[phase] += time.perf_counter() - began
