"""The projector: from the event store to rows, once, one projector at a time, and not past what it cannot fold."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest
from eventsourcing.persistence import StoredEvent

from domain.errors import PoisonEvent, VersionMismatch
from domain.identifiers import EventId, Position
from domain.input.files import open_input
from domain.storage.memory.database import MemoryDatabase
from domain.topics import TOPIC
from projections import Appointments, Projector
from projections import projector as projector_module
from projections.cli.sample import sample_envelopes
from projections.rows import Side
from projections.stores.base import ChangesQuery
from tests.conftest import Place, patch_batches
from tests.support.builders import as_json, as_lines, envelope
from tests.support.generations import position
from tests.support.readmodels import check_read_models
from tests.support.rebuilding import set_fold_version

SECONDS_MAX = 10

CATCH_UP = """
import sys
from projections import Appointments
from projections.stores.postgres.unit_of_work import PostgresUnitOfWork
from projections.stores.sqlite.unit_of_work import SQLiteUnitOfWork
SQLiteUnitOfWork.batch_events = PostgresUnitOfWork.batch_events = 20
with Appointments.open(sys.argv[1], schema=sys.argv[2] or None) as appointments:
    one = appointments.projector
    print("ready", flush=True)
    input()
    print(one.catch_up())
"""
APPEND = """
import sys
from projections import Appointments
with Appointments.open(sys.argv[1], schema=sys.argv[2] or None) as appointments:
    events = appointments.events
    print(events.append(sys.argv[3:]).position)
"""


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    patch_batches(monkeypatch, 3)


def append(place: Place, *envelopes: dict[str, Any]) -> Position:
    return place.events().append(as_json(one) for one in envelopes).position


def append_many(place: Place, numbers: range) -> Position:
    return append(place, *(envelope(number, id=f"a-{number}") for number in numbers))


def ids(place: Place) -> list[str]:
    return sorted(one.id for one in place.schedules().talent("talent-1"))


def positions(place: Place, side: Side, owner_id: str) -> dict[str, tuple[int, bool]]:
    """The rows of a schedule: position, and whether it is a tombstone."""
    _, changed = place.store().changes(ChangesQuery(side, owner_id, Position(0)))
    return {one.appointment_id: (one.position, one.row.body is None) for one in changed}


def execute(place: Place, statement: str, *parameters: object) -> None:
    """Runs SQL behind the product's back; `?` stands for a parameter on either database."""
    if place.backend == "sqlite":
        with closing(sqlite3.connect(place.url.removeprefix("sqlite:///"))) as file, file:
            file.execute(statement, parameters)
    else:
        with psycopg.connect(place.url, autocommit=True) as connection:
            connection.execute("SELECT set_config('search_path', %s, false)", (place.schema,))
            connection.execute(statement.replace("?", "%s").encode(), parameters)


@contextmanager
def memory_of(place: Place) -> Iterator[MemoryDatabase]:
    with closing(MemoryDatabase(place.url.removeprefix("memory:"))) as database:
        yield database


def store_unchecked(place: Place, event_id: int, appointment_id: str, topic: str, text: bytes) -> Position:
    """Stores an event as no append would."""
    if place.backend == "memory":
        with memory_of(place) as database:
            [position] = (
                database.contents.events.insert_events([StoredEvent(appointment_id, event_id, topic, text)]) or []
            )
            database.contents.positions[EventId(event_id)] = Position(position)
    else:
        columns = "originator_id, originator_version, topic, state"
        values = (appointment_id, event_id, topic, text)
        execute(place, f"INSERT INTO stored_events ({columns}) VALUES (?, ?, ?, ?)", *values)
    return place.events().head()


def run(place: Place, script: str, *arguments: str) -> str:
    command = [sys.executable, "-c", script, place.url, place.schema or "", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def test_an_envelope_goes_from_its_file_to_both_schedules(place: Place, tmp_path: Path) -> None:
    (tmp_path / "envelopes.jsonl").write_bytes(as_lines([envelope(17, at="2023-07-02T00:00:17Z", title="Bilan")]))
    with open_input(str(tmp_path / "envelopes.jsonl")) as source:
        assert place.events().append(source.items()).appended == 1
    assert place.projector().catch_up() == 1
    schedules = place.schedules()
    [of_talent] = schedules.talent("talent-1")
    [of_coach] = schedules.coach("coach-1")
    assert of_talent == of_coach
    assert (of_talent.title, of_talent.event_id, of_talent.revision, of_talent.irregular) == ("Bilan", 17, 1, False)


def test_catching_up_returns_the_position_reached(place: Place) -> None:
    projector = place.projector()
    assert projector.catch_up() == 0
    append_many(place, range(1, 4))
    assert projector.catch_up() == 3
    assert projector.catch_up() == 3
    assert place.schedules().stamp().lag == 0


@pytest.mark.usefixtures("small_batches")
def test_each_batch_is_bounded_committed_and_told(place: Place) -> None:
    append_many(place, range(1, 9))
    told: list[tuple[int, int]] = []
    store = place.store()

    def progress(position: Position, goal: Position) -> None:
        told.append((position, goal))
        assert store.stamp().position == position

    assert place.projector().catch_up(progress=progress) == 8
    assert told == [(3, 8), (6, 8), (8, 8)]


@pytest.mark.usefixtures("small_batches")
def test_what_arrives_meanwhile_is_left_to_the_next_call(place: Place) -> None:
    append_many(place, range(1, 6))
    projector = place.projector()

    def progress(position: Position, _goal: Position) -> None:
        append_many(place, range(50 + position, 52 + position))

    assert projector.catch_up(progress=progress) == 5
    assert len(ids(place)) == 5
    assert projector.catch_up() == 9


@pytest.mark.usefixtures("small_batches")
def test_a_projector_can_stop_at_a_position(place: Place) -> None:
    append_many(place, range(1, 9))
    projector = place.projector()
    assert projector.catch_up(upto=Position(5)) == 5
    assert ids(place) == [f"a-{number}" for number in range(1, 6)]
    assert projector.catch_up(upto=Position(2)) == 5
    assert projector.catch_up(upto=Position(99)) == 8


def test_a_late_envelope_counts_and_does_not_undo_a_newer_one(place: Place) -> None:
    projector, schedules = place.projector(), place.schedules()
    append(place, envelope(1), envelope(9, status="CANCELED", canceledBy="COACH"))
    projector.catch_up()
    append(place, envelope(5, startDate=None))
    projector.catch_up()
    appointment = schedules.appointment("appointment-1")
    assert (appointment.status, appointment.event_id, appointment.revision) == ("CANCELED", 9, 3)
    assert (appointment.reschedules, appointment.start_date is None) == (2, False)
    assert appointment.position == 3


def test_a_move_leaves_a_tombstone_and_every_change_moves_all_of_them(place: Place) -> None:
    projector = place.projector()
    append(place, envelope(1), envelope(2, talentId="talent-2"), envelope(3, talentId="talent-2", coachId="coach-2"))
    projector.catch_up()
    assert positions(place, Side.TALENT, "talent-1") == {"appointment-1": (3, True)}
    assert positions(place, Side.TALENT, "talent-2") == {"appointment-1": (3, False)}
    assert positions(place, Side.COACH, "coach-1") == {"appointment-1": (3, True)}
    append_many(place, range(10, 12))
    append(place, envelope(4, talentId="talent-1", coachId="coach-2"))
    projector.catch_up()
    assert positions(place, Side.TALENT, "talent-1")["appointment-1"] == (6, False)
    assert positions(place, Side.TALENT, "talent-2") == {"appointment-1": (6, True)}
    assert positions(place, Side.COACH, "coach-1")["appointment-1"] == (6, True)
    assert positions(place, Side.COACH, "coach-2") == {"appointment-1": (6, False)}


def test_a_late_move_leaves_a_tombstone_with_whom_nobody_had_seen_it(place: Place) -> None:
    projector = place.projector()
    append(place, envelope(5))
    projector.catch_up()
    append(place, envelope(2, talentId="talent-2"))
    projector.catch_up()
    assert positions(place, Side.TALENT, "talent-1") == {"appointment-1": (2, False)}
    assert positions(place, Side.TALENT, "talent-2") == {"appointment-1": (2, True)}


def shuffled_sample(count: int) -> list[str]:
    lines = [*sample_envelopes(count), *sample_envelopes(count // 5)]
    Random(count).shuffle(lines)
    return lines


@pytest.mark.usefixtures("small_batches")
def test_projectors_in_threads_take_turns_and_nothing_counts_twice(place: Place) -> None:
    lines = shuffled_sample(200)
    head = place.events().append(lines).position
    projectors = [place.projector() for _ in range(3)]
    together = threading.Barrier(3)

    def catch_up(projector: Projector) -> Position:
        together.wait(SECONDS_MAX)
        return projector.catch_up()

    with ThreadPoolExecutor(3) as executor:
        assert list(executor.map(catch_up, projectors, timeout=60)) == [head] * 3
    check_read_models(place.url, place.schema, map(json.loads, lines))


def test_projectors_in_processes_take_turns_and_nothing_counts_twice(durable_place: Place) -> None:
    lines = shuffled_sample(800)
    head = durable_place.events().append(lines).position
    command = [sys.executable, "-c", CATCH_UP, durable_place.url, durable_place.schema or ""]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        assert [process.communicate(timeout=60)[0] for process in processes] == [f"{head}\n"] * 3
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    check_read_models(durable_place.url, durable_place.schema, map(json.loads, lines))


POISONS = {
    "not JSON": (TOPIC, b"\x00\xff", "appointment-1"),
    "no envelope": (TOPIC, b"{}", "appointment-1"),
    "no status we know": (TOPIC, as_json(envelope(50, status="POSTPONED")), "appointment-1"),
    "no time": (TOPIC, as_json(envelope(50, startDate="soon")), "appointment-1"),
    "another appointment": (TOPIC, as_json(envelope(50, id="a")), "appointment-1"),
    "another id": (TOPIC, as_json(envelope(51)), "appointment-1"),
    "an unknown topic": ("VCSessionScheduledEvent.v2", as_json(envelope(50)), "appointment-1"),
    "a new appointment": (TOPIC, b"[]", "a-50"),
}


@pytest.mark.parametrize("kind", POISONS)
@pytest.mark.usefixtures("small_batches")
def test_the_projector_stops_in_front_of_what_it_cannot_fold(place: Place, kind: str) -> None:
    topic, text, appointment_id = POISONS[kind]
    append(place, envelope(1))
    append_many(place, range(2, 5))
    before = place.events().head()
    position = store_unchecked(place, 50, appointment_id, topic, text)
    append_many(place, range(60, 63))
    projector = place.projector()
    for _ in range(2):
        with pytest.raises(PoisonEvent, match=f"position {position} .*{appointment_id}.* 50") as caught:
            projector.catch_up()
        error = caught.value
        assert (error.position, error.appointment_id, error.event_id) == (position, appointment_id, 50)
        assert len(str(error).splitlines()) == 1
        assert place.schedules().stamp().position == before
        assert ids(place) == ["a-2", "a-3", "a-4", "appointment-1"]
    with pytest.raises(PoisonEvent):
        projector.follow(threading.Event())


def test_of_several_poison_events_in_one_batch_the_first_one_stops_the_projector(place: Place) -> None:
    append(place, envelope(1))
    position = store_unchecked(place, 50, "a-50", TOPIC, b"{}")
    append_many(place, range(2, 4))
    store_unchecked(place, 51, "appointment-1", TOPIC, b"{}")
    with pytest.raises(PoisonEvent, match=f"position {position} .*a-50.* 50"):
        place.projector().catch_up()
    assert place.schedules().stamp().position == position - 1
    assert ids(place) == ["appointment-1"]


def test_the_projector_goes_on_once_the_poison_is_mended(durable_place: Place) -> None:
    append_many(durable_place, range(1, 3))
    store_unchecked(durable_place, 50, "a-50", TOPIC, b"{}")
    append_many(durable_place, range(60, 62))
    projector = durable_place.projector()
    with pytest.raises(PoisonEvent):
        projector.catch_up()
    mended = as_json(envelope(50, id="a-50"))
    execute(durable_place, "UPDATE stored_events SET state = ? WHERE originator_version = ?", mended, 50)
    assert projector.catch_up() == 5
    assert ids(durable_place) == ["a-1", "a-2", "a-50", "a-60", "a-61"]


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (0, r"version 0 of the fold and this code knows version \d+; run: appointments rebuild$"),
        (999, r"version 999 of the fold and this code knows version \d+: upgrade this code$"),
    ],
)
def test_a_generation_of_another_fold_is_refused_saying_what_mends_it(
    place: Place, version: int, message: str
) -> None:
    append(place, envelope(1))
    projector, schedules = place.projector(), place.schedules()
    projector.catch_up()
    set_fold_version(place, 1, version)
    with pytest.raises(VersionMismatch, match=message):
        projector.catch_up()
    append(place, envelope(2))
    with pytest.raises(VersionMismatch, match=message):
        projector.catch_up()
    for ask in (
        lambda: schedules.talent("talent-1"),
        lambda: schedules.talent("talent-1", at_least=2),
        lambda: schedules.coach("nobody", limit=3),
        lambda: schedules.appointment("appointment-1"),
        schedules.talents,
        lambda: schedules.changes(talent_id="talent-1"),
    ):
        with pytest.raises(VersionMismatch, match=message):
            ask()
    assert position(place, 1) == 1


@contextmanager
def following(projector: Projector) -> Iterator[None]:
    """Follows in another thread; at the end it has to stop in time."""
    stop = threading.Event()
    with ThreadPoolExecutor(1) as executor:
        following = executor.submit(projector.follow, stop)
        try:
            yield
        finally:
            stop.set()
            following.result(SECONDS_MAX)


@pytest.fixture
def no_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that only a wake-up can wake the follower."""
    monkeypatch.setattr(projector_module, "POLL_SECONDS", 3600.0)


@pytest.mark.usefixtures("no_polling")
def test_a_follower_sees_what_is_appended_and_ends_when_it_is_told(place: Place) -> None:
    schedules = place.schedules()
    with following(place.projector()):
        for number in range(1, 6):
            position = append(place, envelope(number))
            assert schedules.talent("talent-1", at_least=position, timeout=SECONDS_MAX)[0].revision == number


@pytest.mark.usefixtures("no_polling")
def test_a_follower_sees_what_another_process_appends(durable_place: Place) -> None:
    projector, schedules = durable_place.projector(), durable_place.schedules()
    with following(projector):
        for number in (1, 2):
            position = int(run(durable_place, APPEND, as_json(envelope(number)).decode()))
            schedule = schedules.talent("talent-1", at_least=position, timeout=SECONDS_MAX)
            assert schedule[0].revision == number


@pytest.mark.usefixtures("no_polling")
def test_a_follower_that_was_told_to_end_does_nothing(place: Place) -> None:
    append(place, envelope(1))
    stop = threading.Event()
    stop.set()
    place.projector().follow(stop)
    assert place.store().stamp().position == 0


@pytest.mark.usefixtures("small_batches")
def test_a_follower_with_much_to_do_ends_after_a_batch_when_it_is_told(place: Place) -> None:
    append_many(place, range(1, 9))
    stop = threading.Event()
    place.projector().follow(stop, progress=lambda *_: stop.set())
    assert place.store().stamp().position == 3


def test_a_follower_creates_what_is_missing(durable_place: Place) -> None:
    stop = threading.Event()
    end = threading.Timer(0.3, stop.set)
    with Appointments.open(durable_place.url, schema=durable_place.schema) as appointments:
        projector = appointments.projector
        end.start()
        projector.follow(stop)
        end.join()
    assert durable_place.schedules().talent("talent-1").to_json()["position"] == 0


def test_an_idle_follower_uses_next_to_no_processor_time(place: Place) -> None:
    position = append(place, envelope(1))
    schedules = place.schedules()
    with following(place.projector()):
        schedules.talents(at_least=position, timeout=SECONDS_MAX)
        before = time.process_time()
        threading.Event().wait(1.0)
        assert time.process_time() - before < 0.5


def test_a_follower_goes_on_after_all_its_connections_were_cut(
    postgres_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projector_module, "POLL_SECONDS", 0.2)
    name = f"follower_{postgres_place.schema}"
    schedules = postgres_place.schedules()
    postgres_place.projector()
    cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = %s"
    with (
        Appointments.open(
            f"{postgres_place.url}&application_name={name}", schema=postgres_place.schema
        ) as appointments,
        following(appointments.projector),
        psycopg.connect(postgres_place.url, autocommit=True) as connection,
    ):
        for number in (1, 2, 3):
            position = append(postgres_place, envelope(number))
            schedules.talents(at_least=position, timeout=SECONDS_MAX)
            [cut_off] = connection.execute(cut, (name,)).fetchone() or [0]
            assert cut_off >= 1
        position = append(postgres_place, envelope(4))
        schedule = schedules.talent("talent-1", at_least=position, timeout=SECONDS_MAX)
        assert schedule[0].revision == 4
