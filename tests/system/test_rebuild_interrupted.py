"""Rebuilds in processes of their own: killed, interrupted, refused, cut off from their server, out of space."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from random import Random
from urllib.parse import quote

import pytest

from projections.cli.app import run
from tests.conftest import Place
from tests.support.builders import envelope
from tests.support.generations import (
    append_sample,
    catalogue,
    generations,
    held,
    serving,
    states,
    table_names,
    tables_of,
    unfinished,
    wait_until,
)
from tests.support.postgres_server import PostgresServer, postgres_server
from tests.support.rebuilding import PHASES, HeldRebuild, held_rebuild, project, rebuilt

EVENTS = 600


def projected_sample(place: Place, events: int = EVENTS) -> dict[str, list[tuple[object, ...]]]:
    """The rows of a sample that was appended and projected."""
    append_sample(place, events)
    place.projector().catch_up()
    return held(place)


def command(place: Place, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "projections", *arguments, *place.arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def status_says(place: Place, capfd: pytest.CaptureFixture[str]) -> object:
    """The generation that `status` calls unfinished."""
    capfd.readouterr()
    assert run(["status", *place.arguments, "--json"]) == 0
    return json.loads(capfd.readouterr().out)["unfinished_rebuild"]


def check_switched(place: Place, rows: dict[str, list[tuple[object, ...]]], *ready: int) -> None:
    """The newest generation serves the same rows, and of others nothing is left over but of the one before."""
    assert serving(place) == ready[-1]
    assert held(place) == rows
    assert unfinished(place) == []
    assert table_names(place) == tables_of(*ready)


def kill(rebuild: HeldRebuild) -> None:
    rebuild.process.kill()
    assert rebuild.process.wait() == -signal.SIGKILL


@pytest.mark.parametrize("phase", PHASES)
def test_a_rebuild_killed_in_any_phase_leaves_the_old_generation_serving_and_is_gone_on_with(
    durable_place: Place, phase: str, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = projected_sample(durable_place)
    with held_rebuild(durable_place, "--processes", "1") as rebuild:
        rebuild.until(phase)
        kill(rebuild)
    assert (serving(durable_place), held(durable_place)) == (1, rows)
    assert status_says(durable_place, capfd) == 2
    left = len(generations(durable_place).partitions(catalogue(durable_place).generations[-1].number))
    assert left == {"read and fold": 7, "load": 6}.get(phase, 0)
    assert rebuilt(durable_place).generation == 2
    assert status_says(durable_place, capfd) is None
    check_switched(durable_place, rows, 1, 2)


def test_a_rebuild_with_working_processes_killed_while_they_load_is_gone_on_with(postgres_place: Place) -> None:
    rows = projected_sample(postgres_place, 1500)
    with held_rebuild(postgres_place, "--processes", "2") as rebuild:
        rebuild.until("load")
        kill(rebuild)
    assert (serving(postgres_place), held(postgres_place)) == (1, rows)
    assert rebuilt(postgres_place, processes=2).generation == 2
    check_switched(postgres_place, rows, 1, 2)


def test_after_a_kill_a_restart_begins_anew_and_leaves_nothing_of_the_unfinished_generation(
    durable_place: Place,
) -> None:
    rows = projected_sample(durable_place)
    with held_rebuild(durable_place, "--processes", "1") as rebuild:
        rebuild.until("load")
        kill(rebuild)
    assert rebuilt(durable_place, restart=True).events == EVENTS
    assert states(durable_place) == {1: "ready", 2: "dropped", 3: "ready"}
    check_switched(durable_place, rows, 1, 3)


def test_rebuilds_killed_at_moments_of_chance_never_touch_what_serves_and_the_last_one_ends_right(
    durable_place: Place,
) -> None:
    rows, chance = projected_sample(durable_place, 3000), Random(7)
    killed = 0
    for _ in range(3):
        before = catalogue(durable_place)
        process = command(durable_place, "rebuild", "--processes", "1")
        wait_until(lambda: unfinished(durable_place) != [] or process.poll() is not None)  # noqa: B023
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=chance.uniform(0.0, 0.3))
        process.kill()
        _, complaints = process.communicate()
        killed += process.returncode == -signal.SIGKILL
        assert complaints == ""
        newest = max(one.number for one in catalogue(durable_place).generations)
        assert serving(durable_place) in (before.serving, newest)
        assert held(durable_place) == rows
    assert killed > 0
    assert run(["rebuild", *durable_place.arguments]) == 0
    check_switched(durable_place, rows, *sorted([catalogue(durable_place).previous or 0, serving(durable_place)]))


@pytest.mark.parametrize("phase", ["load", "switch"])
def test_ctrl_c_is_one_line_and_the_old_generation_serves(durable_place: Place, phase: str) -> None:
    rows = projected_sample(durable_place)
    with held_rebuild(durable_place, "--processes", "1") as rebuild:
        rebuild.until(phase)
        rebuild.process.send_signal(signal.SIGINT)
        status, _, complaints = rebuild.go_on()
    assert (status, complaints) == (130, "appointments: interrupted, everything that was committed is safe\n")
    assert (serving(durable_place), held(durable_place)) == (1, rows)
    rebuilt(durable_place)
    check_switched(durable_place, rows, 1, 2)


def test_ctrl_c_to_the_whole_group_of_a_rebuild_with_working_processes_is_one_line(postgres_place: Place) -> None:
    rows = projected_sample(postgres_place, 1500)
    with held_rebuild(postgres_place, "--processes", "2") as rebuild:
        rebuild.until("load")
        os.killpg(rebuild.process.pid, signal.SIGINT)
        status, _, complaints = rebuild.go_on()
    assert (status, complaints) == (130, "appointments: interrupted, everything that was committed is safe\n")
    rebuilt(postgres_place)
    check_switched(postgres_place, rows, 1, 2)


def test_of_two_rebuilds_in_two_processes_the_second_is_refused_and_the_first_finishes(
    durable_place: Place, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = projected_sample(durable_place)
    with held_rebuild(durable_place, "--processes", "1") as first:
        first.until("verify")
        for status, *arguments in ((75, "rebuild"), (75, "rebuild", "--restart"), (1, "rollback")):
            assert run([*map(str, arguments), *durable_place.arguments]) == status
            said = capfd.readouterr().err
            assert re.fullmatch(r"appointments: (another rebuild .* is under way|there is no previous .*)\n", said)
        status, said, complaints = first.go_on()
    assert (status, complaints) == (0, "")
    assert said.startswith("generation 2 serves at position 600: 600 envelopes")
    check_switched(durable_place, rows, 1, 2)


@pytest.fixture
def own_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresServer]:
    """It is restarted, so it is none that somebody else uses."""
    monkeypatch.delenv("TEST_DATABASE_URL", raising=False)
    with postgres_server() as server:
        yield server


def test_a_server_restarted_in_any_phase_is_one_line_and_the_next_rebuild_completes_the_work(
    own_server: PostgresServer,
) -> None:
    for phase in PHASES:
        processes = "2" if phase in ("load", "verify") else "1"
        place = Place("postgresql", own_server.url, f"restarted_{PHASES.index(phase)}")
        with place.closing:
            rows = projected_sample(place)
            with held_rebuild(place, "--processes", processes) as rebuild:
                rebuild.until(phase)
                own_server.restart()
                status, _, complaints = rebuild.go_on()
            assert status == 75
            assert re.fullmatch(
                r"appointments: (PostgreSQL .* went away|cannot connect to PostgreSQL): .*\n", complaints
            )
            assert (serving(place), held(place)) == (1, rows)
            rebuilt(place)
            check_switched(place, rows, 1, 2)


@pytest.mark.parametrize("phase", ["load", "index", "switch"])
def test_a_disk_that_fills_in_any_phase_is_one_line_and_space_lets_the_rebuild_be_completed(
    sqlite_place: Place, phase: str
) -> None:
    rows = projected_sample(sqlite_place)
    with held_rebuild(sqlite_place, "--processes", "1") as rebuild:
        done = rebuild.until(phase)
        resource.prlimit(rebuild.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        status, _, complaints = rebuild.go_on()
    assert status == 75
    assert re.fullmatch(r"appointments: (no space left for the database|the database) .*\n", complaints)
    assert (serving(sqlite_place), held(sqlite_place)) == (1, rows)
    assert rebuilt(sqlite_place).events == (EVENTS - done if phase == "load" else 0)
    check_switched(sqlite_place, rows, 1, 2)


NO_SPACE_TO_SORT = {
    "load": "-c temp_file_limit=0 -c work_mem=64kB -c enable_indexscan=off -c enable_bitmapscan=off",
    "index": "-c temp_file_limit=0 -c maintenance_work_mem=1MB",
}


@pytest.mark.parametrize("phase", NO_SPACE_TO_SORT)
def test_a_server_out_of_space_is_one_line_and_space_lets_the_rebuild_be_completed(
    postgres_place: Place, phase: str, capfd: pytest.CaptureFixture[str]
) -> None:
    project(postgres_place, *(envelope(number, id=f"{number:0480}") for number in range(1, 3001)))
    rows = held(postgres_place)
    starved = replace(postgres_place, url=f"{postgres_place.url}&options={quote(NO_SPACE_TO_SORT[phase])}")
    assert run(["rebuild", "--processes", "1", *starved.arguments]) == 75
    complaints = capfd.readouterr().err
    assert re.fullmatch(r"appointments: PostgreSQL is out of resources: .* what was committed is safe\n", complaints)
    assert (serving(postgres_place), held(postgres_place)) == (1, rows)
    assert rebuilt(postgres_place).events == (3000 if phase == "load" else 0)
    check_switched(postgres_place, rows, 1, 2)
