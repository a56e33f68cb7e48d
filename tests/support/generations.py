"""Looks into generations without the product's help, and interrupts or damages their rebuilds."""

from __future__ import annotations

import importlib
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from types import SimpleNamespace
from typing import Any, Final

import psycopg

from domain.identifiers import Generation, Position
from domain.storage import open_database
from domain.storage.location import locate
from domain.storage.memory.database import MemoryDatabase
from domain.topics import TOPIC
from projections import Progress
from projections.cli.sample import sample_envelopes
from projections.rows import Side
from projections.stores import generations_of, store_of
from projections.stores.catalogue import Catalogue, GenerationState
from projections.stores.generations import Generations
from projections.stores.memory.store import ReadModels
from tests.conftest import Place

TALENT: Final = "7a1e0000-0000-4000-8000-000000000000"
"""The first talent of every sample with seed 0."""

TABLES: Final = ("appointment", "talent_schedule", "coach_schedule")

rebuild_module: Final = importlib.import_module("projections.rebuilding.rebuild")
"""The module; the package's attribute of that name is the function."""

SECONDS_MAX: Final = 30


class BrokenOffError(Exception):
    """What a test throws into a rebuild."""


def wait_until(condition: Callable[[], bool]) -> None:
    """Polls until the condition holds, and fails after `SECONDS_MAX`."""
    deadline = time.monotonic() + SECONDS_MAX
    while not condition():
        assert time.monotonic() < deadline, f"did not happen within {SECONDS_MAX} s"
        time.sleep(0.002)


def generations(place: Place) -> Generations:
    database = open_database(locate(place.url, schema=place.schema))
    place.closing.callback(database.close)
    return generations_of(database)


def catalogue(place: Place) -> Catalogue:
    database = open_database(locate(place.url, schema=place.schema))
    with closing(database):
        return store_of(database).catalogue()


def serving(place: Place) -> Generation:
    return catalogue(place).serving


def states(place: Place) -> dict[int, str]:
    """The state of every generation there ever was."""
    return {one.number: one.state.value for one in catalogue(place).generations}


def unfinished(place: Place) -> list[Generation]:
    return [one.number for one in catalogue(place).generations if one.state is GenerationState.BUILDING]


def position(place: Place, generation: int) -> Position:
    [found] = [one.position for one in catalogue(place).generations if one.number == generation]
    return found


def held(place: Place, generation: int | None = None) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the three tables of a generation (without a number: of the serving one), positions included."""
    database = open_database(locate(place.url, schema=place.schema))
    everything: dict[str, list[tuple[Any, ...]]] = {table: [] for table in TABLES}
    with closing(database):
        number = Generation(generation) if generation else store_of(database).catalogue().serving
        with generations_of(database).snapshot(number) as snapshot:
            for rows in snapshot.everything():
                everything["appointment"] += rows.appointments
                for side in Side:
                    everything[f"{side}_schedule"] += rows.of(side)
            assert snapshot.counts() == tuple(map(len, everything.values()))
    return {table: sorted(rows) for table, rows in everything.items()}


def execute(place: Place, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Runs SQL directly on the database; `?` marks a parameter on either kind."""
    if place.backend == "sqlite":
        path = place.url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path, timeout=SECONDS_MAX, isolation_level=None)) as connection:
            return connection.execute(statement, parameters).fetchall()
    with psycopg.connect(place.url, autocommit=True) as connection:
        connection.execute("SELECT set_config('search_path', %s, false)", (place.schema,))
        cursor = connection.execute(statement.replace("?", "%s").encode(), parameters)
        return cursor.fetchall() if cursor.description else []


def table_names(place: Place) -> set[str]:
    """The tables of generations that a database has."""
    names = (
        "SELECT name FROM sqlite_master WHERE type = 'table'"
        if place.backend == "sqlite"
        else "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
    )
    return {name for (name,) in execute(place, names) if name.startswith(TABLES)}


def tables_of(*generations: int) -> set[str]:
    return {f"{table}_{number}" for table in TABLES for number in generations}


def read_models(place: Place) -> ReadModels:
    """The read models of a place in memory."""
    database = open_database(locate(place.url))
    with closing(database):
        assert isinstance(database, MemoryDatabase)
        return ReadModels.of(database)


@contextmanager
def python(script: str, *arguments: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A Python process that is killed at the end of the block if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def line_of(process: subprocess.Popen[str]) -> str:
    """The next line that a process prints."""
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def store_raw(place: Place, event_id: int, appointment_id: str, text: bytes) -> Position:
    """Stores what was never validated."""
    event = SimpleNamespace(event_id=event_id, snapshot=SimpleNamespace(id=appointment_id), text=text)
    with place.events().recorder.appending() as append:
        append.insert([event], TOPIC)  # type: ignore[list-item] # looks like an envelope
    return place.events().head()


def append_sample(place: Place, events: int, *, seed: int = 0, late: int = 0) -> list[str]:
    """Appends a sample; `late` of its envelopes come after all the others, the newest of them first."""
    lines = list(sample_envelopes(events, seed=seed))
    held_back = lines[:: max(1, events // late)] if late else []
    place.events().append([line for line in lines if line not in set(held_back)] + held_back[::-1])
    return lines


def interrupt_at(phase: str, after: int = 0) -> Callable[[Progress], None]:
    """A callback that throws when a phase is told for the first time with more than so much done."""

    def progress(one: Progress) -> None:
        if one.phase == phase and one.done >= after:
            raise BrokenOffError

    return progress
