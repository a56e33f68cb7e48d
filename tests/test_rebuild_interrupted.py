"""Rebuilds in processes of their own: killed, interrupted, refused, cut off from their server, out of space."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from random import Random

import pytest

from projections.cli import run
from tests.conftest import Place
from tests.generations import (
    append_sample,
    builder,
    catalogue,
    held,
    serving,
    states,
    table_names,
    tables_of,
    unfinished,
    wait_until,
)
from tests.rebuilding import PHASES, HeldRebuild, held_rebuild, rebuilt

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
    left = len(builder(durable_place).pieces(catalogue(durable_place).generations[-1].number))
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


@pytest.mark.parametrize("phase", ["load", "catch up"])
def test_after_a_kill_a_restart_begins_anew_and_leaves_nothing_of_the_unfinished_generation(
    durable_place: Place, phase: str
) -> None:
    rows = projected_sample(durable_place)
    with held_rebuild(durable_place, "--processes", "1") as rebuild:
        rebuild.until(phase)
        kill(rebuild)
    assert rebuilt(durable_place, restart=True).events == EVENTS
    assert states(durable_place) == {1: "ready", 2: "dropped", 3: "ready"}
    check_switched(durable_place, rows, 1, 3)


def test_rebuilds_killed_at_moments_of_chance_never_touch_what_serves_and_the_last_one_ends_right(
    durable_place: Place,
) -> None:
    rows, chance = projected_sample(durable_place, 3000), Random(7)
    killed = 0
    for _ in range(4):
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


@pytest.mark.parametrize("phase", PHASES)
def test_ctrl_c_in_any_phase_is_one_line_and_the_old_generation_serves(durable_place: Place, phase: str) -> None:
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


@pytest.mark.parametrize("phase", PHASES)
def test_of_two_rebuilds_in_two_processes_the_second_is_refused_and_the_first_finishes(
    durable_place: Place, phase: str, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = projected_sample(durable_place)
    with held_rebuild(durable_place, "--processes", "1") as first:
        first.until(phase)
        for arguments in (["rebuild"], ["rebuild", "--restart"], ["rollback"]):
            assert run([*arguments, *durable_place.arguments]) == 1
            said = capfd.readouterr().err
            assert re.fullmatch(r"appointments: (another rebuild .* is under way|there is no previous .*)\n", said)
        status, said, complaints = first.go_on()
    assert (status, complaints) == (0, "")
    assert said.startswith("generation 2 serves at position 600: 600 envelopes")
    check_switched(durable_place, rows, 1, 2)
