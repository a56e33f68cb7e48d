"""Switches and drops that others stand in the way of: busy projectors, and whoever holds an old generation."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from projections import Progress
from tests.conftest import Place
from tests.generations import SECONDS_MAX, append_sample, execute, line_of, position, python, serving
from tests.rebuilding import rebuilt, rolled_back

EVENTS = 4_000

# A projector that takes small turns; it says when the first is over.
PROJECTING = """
import sys
from projections import Projector
from projections.stores.postgres_turn import PostgresTurn
PostgresTurn.batch_events = 20
with Projector.open(sys.argv[1], schema=sys.argv[2] or None) as projector:
    sys.stdin.readline()
    turns = []
    projector.catch_up(progress=lambda *reached: turns.append(reached) or len(turns) > 1 or print("busy", flush=True))
"""


@contextmanager
def three_projectors(place: Place) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that begin when they are told to; at the end of the block they come to the end of their backlog."""
    with ExitStack() as stack:
        projectors = [stack.enter_context(python(PROJECTING, place.url, place.schema or "")) for _ in range(3)]
        yield projectors
        for projector in projectors:
            projector.communicate(timeout=SECONDS_MAX)
            assert projector.returncode == 0


def set_to_work(projectors: list[subprocess.Popen[str]]) -> None:
    """Lets them begin, and waits until each has had a turn."""
    for projector in projectors:
        assert projector.stdin is not None
        projector.stdin.write("\n")
        projector.stdin.flush()
    assert [line_of(projector) for projector in projectors] == ["busy"] * 3


def test_a_switch_is_not_held_up_by_the_backlog_of_three_busy_projectors(postgres_place: Place) -> None:
    append_sample(postgres_place, EVENTS)

    def project(told: Progress) -> None:
        if told.phase == "switch" and not told.done:
            set_to_work(projectors)

    with three_projectors(postgres_place) as projectors:
        rebuilt(postgres_place, progress=project)
        left_at = position(postgres_place, 1)
    assert (serving(postgres_place), position(postgres_place, 2)) == (2, EVENTS)
    assert 0 < left_at < EVENTS


def test_a_rollback_is_not_held_up_by_the_backlog_of_three_busy_projectors(postgres_place: Place) -> None:
    append_sample(postgres_place, EVENTS)
    postgres_place.projector().catch_up()
    rebuilt(postgres_place)
    execute(postgres_place, "UPDATE generation SET position = 0 WHERE number = 2")
    with three_projectors(postgres_place) as projectors:
        set_to_work(projectors)
        assert rolled_back(postgres_place) == 1
        left_at = position(postgres_place, 2)
    assert 0 < left_at < EVENTS
