"""Rebuilding in tests: what their files have in common."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest

from domain import appointment as appointment_module
from domain.identifiers import Generation
from projections import RebuildReport, Schedules
from projections.stores.memory.generations import MemoryGenerations
from projections.stores.postgres.generations import PostgresGenerations
from projections.stores.sqlite.generations import SQLiteGenerations
from tests.conftest import Place
from tests.support.builders import as_json
from tests.support.generations import SECONDS_MAX, execute, line_of, python, read_models
from tests.support.newer_fold import NEWER_FOLD

PHASES: Final = ["read and fold", "load", "index", "verify", "catch up", "switch"]


def rebuilt(place: Place, **options: Any) -> RebuildReport:
    return place.appointments().rebuild(**{"processes": 1, **options})


def rolled_back(place: Place) -> Generation:
    return place.appointments().rollback()


def append(place: Place, *envelopes: dict[str, Any]) -> None:
    place.events().append(as_json(one) for one in envelopes)


def project(place: Place, *envelopes: dict[str, Any]) -> Schedules:
    append(place, *envelopes)
    place.projector().catch_up()
    return place.schedules()


def cut_small_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on history is rebuilt in many partitions."""
    for generations in (MemoryGenerations, SQLiteGenerations, PostgresGenerations):
        monkeypatch.setattr(generations, "partition_events", 100)


def set_fold_version(place: Place, generation: int, version: int) -> None:
    """Makes a generation, and the pointer to it where it serves, that of code with another fold."""
    if place.backend == "memory":
        models = read_models(place)
        object.__setattr__(models.generations[Generation(generation)].info, "fold_version", version)
        models.pointers = {
            version if pointer.serving == generation else before: pointer
            for before, pointer in models.pointers.items()
        }
    else:
        execute(place, "UPDATE generation SET fold_version = ? WHERE number = ?", version, generation)
        execute(place, "UPDATE serving SET fold_version = ? WHERE generation = ?", version, generation)


@contextmanager
def newer_code() -> Iterator[None]:
    """Within the block this process runs code of the next version, see `upgrade`."""
    with pytest.MonkeyPatch.context() as patch:
        upgrade(patch)
        yield


def upgrade(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on this process runs code of the next version, whose fold gives every appointment the title AFTER."""
    for name, value in NEWER_FOLD.items():
        monkeypatch.setattr(appointment_module, name, value)


# The real command, with a history in small partitions, and with bars that show each step and wait for a line.
_HELD = """
import sys
from contextlib import nullcontext
from projections.cli.app import main
from projections.cli.commands import rebuild as rebuilding
from projections.stores.postgres.generations import PostgresGenerations
from projections.stores.sqlite.generations import SQLiteGenerations
class Bars:
    def show(self, phase, done, total, workers=0):
        print(phase, done, total, flush=True)
        sys.stdin.readline()
rebuilding.progress_told = lambda *_: nullcontext(Bars().show)
SQLiteGenerations.partition_events = PostgresGenerations.partition_events = 100
sys.argv[1:1] = ["rebuild"]
main()
"""


class HeldRebuild:
    """The command `rebuild` in a process of its own, which stands still at each step until it is let go on."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def until(self, phase: str) -> int:
        """Lets it go on until it tells of a phase, and returns how much of it is done; there it stands."""
        while not (line := line_of(self.process)).startswith(phase):
            assert line, self.process.communicate()
            self.step()
        return int(line.split()[-2])

    def go_on(self) -> tuple[int, str, str]:
        """Lets it run to its end: its exit status, its last line and its complaints."""
        out, complaints = self.process.communicate(timeout=SECONDS_MAX)
        return self.process.returncode, out.splitlines()[-1] if out else "", complaints

    def step(self) -> None:
        """Lets it go on to where it tells of the next step."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()


@contextmanager
def held_rebuild(place: Place, *options: str) -> Iterator[HeldRebuild]:
    """A `HeldRebuild`; it is killed at the end of the block if it still runs."""
    with python(_HELD, *place.arguments, *options, process_group=0) as process:
        yield HeldRebuild(process)
