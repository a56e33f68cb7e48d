"""The one object that users open: its connections, its timeouts, threads, forks, and its end."""

from __future__ import annotations

import math
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import psycopg
import pytest

from domain import Position, ReadModelBehind, StorageError, StorageUnavailable, UsageError
from projections import Appointments, Difference, Verification
from tests.conftest import Place
from tests.support.builders import as_json, envelope

SECONDS_MAX = 60

CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
LISTENERS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND query LIKE '%%LISTEN%%'"


def append(appointments: Appointments, *event_ids: int) -> None:
    appointments.events.append(as_json(envelope(one, id=f"a-{one}")) for one in event_ids)


@contextmanager
def following(appointments: Appointments, *stop: threading.Event) -> Iterator[Future[Position | None]]:
    """A follower in a thread of its own, which ends with the block."""
    appointments.install()
    with ThreadPoolExecutor(1) as executor:
        follower = executor.submit(appointments.projector.follow, *stop)
        try:
            yield follower
        finally:
            appointments.close()


def named(place: Place) -> tuple[Place, str]:
    """The place through connections that the server knows by a name."""
    name = f"object_{place.schema}"
    return replace(place, url=f"{place.url}&application_name={name}"), name


def counted(question: str, name: str, place: Place) -> int:
    with psycopg.connect(place.url, autocommit=True) as operator:
        [[count]] = operator.execute(question, (name,)).fetchall()
        return int(count)


def test_opening_connects_to_nothing() -> None:
    with Appointments.open("postgresql://nobody@localhost:1/nowhere") as appointments:
        assert "localhost:1/nowhere" in repr(appointments)
        with pytest.raises(StorageUnavailable, match="cannot connect"):
            appointments.schedules.talent("talent-1")


def test_appending_projecting_and_asking_in_turn_share_one_connection(postgres_place: Place) -> None:
    place, name = named(postgres_place)
    appointments = place.appointments()
    append(appointments, 1, 2)
    appointments.projector.catch_up()
    assert len(appointments.schedules.talent("talent-1")) == 2
    assert len(appointments.schedules.history("a-1").revisions) == 1
    assert appointments.status().appointments == 2
    assert counted(CONNECTIONS, name, postgres_place) == 1


def test_a_follower_and_those_who_wait_for_it_share_one_listening_connection(postgres_place: Place) -> None:
    place, name = named(postgres_place)
    appointments = place.appointments()
    append(appointments, 1)
    with following(appointments), ThreadPoolExecutor(3) as executor:
        ask = partial(appointments.schedules.talent, "talent-1", at_least=2, timeout=SECONDS_MAX)
        waiters = [executor.submit(ask) for _ in range(3)]
        while not counted(LISTENERS, name, postgres_place):
            pass
        assert counted(LISTENERS, name, postgres_place) == 1
        append(appointments, 2)
        assert [len(one.result(SECONDS_MAX)) for one in waiters] == [2, 2, 2]


def test_many_threads_append_project_and_ask_through_one_object(place: Place) -> None:
    appointments = place.appointments()
    append(appointments, 1)
    appointments.projector.catch_up()

    def use(number: int) -> None:
        append(appointments, *range(number, number + 5))
        appointments.projector.catch_up()
        asked = appointments.schedules.talent("talent-1")
        assert {f"a-{one}" for one in range(number, number + 5)} <= {one.id for one in asked}

    with ThreadPoolExecutor(8) as executor:
        for used in [executor.submit(use, number) for number in range(100, 180, 5)]:
            used.result(SECONDS_MAX)
    assert len(appointments.schedules.talent("talent-1")) == 81
    assert appointments.verify().differences == []


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12 dislikes what others do all the same
def test_an_object_that_was_in_use_goes_on_in_a_forked_child_and_in_its_parent(durable_place: Place) -> None:
    appointments = durable_place.appointments()
    append(appointments, 1)
    appointments.projector.catch_up()
    assert len(appointments.schedules.talent("talent-1", at_least=1)) == 1

    def use() -> None:
        append(appointments, 2)
        appointments.projector.catch_up()
        count = len(appointments.schedules.talent("talent-1", at_least=2))
        appointments.close()
        os._exit(count)

    child = multiprocessing.get_context("fork").Process(target=use)
    child.start()
    child.join(SECONDS_MAX)
    assert child.exitcode == 2
    append(appointments, 3)
    appointments.projector.catch_up()
    assert len(appointments.schedules.talent("talent-1")) == 3


def test_a_follower_without_an_argument_ends_when_its_object_is_closed(place: Place) -> None:
    appointments, another = place.appointments(), place.appointments()
    with following(appointments) as follower:
        append(another, 1, 2)
        assert len(another.schedules.talent("talent-1", at_least=2, timeout=SECONDS_MAX)) == 2
        appointments.close()
        assert (follower.result(SECONDS_MAX) or 0) <= 2


@pytest.mark.parametrize("ends", ["stop", "close"])
def test_a_follower_with_a_stop_ends_with_whichever_comes_first(place: Place, ends: str) -> None:
    appointments, another, stop = place.appointments(), place.appointments(), threading.Event()
    with following(appointments, stop) as follower:
        append(another, 1)
        assert len(another.schedules.talent("talent-1", at_least=1, timeout=SECONDS_MAX)) == 1
        if ends == "stop":
            stop.set()
        else:
            appointments.close()
        assert (follower.result(SECONDS_MAX) or 0) <= 1


USES: dict[str, Callable[[Appointments], Any]] = {
    "append": lambda it: it.events.append([as_json(envelope(9))]),
    "append nothing": lambda it: it.events.append([]),
    "count": lambda it: it.events.count(),
    "events.history": lambda it: it.events.history("a-1"),
    "quarantine": lambda it: len(it.events.quarantine),
    "catch_up": lambda it: it.projector.catch_up(),
    "follow": lambda it: it.projector.follow(),
    "talent": lambda it: it.schedules.talent("talent-1"),
    "talent at least": lambda it: it.schedules.talent("talent-1", at_least=99),
    "talent as of": lambda it: it.schedules.talent("talent-1", as_of=it.schedules.appointment("a-1").created_at),
    "appointment": lambda it: it.schedules.appointment("a-1"),
    "talents": lambda it: it.schedules.talents(),
    "changes": lambda it: it.schedules.changes(talent_id="talent-1"),
    "history": lambda it: it.schedules.history("a-1"),
    "count of appointments": lambda it: it.schedules.count(),
    "status": lambda it: it.status(),
    "verify": lambda it: it.verify(),
    "rebuild": lambda it: it.rebuild(),
    "rollback": lambda it: it.rollback(),
    "drop_old_generations": lambda it: it.drop_old_generations(),
}


def outcome_of(use: Callable[[Appointments], Any], appointments: Appointments) -> str:
    try:
        use(appointments)
    except StorageError as error:
        return "closed" if "closed here" in str(error) else str(error)
    return "done"


def test_every_use_after_close_says_that_it_was_closed_and_closing_again_is_harmless(place: Place) -> None:
    appointments, another = place.appointments(), place.appointments()
    append(appointments, 1)
    appointments.projector.catch_up()
    for _ in range(3):
        appointments.close()
    assert {name: outcome_of(use, appointments) for name, use in USES.items()} == dict.fromkeys(USES, "closed")
    append(another, 2)
    another.projector.catch_up()
    assert len(another.schedules.talent("talent-1")) == 2


def test_the_timeout_of_the_object_is_that_of_every_question_which_has_none_of_its_own(place: Place) -> None:
    with Appointments.open(place.url, schema=place.schema, timeout=0.125) as appointments:
        append(appointments, 1)
        appointments.projector.catch_up()
        schedules = appointments.schedules
        for ask in (
            lambda: schedules.talent("talent-1", at_least=2),
            lambda: schedules.appointment("a-1", at_least=2),
            lambda: schedules.changes(coach_id="coach-1", at_least=2),
            lambda: schedules.figures(coach_id="coach-1", at_least=2),
            lambda: schedules.coaches(at_least=2),
        ):
            with pytest.raises(ReadModelBehind) as caught:
                ask()
            assert caught.value.seconds == 0.125
        with pytest.raises(ReadModelBehind) as caught:
            schedules.talent("talent-1", at_least=2, timeout=0.25)
        assert caught.value.seconds == 0.25


def test_the_timeout_of_the_object_goes_before_the_one_in_its_url(postgres_place: Place) -> None:
    url, schema = f"{postgres_place.url}&timeout=0.125", postgres_place.schema
    append(postgres_place.appointments(), 1)
    postgres_place.appointments().projector.catch_up()
    for given, expected in ((None, 0.125), (0.25, 0.25)):
        with (
            Appointments.open(url, schema=schema, timeout=given) as appointments,
            pytest.raises(ReadModelBehind) as caught,
        ):
            appointments.schedules.talent("talent-1", at_least=2)
        assert caught.value.seconds == expected


def test_a_timeout_that_makes_no_sense_opens_nothing() -> None:
    for senseless in (-1, math.nan, math.inf, 86_401):
        with pytest.raises(UsageError, match="timeout: expected 0 to 86,400 seconds"):
            Appointments.open("memory:senseless", timeout=senseless)
    for wrong in ("5", True):
        with pytest.raises(TypeError, match="timeout: expected a number of seconds"):
            Appointments.open("memory:senseless", timeout=wrong)  # type: ignore[arg-type]


def test_what_an_object_found_is_shown_in_words(memory_place: Place) -> None:
    appointments = memory_place.appointments()
    append(appointments, 1, 2)
    appointments.projector.catch_up()
    verified = appointments.verify()
    assert repr(verified) == "<Verification: 2 appointments checked, no difference>"
    difference = Difference("appointment", "a-1", None, "title", "old", "new")
    shown = repr(Verification(2, [difference]))
    assert shown == f"<Verification: 2 appointments checked, 1 difference, the first: {difference}>"
    status = appointments.status()
    assert (status.events, status.appointments, status.position, status.lag) == (2, 2, 2, 0)
    assert repr(status).startswith("InstallationStatus(events=2, position=2, lag=0, generation=1, appointments=2")
