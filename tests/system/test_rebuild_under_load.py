"""Rebuilds and rollbacks under readers, followers and appends: every answer is of one generation and one position."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from domain.errors import VersionMismatch
from domain.identifiers import Position
from projections import Schedules
from projections.cli.sample import sample_envelopes
from tests.campaigns.processes import start_module
from tests.conftest import Place
from tests.support.builders import as_json, envelope
from tests.support.generations import SECONDS_MAX, TALENT, execute, generations, line_of, python, wait_until
from tests.support.readmodels import check_read_models
from tests.support.rebuilding import project, rebuilt, rolled_back, upgrade
from tests.support.reference import as_plain, expected_schedule

IDS = [f"id-{number:02}" for number in range(1, 21)]


def mark(place: Place, *generations: int) -> None:
    """From here on every row of a generation names it, as a title."""
    for generation in generations:
        for table in ("appointment", "talent_schedule", "coach_schedule"):
            renamed = f"UPDATE {table}_{generation} SET body = replace(body, 'unmarked', 'generation {generation}')"
            execute(place, renamed)


def check_unmixed(schedules: Schedules) -> None:
    """Asks everything there is to ask; each answer is whole and of the one generation that it names."""
    for answer in (schedules.talent("talent-1"), schedules.coach("coach-1")):
        assert [(one.id, one.title) for one in answer] == [(one, f"generation {answer.generation}") for one in IDS]
    one = schedules.appointment("id-07")
    assert one.title == f"generation {one.generation}"
    changes = schedules.changes(talent_id="talent-1")
    assert {change.appointment and change.appointment.title for change in changes} == {
        f"generation {changes.generation}"
    }
    assert sorted(change.id for change in changes) == IDS
    assert schedules.changes(talent_id="talent-1", since=changes.token).changes == ()
    assert [owner.owner_id for owner in schedules.talents()] == ["talent-1"]
    assert schedules.count() == len(IDS)
    found: list[str] = []
    page = schedules.talent("talent-1", limit=7)
    found += [one.id for one in page]
    while page.next is not None:
        page = schedules.talent("talent-1", limit=7, after=page.next)
        assert {one.title for one in page} == {f"generation {page.generation}"}
        found += [one.id for one in page]
    assert found == IDS


def keep_checking(schedules: Schedules, stop: threading.Event) -> int:
    times = 0
    while not stop.is_set() or not times:
        check_unmixed(schedules)
        times += 1
    return times


# Checks until its input ends.
CHECKING = """
import sys, threading
from projections import Appointments
from tests.system.test_rebuild_under_load import check_unmixed, keep_checking
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set())).start()
with Appointments.open(sys.argv[1], schema=sys.argv[2] or None) as appointments:
    schedules = appointments.schedules
    check_unmixed(schedules)
    print("checking", flush=True)
    print(keep_checking(schedules, stop))
"""


@contextmanager
def checking_readers(place: Place) -> Iterator[None]:
    """Two threads that share their `Schedules`, one with its own, and a process."""
    shared, stop = place.schedules(), threading.Event()
    with (
        python(CHECKING, place.url, place.schema or "") as process,
        ThreadPoolExecutor(3) as executor,
    ):
        assert line_of(process) == "checking", process.communicate()[1]
        readers = [executor.submit(keep_checking, one, stop) for one in (shared, shared, place.schedules())]
        try:
            yield
        finally:
            stop.set()
        out, complaints = process.communicate(timeout=SECONDS_MAX)
        assert (process.returncode, complaints) == (0, "")
        assert all(count > 0 for count in [int(out), *(reader.result() for reader in readers)])


def flip(place: Place, times: int) -> None:
    """Switches there and back, faster than a rollback does."""
    switching = generations(place).switching
    for generation in [1, 2] * (times // 2):
        with switching(generation):  # type: ignore[arg-type] # a number
            pass


def test_whoever_asks_while_generations_are_switched_sees_one_of_them_and_all_of_it(durable_place: Place) -> None:
    project(durable_place, *(envelope(number, id=one, title="unmarked") for number, one in enumerate(IDS, start=1)))
    rebuilt(durable_place)
    mark(durable_place, 1, 2)
    with checking_readers(durable_place):
        flip(durable_place, 120)
        assert [rolled_back(durable_place) for _ in range(24)] == [1, 2] * 12


class Watcher:
    """A reader that keeps what it saw of one talent at each position, and a copy of the schedule fed by changes."""

    def __init__(self, schedules: Schedules) -> None:
        self.schedules = schedules
        self.seen: dict[int, list[dict[str, Any]]] = {}
        self.copies: dict[int, list[tuple[str, int]]] = {}
        self.generations: set[int] = set()
        self._copy: dict[str, int] = {}
        self._token: str | None = None
        self._position = 0

    def watch(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self.look()
        self.look()

    def look(self) -> None:
        answer = self.schedules.talent(TALENT)
        plain = [as_plain(one) for one in answer]
        assert self.seen.setdefault(answer.position, plain) == plain
        self._advance(answer.position, answer.generation)
        changes = self.schedules.changes(talent_id=TALENT, since=self._token)
        for change in changes:
            if change.appointment is None:
                self._copy.pop(change.id, None)
            else:
                self._copy[change.id] = change.appointment.event_id
        self._token = changes.token
        self._advance(changes.position, changes.generation)
        self.copies[changes.position] = sorted(self._copy.items())

    def _advance(self, position: int, generation: int) -> None:
        assert position >= self._position
        self._position = position
        self.generations.add(generation)

    def check(self, stored: list[tuple[int, dict[str, Any]]]) -> None:
        for position in self.seen.keys() | self.copies.keys():
            expected = expected_schedule([one for at, one in stored if at <= position], "talent", TALENT)
            assert expected
            assert self.seen.get(position, expected) == expected
            events = sorted((one["id"], one["event_id"]) for one in expected)
            assert self.copies.get(position, events) == events


def stored_envelopes(place: Place) -> list[tuple[int, dict[str, Any]]]:
    events = place.events()
    stored = events.recorder.read(after=Position(0), upto=events.head(), limit=10_000)
    return [(one.position, json.loads(one.text)) for one in stored]


@contextmanager
def beside(*works: Callable[[threading.Event], object]) -> Iterator[None]:
    """Threads that work until the end of the block."""
    stop = threading.Event()
    with ThreadPoolExecutor(len(works)) as executor:
        threads = [executor.submit(work, stop) for work in works]
        try:
            yield
        finally:
            stop.set()
        for thread in threads:
            thread.result()


@contextmanager
def following_process(place: Place) -> Iterator[subprocess.Popen[str]]:
    follow = [sys.executable, "-m", "projections", "project", "--follow", *place.arguments]
    with subprocess.Popen(follow, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            assert process.stderr.readline() == "appointments: following; end with Ctrl-C\n"
            yield process
        finally:
            process.send_signal(signal.SIGINT)


def check_ended_well(follower: subprocess.Popen[str]) -> None:
    assert follower.poll() is None
    follower.send_signal(signal.SIGINT)
    out, complaints = follower.communicate(timeout=SECONDS_MAX)
    assert follower.returncode == 0, out
    assert "ERROR" not in complaints
    assert " INFO stopped " in complaints.splitlines()[-1]


@contextmanager
def reading_process(place: Place, folder: Path) -> Iterator[None]:
    """The campaigns' reader: it compares what it sees, page by page, with what it reads from the event store."""
    arguments = ["reader", "--name", "reader", "--folder", str(folder), "--db", place.url, "--seed", "1"]
    arguments += ["--schema", place.schema or "appointments"]
    process = start_module("tests.campaigns.workers", arguments, folder / "log")
    try:
        wait_until((folder / "reader.ready").exists)
        yield
    finally:
        process.terminate()
        status = process.wait(SECONDS_MAX)
    assert [one.read_text() for one in folder.glob("reader.[ef]*")] == []
    assert (status, (folder / "log").read_text()) == (0, "")


def test_while_all_work_at_once_every_answer_is_that_of_its_position_and_at_the_end_nothing_lags(
    durable_place: Place, tmp_path: Path
) -> None:
    lines, events, appends = list(sample_envelopes(800)), durable_place.events(), threading.Semaphore(0)
    events.append(lines[:300])
    durable_place.projector().catch_up()
    coming = iter(lines[300:])

    def feed(stop: threading.Event) -> None:
        while not stop.is_set():
            if appends.acquire(timeout=0.05):
                events.append(islice(coming, 4))

    shared, follower = durable_place.schedules(), durable_place.projector()
    watchers = [Watcher(shared), Watcher(shared), Watcher(durable_place.schedules())]
    with (
        following_process(durable_place) as another,
        reading_process(durable_place, tmp_path),
        beside(follower.follow, feed, *(one.watch for one in watchers)),
    ):
        for number in range(1, 7):
            if number % 3:
                rebuilt(durable_place, progress=lambda _: appends.release())
            else:
                rolled_back(durable_place)
        head = events.append(coming).position
        assert shared.talent(TALENT, at_least=head, timeout=SECONDS_MAX).lag == 0
        check_ended_well(another)
    stored = stored_envelopes(durable_place)
    assert len(stored) == len(lines)
    for watcher in watchers:
        watcher.check(stored)
    assert max(watchers[0].generations | watchers[1].generations | watchers[2].generations) > 2
    check_read_models(durable_place.url, durable_place.schema, [one for _, one in stored])


# Code of the old version asks for as long as it is answered, and prints how often and why no more.
OLD_READER = """
import sys
from domain.errors import VersionMismatch
from projections import Appointments
with Appointments.open(sys.argv[1], schema=sys.argv[2] or None) as appointments:
    schedules = appointments.schedules
    for asked in range(10**9):
        try:
            answer = schedules.talent("talent-1")
        except VersionMismatch as error:
            print(asked, error)
            break
        assert {one.title for one in answer} == {"before"}, answer
        assert len(answer) >= 20, answer
        if not asked:
            print("reading", flush=True)
"""


def read_after_an_upgrade(schedules: Schedules, stop: threading.Event) -> set[str]:
    """Asks until it is answered and further on; from the first answer on every one is whole and of the new fold."""
    refusals, answers = set(), 0
    while not stop.is_set() or not answers:
        try:
            answer = schedules.talent("talent-1")
        except VersionMismatch as error:
            refusals.add(str(error))
            assert not answers
        else:
            assert {one.title for one in answer} == {"AFTER"}
            assert len(answer) >= len(IDS)
            answers += 1
    return refusals


def test_a_new_version_of_the_fold_is_rebuilt_and_switched_to_under_readers_and_followers_of_both_versions(
    durable_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    project(durable_place, *(envelope(number, id=one, title="before") for number, one in enumerate(IDS, start=1)))
    coming = itertools.count(len(IDS) + 1)
    with (
        python(OLD_READER, durable_place.url, durable_place.schema or "") as old_reader,
        following_process(durable_place) as old_follower,
        ThreadPoolExecutor(2) as executor,
    ):
        assert line_of(old_reader) == "reading"
        upgrade(monkeypatch)
        stop, events = threading.Event(), durable_place.events()
        readers = [executor.submit(read_after_an_upgrade, durable_place.schedules(), stop) for _ in range(2)]

        def append_one(_: object) -> None:
            number = next(coming)
            events.append([as_json(envelope(number, id=f"id-{number}", title="before"))])

        try:
            rebuilt(durable_place, progress=append_one)
            out, complaints = old_follower.communicate(timeout=SECONDS_MAX)
            assert old_follower.returncode == 2, out
            assert [line.startswith("appointments: ") for line in complaints.splitlines()].count(True) == 1
            newer = "made by version 2 of the fold and this code knows version 1: upgrade this code"
            assert newer in complaints
            assert newer in line_of(old_reader)
            with beside(durable_place.projector().follow):
                append_one(None)
                newest = durable_place.schedules().talent("talent-1", at_least=events.head(), timeout=SECONDS_MAX)
        finally:
            stop.set()
        refusals = readers[0].result() | readers[1].result()
        assert all("run: appointments rebuild" in one for one in refusals)
    assert (newest.generation, len(newest)) == (2, next(coming) - 1)
