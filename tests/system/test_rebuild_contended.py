"""Switches and drops that others stand in the way of: busy projectors, and whoever holds an old generation."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import quote

import psycopg
import pytest

from projections import Appointments, Progress, Schedules
from projections.cli.app import run
from tests.conftest import Place
from tests.support.builders import envelope
from tests.support.generations import (
    SECONDS_MAX,
    BrokenOffError,
    append_sample,
    execute,
    interrupt_at,
    line_of,
    position,
    python,
    serving,
    states,
    table_names,
    tables_of,
)
from tests.support.rebuilding import project, rebuilt, rolled_back

EVENTS = 4_000

# A projector that takes small turns; it says when the first is over.
PROJECTING = """
import sys
from projections import Appointments
from projections.stores.postgres.unit_of_work import PostgresUnitOfWork
PostgresUnitOfWork.batch_events = 20
with Appointments.open(sys.argv[1], schema=sys.argv[2] or None) as appointments:
    projector = appointments.projector
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


@contextmanager
def held_tables(place: Place, *generations: int, mode: str = "ACCESS SHARE") -> Iterator[None]:
    """A transaction that has locked tables, as pg_dump locks what it is going to read."""
    with psycopg.connect(place.url) as connection:
        for name in sorted(tables_of(*generations)):
            connection.execute(f"LOCK TABLE {place.schema}.{name} IN {mode} MODE".encode())
        yield
        connection.rollback()


def impatient_schedules(place: Place) -> Schedules:
    """They give up where they would have to wait for a lock."""
    url = f"{place.url}&options={quote('-c lock_timeout=100')}"
    return place.closing.enter_context(Appointments.open(url, schema=place.schema)).schedules


def drop_by_command(place: Place, capfd: pytest.CaptureFixture[str], *options: str) -> tuple[int, str, str]:
    """The exit status, the output and the complaints of `rebuild --drop-old`."""
    capfd.readouterr()
    return run(["rebuild", "--drop-old", *options, *place.arguments]), *capfd.readouterr()


def test_a_fresh_reader_asks_nothing_of_a_generation_that_does_not_serve(postgres_place: Place) -> None:
    project(postgres_place, envelope(1))
    rebuilt(postgres_place)
    with held_tables(postgres_place, 1, mode="ACCESS EXCLUSIVE"):
        assert impatient_schedules(postgres_place).talent("talent-1").generation == 2


def test_a_generation_that_a_dump_holds_is_kept_until_the_dump_is_over_and_holds_nobody_up(
    postgres_place: Place, capfd: pytest.CaptureFixture[str]
) -> None:
    project(postgres_place, envelope(1))
    old_reader, another = impatient_schedules(postgres_place), impatient_schedules(postgres_place)
    assert old_reader.talent("talent-1").generation == another.talent("talent-1").generation == 1
    with held_tables(postgres_place, 1):
        assert rebuilt(postgres_place).kept == ()
        assert rebuilt(postgres_place).kept == (1,)
        assert states(postgres_place) == {1: "retired", 2: "ready", 3: "ready"}
        for schedules in (old_reader, impatient_schedules(postgres_place)):
            assert schedules.talent("talent-1").generation == 3
        status, out, complaints = drop_by_command(postgres_place, capfd, "--json")
        assert (status, json.loads(out)) == (1, {"dropped": [], "kept": [1]})
        assert complaints == (
            "appointments: generation 1 is in use by another connection, perhaps a backup, and was not dropped; "
            "the next rebuild drops it, or: appointments rebuild --drop-old\n"
        )
    assert another.talent("talent-1").generation == 3
    assert table_names(postgres_place) == tables_of(1, 2, 3)
    assert rebuilt(postgres_place).kept == ()
    assert states(postgres_place) == {1: "dropped", 2: "dropped", 3: "ready", 4: "ready"}
    assert table_names(postgres_place) == tables_of(3, 4)


def test_a_kept_generation_is_dropped_by_a_command(postgres_place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    project(postgres_place, envelope(1))
    with held_tables(postgres_place, 1):
        rebuilt(postgres_place)
        rebuilt(postgres_place)
    assert drop_by_command(postgres_place, capfd) == (0, "1 dropped, 0 kept\n", "")
    assert table_names(postgres_place) == tables_of(2, 3)
    assert drop_by_command(postgres_place, capfd) == (0, "0 dropped, 0 kept\n", "")


def test_what_is_dropped_by_command_is_neither_a_rebuild_under_way_nor_what_a_rollback_needs(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    project(place, envelope(1))
    rebuilt(place)
    with pytest.raises(BrokenOffError):
        rebuilt(place, progress=interrupt_at("verify"))
    assert place.appointments().drop_old_generations() == ((), ())
    assert states(place) == {1: "ready", 2: "ready", 3: "building"}
    assert run(["rebuild", "--drop-old", "--restart", *place.arguments]) == 2
    assert capsys.readouterr().err.startswith("appointments: --drop-old makes no generation")


def test_an_unfinished_generation_that_a_dump_holds_is_never_gone_on_with(postgres_place: Place) -> None:
    project(postgres_place, envelope(1))
    with pytest.raises(BrokenOffError):
        rebuilt(postgres_place, progress=interrupt_at("verify"))
    with held_tables(postgres_place, 2):
        report = rebuilt(postgres_place, restart=True)
        assert (report.generation, report.kept) == (3, (2,))
    assert states(postgres_place) == {1: "ready", 2: "retired", 3: "ready"}
    assert rebuilt(postgres_place).kept == ()
    assert table_names(postgres_place) == tables_of(3, 4)
