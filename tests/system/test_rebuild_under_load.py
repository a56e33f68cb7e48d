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
from contextlib import contextmanager, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

from domain.identifiers import Position
from projections import Schedules
from projections.cli.sample import sample_envelopes
from tests.campaigns.processes import start_module
from tests.conftest import Place
from tests.support.builders import as_json, envelope
from tests.support.generations import SECONDS_MAX, TALENT, execute, generations, line_of, python, wait_until
from tests.support.readmodels import check_read_models
from tests.support.rebuilding import newer_code, project, rebuilt, rolled_back
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


# Asks again and again, as code of one version, until its input ends. Code of a newer version is refused until it has
# been rebuilt for; from its first answer on it is always answered: by the whole schedule, as its own fold makes it.
READER = """
import sys, threading
from domain.errors import NotRebuilt
from projections import Appointments
from tests.support.newer_fold import become_newer
url, schema, title = sys.argv[1], sys.argv[2] or None, sys.argv[3]
if title == "AFTER":
    become_newer()
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set())).start()
with Appointments.open(url, schema=schema) as appointments:
    schedules, asked, found = appointments.schedules, 0, 20
    while not (stop.is_set() and asked):
        try:
            answer = schedules.talent("talent-1")
        except NotRebuilt:
            assert not asked, "refused after it was answered"
            stop.wait(0.05)
            continue
        assert {one.title for one in answer} == {title}, answer
        assert found <= len(answer) == answer.position, (found, answer)
        found = len(answer)
        if not asked:
            print("answered", flush=True)
        asked += 1
    print(asked, found)
"""

# `project --follow` of the newer version.
NEWER_FOLLOWER = """
import sys
from projections.cli.app import main
from tests.support.newer_fold import become_newer
become_newer()
main()
"""


def ended(reader: subprocess.Popen[str]) -> int:
    """How many appointments its last answer had."""
    out, complaints = reader.communicate(timeout=SECONDS_MAX)
    assert (reader.returncode, complaints) == (0, "")
    return int(out.split()[-1])


def test_readers_and_followers_of_two_versions_work_side_by_side_before_during_and_after_the_rebuild_by_the_newer(
    durable_place: Place,
) -> None:
    project(durable_place, *(envelope(number, id=one, title="before") for number, one in enumerate(IDS, start=1)))
    events, coming = durable_place.events(), itertools.count(len(IDS) + 1)
    place = (durable_place.url, durable_place.schema or "")

    def append_one(_: object = None) -> int:
        number = next(coming)
        return events.append([as_json(envelope(number, id=f"id-{number}", title="before"))]).position

    with (
        python(READER, *place, "before") as old_reader,
        python(READER, *place, "AFTER") as newer_reader,
        following_process(durable_place) as old_follower,
        python(NEWER_FOLLOWER, "project", "--follow", *durable_place.arguments) as newer_follower,
    ):
        assert newer_follower.stderr is not None
        assert newer_follower.stderr.readline() == "appointments: following; end with Ctrl-C\n"
        assert line_of(old_reader) == "answered"
        append_one()
        with newer_code():
            rebuilt(durable_place, progress=append_one)
        assert line_of(newer_reader) == "answered"
        head = append_one()
        assert durable_place.schedules().talent("talent-1", at_least=head, timeout=SECONDS_MAX).generation == 1
        with newer_code():
            newest = durable_place.schedules().talent("talent-1", at_least=head, timeout=SECONDS_MAX)
            assert newest.generation == 2
        rebuilt(durable_place, progress=append_one)
        rolled_back(durable_place)
        with newer_code():
            assert durable_place.schedules().talent("talent-1").generation == 2
        head = append_one()
        for code in (nullcontext(), newer_code()):
            with code:
                durable_place.schedules().talent("talent-1", at_least=head, timeout=SECONDS_MAX)
        assert (ended(old_reader), ended(newer_reader)) == (head, head)
        check_ended_well(old_follower)
        check_ended_well(newer_follower)


def test_a_follower_that_waits_for_a_rebuild_ends_well_when_it_is_asked_to(durable_place: Place) -> None:
    project(durable_place, envelope(1))
    with python(NEWER_FOLLOWER, "project", "--follow", "--json", *durable_place.arguments) as follower:
        assert follower.stderr is not None
        while " WARNING waiting " not in (line := follower.stderr.readline()):
            assert line
        follower.send_signal(signal.SIGTERM)
        out, complaints = follower.communicate(timeout=SECONDS_MAX)
    assert (follower.returncode, json.loads(out)) == (0, {"position": None}), complaints
