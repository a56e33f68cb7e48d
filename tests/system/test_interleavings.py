"""Moments between two steps, held open on purpose: what another process may do there changes nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import psycopg
import pytest

from domain import EventStore, read_envelope
from domain.envelope import Envelope
from domain.errors import StorageUnavailable
from domain.identifiers import Generation, Position
from domain.storage import open_database
from domain.storage.location import locate
from domain.topics import TOPIC
from projections import Appointments, Projector, RebuildReport
from projections.projector import project
from projections.stores import generations_of
from projections.stores.base import UnitOfWork
from projections.stores.generations import Partition
from tests.conftest import Place
from tests.support.builders import as_json, envelope

BLOCKED_SECONDS_MAX = 30.0


def envelopes(*event_ids: int) -> list[Envelope]:
    found = [read_envelope(one) for one in texts(*event_ids)]
    return [one for one in found if isinstance(one, Envelope)]


def texts(*event_ids: int) -> list[bytes]:
    return [as_json(envelope(one, id=f"a-{one}")) for one in event_ids]


def named(place: Place, name: str) -> str:
    """A URL whose connections can be told from others by name."""
    return f"{place.url}&application_name={name}"


def until_blocked(place: Place, name: str) -> None:
    """Returns when a connection of that name waits for a lock."""
    deadline = time.monotonic() + BLOCKED_SECONDS_MAX
    with psycopg.connect(place.url, autocommit=True) as connection:
        question = "SELECT 1 FROM pg_stat_activity WHERE application_name = %s AND wait_event_type = 'Lock'"
        while not connection.execute(question, (name,)).fetchall():
            assert time.monotonic() < deadline, f"{name} does not wait for a lock"
            time.sleep(0.01)


def beside() -> ThreadPoolExecutor:
    """One more thread to work in; at the end of its block it is waited for, after the blocks within have ended."""
    return ThreadPoolExecutor(1)


def read_all(events: EventStore, after: int = 0) -> list[tuple[int, int]]:
    found = events.recorder.read(after=Position(after), upto=events.head(), limit=100)
    return [(one.position, one.event_id) for one in found]


def append_named(place: Place, name: str, *event_ids: int) -> int:
    with Appointments.open(named(place, name), schema=place.schema) as appointments:
        events = appointments.events
        return events.append(texts(*event_ids)).appended


def test_a_tailing_reader_sees_nothing_of_a_writer_that_stalls_before_its_commit_and_misses_nothing_after(
    postgres_place: Place,
) -> None:
    stalled, tail = postgres_place.events(), postgres_place.events()
    projector, schedules = postgres_place.projector(), postgres_place.schedules()
    tail.append(texts(9))
    [(first, _)] = read_all(tail)
    with beside() as thread, stalled.recorder.appending() as append:
        append.insert(envelopes(1, 2), TOPIC)
        second = thread.submit(append_named, postgres_place, "second-writer", 3, 4)
        until_blocked(postgres_place, "second-writer")
        assert read_all(tail, first) == []
        assert projector.catch_up() == first
        assert schedules.talent("talent-1").lag == 0
    assert second.result() == 2
    seen = read_all(tail, first)
    assert [event_id for _, event_id in seen] == [1, 2, 3, 4]
    assert [position for position, _ in seen] == sorted(position for position, _ in seen)
    assert projector.catch_up() == seen[-1][0]
    assert [one.id for one in schedules.talent("talent-1")] == ["a-1", "a-2", "a-3", "a-4", "a-9"]


def test_a_writer_that_stalls_and_then_fails_leaves_a_gap_that_no_reader_falls_into(postgres_place: Place) -> None:
    stalled, tail = postgres_place.events(), postgres_place.events()
    stalled.install()
    with suppress(InterruptedError), beside() as thread, stalled.recorder.appending() as append:
        append.insert(envelopes(1, 2), TOPIC)
        second = thread.submit(append_named, postgres_place, "second-writer", 3)
        until_blocked(postgres_place, "second-writer")
        raise InterruptedError
    assert second.result() == 1
    [(position, event_id)] = read_all(tail)
    assert event_id == 3
    assert position > 2, "the failed writer's positions are not used again"
    assert postgres_place.projector().catch_up() == position
    assert postgres_place.appointments().verify().differences == []


def test_a_duplicate_that_waits_for_the_first_arrival_is_a_duplicate(postgres_place: Place) -> None:
    stalled = postgres_place.events()
    stalled.install()
    with beside() as thread, stalled.recorder.appending() as append:
        append.insert(envelopes(1), TOPIC)
        second = thread.submit(append_named, postgres_place, "second-writer", 1, 2)
        until_blocked(postgres_place, "second-writer")
    assert second.result() == 1
    assert [event_id for _, event_id in read_all(stalled)] == [1, 2]


def write_batch(work: UnitOfWork, upto: int) -> Position:
    batch = work.read(upto=Position(upto), limit=100)
    work.write(project(work, batch), batch[-1].position)
    return batch[-1].position


def terminate(place: Place, name: str) -> None:
    with psycopg.connect(place.url, autocommit=True) as connection:
        question = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s"
        assert connection.execute(question, (name,)).fetchall() == [(True,)]


def rebuild_named(place: Place, name: str) -> RebuildReport:
    with Appointments.open(named(place, name), schema=place.schema) as appointments:
        return appointments.rebuild()


def catch_up_named(place: Place, name: str, progress: Callable[[int, int], None] | None = None) -> Position:
    with Appointments.open(named(place, name), schema=place.schema) as appointments:
        projector = appointments.projector
        return projector.catch_up(progress=progress)


def test_of_two_projectors_at_the_position_row_the_second_goes_on_where_the_first_committed(
    postgres_place: Place,
) -> None:
    events, store = postgres_place.events(), postgres_place.store()
    postgres_place.projector()
    head = events.append(texts(1, 2, 3, 4)).position
    seen: list[int] = []
    with beside() as thread, store.unit_of_work() as work:
        second = thread.submit(catch_up_named, postgres_place, "second", lambda position, _: seen.append(position))
        until_blocked(postgres_place, "second")
        half = write_batch(work, 2)
        assert store.stamp().position == 0, "nothing of it is seen before the commit"
    assert (half, second.result()) == (2, head)
    assert seen == [head]
    assert [one.revision for one in postgres_place.schedules().talent("talent-1")] == [1, 1, 1, 1]
    assert postgres_place.appointments().verify().differences == []


def test_what_a_projector_wrote_without_committing_the_next_does_again(postgres_place: Place) -> None:
    events, store = postgres_place.events(), postgres_place.store()
    postgres_place.projector()
    head = events.append(texts(1, 2, 3)).position
    with suppress(InterruptedError), beside() as thread, store.unit_of_work() as work:
        write_batch(work, 3)
        second = thread.submit(catch_up_named, postgres_place, "second")
        until_blocked(postgres_place, "second")
        raise InterruptedError
    assert second.result() == head
    assert postgres_place.appointments().verify().differences == []


def test_a_projector_whose_connection_ends_before_its_commit_says_so_and_the_next_does_it_again(
    postgres_place: Place,
) -> None:
    events = postgres_place.events()
    postgres_place.projector()
    head = events.append(texts(1, 2, 3)).position
    first = Place("postgresql", named(postgres_place, "first"), postgres_place.schema, postgres_place.closing).store()
    with beside() as thread:
        with pytest.raises(StorageUnavailable, match="run it again"), first.unit_of_work() as work:  # noqa: PT012
            write_batch(work, 3)
            second = thread.submit(catch_up_named, postgres_place, "second")
            until_blocked(postgres_place, "second")
            terminate(postgres_place, "first")
        assert second.result() == head
    assert postgres_place.appointments().verify().differences == []


def test_a_switch_waits_for_the_projector_that_read_the_pointer_and_nothing_of_its_work_is_lost(
    postgres_place: Place,
) -> None:
    events, store = postgres_place.events(), postgres_place.store()
    events.append(texts(1, 2))
    postgres_place.projector().catch_up()
    head = events.append(texts(3, 4)).position
    with beside() as thread, store.unit_of_work() as work:
        assert work.generation == 1
        rebuilding = thread.submit(rebuild_named, postgres_place, "rebuild")
        until_blocked(postgres_place, "rebuild")
        assert store.catalogue().serving == 1
        assert write_batch(work, head) == head
    report = rebuilding.result()
    assert (report.generation, report.position) == (2, head)
    stamp = store.stamp()
    assert (stamp.generation, stamp.position) == (2, head)
    assert len(postgres_place.schedules().talent("talent-1")) == 4
    assert postgres_place.appointments().verify().differences == []


def test_a_projector_that_waits_for_a_switch_projects_to_the_generation_that_serves_after_it(
    postgres_place: Place,
) -> None:
    events, store = postgres_place.events(), postgres_place.store()
    events.append(texts(1, 2))
    postgres_place.projector().catch_up()
    database = open_database(locate(postgres_place.url, schema=postgres_place.schema))
    postgres_place.closing.callback(database.close)
    generations = generations_of(database)
    generation = generations.begin([Partition(1, None, None, Position(0))])
    generations.make_keys(generation)
    Projector(database, generation=generation).catch_up()
    head = events.append(texts(3)).position
    with beside() as thread, generations.switching(generation) as (work, _):
        projecting = thread.submit(catch_up_named, postgres_place, "projector")
        until_blocked(postgres_place, "projector")
        write_batch(work, head)
    assert projecting.result() == head
    catalogue = store.catalogue()
    assert catalogue.serving == generation
    assert {one.number: one.position for one in catalogue.generations} == {1: 2, generation: head}
    assert postgres_place.appointments().verify().differences == []


def test_a_generation_is_switched_and_dropped_under_a_reader_between_two_pages(place: Place) -> None:
    events, schedules = place.events(), place.schedules()
    events.append(as_json(envelope(one, id=f"a-{one:02}")) for one in range(1, 8))
    place.projector().catch_up()
    filters: dict[str, Any] = {"limit": 2}
    found: list[str] = []
    generations = []
    appointments = place.appointments()
    for disturb in (appointments.rebuild, appointments.rebuild, appointments.rollback, appointments.rebuild):
        page = schedules.talent("talent-1", **filters)
        found += [one.id for one in page]
        generations.append(page.generation)
        filters["after"] = page.next
        disturb()
    assert found == [f"a-{one:02}" for one in range(1, 8)]
    assert generations == [1, 2, 3, 2]
    assert page.next is None


def test_what_moves_between_two_pages_is_on_one_of_them_or_none_but_never_on_both(place: Place) -> None:
    events, schedules, projector = place.events(), place.schedules(), place.projector()
    events.append(
        as_json(envelope(one, id=f"a-{one}", startDate=f"2023-07-1{one}T09:00:00Z")) for one in (1, 2, 3, 4)
    )
    projector.catch_up()
    first = schedules.talent("talent-1", limit=2)
    events.append([as_json(envelope(9, id="a-9", startDate="2023-07-10T09:00:00Z")), *texts(8)])
    place.appointments().rebuild()
    second = schedules.talent("talent-1", limit=2, after=first.next)
    assert [one.id for one in [*first, *second]] == ["a-1", "a-2", "a-3", "a-4"]


def test_an_append_between_the_read_and_the_wait_ends_the_wait_at_once(place: Place) -> None:
    events, projector = place.events(), place.projector()
    events.append(texts(1))
    with events.recorder.waiter() as wait:
        for event_id in (2, 3):
            projector.catch_up()
            with Appointments.open(place.url, schema=place.schema) as appointments:
                other = appointments.events
                other.append(texts(event_id))
            assert seconds_of(lambda: wait(threading.Event(), BLOCKED_SECONDS_MAX)) < BLOCKED_SECONDS_MAX / 2


def test_a_projection_between_the_question_and_the_wait_ends_the_wait_at_once(place: Place) -> None:
    events, projector, store = place.events(), place.projector(), place.store()
    with store.waiter() as wait:
        assert store.stamp().position == 0
        events.append(texts(1))
        projector.catch_up()
        assert seconds_of(lambda: wait(threading.Event(), BLOCKED_SECONDS_MAX)) < BLOCKED_SECONDS_MAX / 2


def test_a_wait_ends_when_a_stalled_writer_commits_and_not_before(postgres_place: Place) -> None:
    events = postgres_place.events()
    events.install()
    with events.recorder.waiter() as wait:
        with postgres_place.events().recorder.appending() as append:
            append.insert(envelopes(1), TOPIC)
            wait(threading.Event(), 0.3)
            assert events.head() == 0
        assert seconds_of(lambda: wait(threading.Event(), BLOCKED_SECONDS_MAX)) < BLOCKED_SECONDS_MAX / 2
    assert events.head() == 1


def seconds_of(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def test_two_installations_at_once_make_one(postgres_place: Place) -> None:
    with ThreadPoolExecutor(4) as executor:
        for future in [executor.submit(catch_up_named, postgres_place, f"p-{one}") for one in range(4)]:
            assert future.result() == 0
    assert postgres_place.store().catalogue().serving == Generation(1)
