"""The questions of `Schedules`: filters, windows, pages, what is refused, and what every answer is true of."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from domain import Status
from domain.errors import AppointmentNotFound, NotInstalled, ReadModelBehind, UsageError
from projections import Schedule, Schedules
from projections.cli.app import run
from projections.queries.filters import Filters
from tests.conftest import Place
from tests.support.builders import as_json, envelope
from tests.support.reference import as_plain, expected_schedule

SECONDS_MAX = 10


def project(place: Place, *envelopes: dict[str, Any]) -> Schedules:
    place.events().append(as_json(one) for one in envelopes)
    place.projector().catch_up()
    return place.schedules()


def at(hour: float) -> datetime:
    """A time of 10 July 2023."""
    return datetime(2023, 7, 10, tzinfo=UTC) + timedelta(hours=hour)


def text(hour: float | None) -> str | None:
    return None if hour is None else at(hour).isoformat()


def ids(answer: Schedule) -> str:
    """One-letter ids in their order."""
    return "".join(one.id for one in answer)


# What each appointment of DAY is about is its name.
SPANS: dict[str, tuple[float | None, float | None]] = {
    "a": (8, 9),
    "b": (9, 10),
    "c": (9, 9),  # no length
    "d": (9, None),  # no end
    "e": (9, 8),  # ends before it starts
    "f": (8, 12),
    "g": (10, 11),
    "h": (11, 12),
    "u": (None, None),
    "v": (None, 9),
}
DAY = [
    envelope(number, id=one, startDate=text(start), endDate=text(end))
    for number, (one, (start, end)) in enumerate(SPANS.items(), start=1)
]


WINDOWS: list[tuple[Filters, str]] = [
    ({}, "afbcdeghuv"),
    ({"start": at(9)}, "fbcdegh"),  # under way at FROM is in; what ends at FROM is out, unless it starts there
    ({"end": at(9)}, "af"),  # what starts at TO is out
    ({"start": at(9), "end": at(10)}, "fbcde"),
    ({"start": at(9), "end": at(9)}, "f"),
    ({"start": at(9.5), "end": at(9.5)}, "fb"),
    ({"start": at(9.5), "end": at(10)}, "fb"),
    ({"start": at(12)}, ""),
    ({"end": at(8)}, ""),
    ({"start": at(11), "end": at(99)}, "fh"),
    ({"upcoming": True, "now": at(9)}, "fbcdegh"),
    ({"past": True, "now": at(9)}, "a"),
    ({"upcoming": True, "now": at(9) + timedelta(milliseconds=1)}, "fbgh"),
    ({"past": True, "now": at(9) + timedelta(milliseconds=1)}, "acde"),
    ({"past": True, "now": at(10), "start": at(9)}, "bcde"),
    ({"past": True, "now": at(99), "end": at(9)}, "af"),
    ({"upcoming": True, "now": at(8), "start": at(10)}, "fgh"),
    ({"upcoming": True, "now": at(10), "end": at(11)}, "fg"),
    ({"start": at(11).astimezone(timezone(timedelta(hours=-10)))}, "fh"),
    ({"start": datetime.min.replace(tzinfo=UTC), "end": datetime.max.replace(tzinfo=UTC)}, "afbcdegh"),
]


def test_windows_overlap_and_end_before_to(place: Place) -> None:
    schedules = project(place, *DAY)
    for window, expected in WINDOWS:
        assert (window, ids(schedules.talent("talent-1", **window))) == (window, expected)
        assert (window, ids(schedules.coach("coach-1", **window))) == (window, expected)
        latest_first: Filters = {**window, "desc": True}
        backwards = ids(schedules.talent("talent-1", **latest_first))
        dated = len(expected.rstrip("uv"))
        assert sorted(backwards) == sorted(expected)
        assert [SPANS[one][0] for one in backwards[:dated]] == [SPANS[one][0] for one in reversed(expected[:dated])]
        assert backwards[dated:] == expected[dated:]


def test_an_appointment_is_past_or_upcoming_or_undated(place: Place) -> None:
    schedules = project(place, *DAY)
    for now in map(at, range(7, 14)):
        past = ids(schedules.talent("talent-1", past=True, now=now))
        upcoming = ids(schedules.talent("talent-1", upcoming=True, now=now))
        assert sorted(past + upcoming + "uv") == sorted(SPANS)


def test_without_a_given_now_the_present_time_counts(place: Place) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    schedules = project(place, envelope(1, id="a"), envelope(2, id="b", startDate=tomorrow, endDate=None))
    assert ids(schedules.talent("talent-1", past=True)) == "a"
    assert ids(schedules.talent("talent-1", upcoming=True)) == "b"


STATUSES = [
    envelope(1, id="a", status="DONE", coachId="coach-2", subphaseId="s"),
    envelope(2, id="b", status="CANCELED", appointmentType="PART_ONE"),
    envelope(3, id="c", subphaseId="S"),
    envelope(4, id="d", coachId="coach-2", appointmentType="PART_ONE"),
    envelope(5, id="e", talentId="talent-2"),
    envelope(6, id="f", deletedAt="2023-07-03T00:00:00Z"),
]


FILTERS: list[tuple[Filters, str]] = [
    ({}, "abcd"),
    ({"status": "PLANNED"}, "cd"),
    ({"status": {"DONE"}}, "a"),
    ({"status": ["DONE", "CANCELED", "DONE"]}, "ab"),
    ({"status": {"PLANNED", "DONE", "CANCELED"}}, "abcd"),
    ({"status": None}, "abcd"),
    ({"include_deleted": True}, "abcdf"),
    ({"include_deleted": True, "status": "PLANNED"}, "cdf"),
    ({"appointment_type": "PART_ONE"}, "bd"),
    ({"subphase_id": "s"}, "a"),
    ({"subphase_id": "nope"}, ""),
    ({"limit": 2}, "ab"),
    ({"limit": 10_000}, "abcd"),
]


def test_filters_narrow_a_schedule(place: Place) -> None:
    schedules = project(place, *STATUSES)
    for filters, expected in FILTERS:
        assert (filters, ids(schedules.talent("talent-1", **filters))) == (filters, expected)


def test_a_schedule_can_be_narrowed_to_one_counterpart(place: Place) -> None:
    schedules = project(place, *STATUSES)
    assert ids(schedules.talent("talent-1", coach_id="coach-2")) == "ad"
    assert ids(schedules.talent("talent-1", coach_id="coach-2", status="PLANNED", appointment_type="PART_ONE")) == "d"
    assert ids(schedules.talent("talent-1", coach_id="coach-1", desc=True)) == "bc"


def test_a_coachs_schedule_is_the_same_from_the_other_side(place: Place) -> None:
    schedules = project(place, *STATUSES)
    assert ids(schedules.coach("coach-1")) == "bce"
    assert ids(schedules.coach("coach-1", talent_id="talent-2")) == "e"
    assert ids(schedules.coach("talent-1")) == ""
    assert schedules.coach("coach-2")[0] == schedules.talent("talent-1")[0]


def test_who_is_unknown_has_an_empty_schedule_with_a_stamp(place: Place) -> None:
    schedules = project(place, *STATUSES)
    place.events().append([as_json(envelope(7))])
    for schedule in (schedules.talent("nobody"), schedules.coach("nobody"), schedules.talent("nobody", as_of=at(0))):
        assert list(schedule) == []
        assert (schedule.position, schedule.lag, schedule.generation, schedule.next) == (6, 1, 1, None)


def test_an_appointment_comes_with_its_lifecycle_and_a_stamp(place: Place) -> None:
    canceled = {"status": "CANCELED", "canceledBy": "COACH", "cancelationReason": "OTHER"}
    history = [envelope(1), envelope(2, **canceled), envelope(3), envelope(4, deletedAt="2023-07-03T00:00:00Z")]
    schedules = project(place, *history)
    appointment = schedules.appointment("appointment-1")
    assert [as_plain(appointment)] == expected_schedule(history, "talent", "talent-1", include_deleted=True)
    assert [step.status for step in appointment.lifecycle] == ["PLANNED", "CANCELED", "PLANNED"]
    assert (appointment.position, appointment.lag, appointment.generation, appointment.irregular) == (4, 0, 1, True)


def test_an_appointment_that_nobody_named_is_not_found(place: Place) -> None:
    schedules = project(place, envelope(1))
    place.events().append([as_json(envelope(2, id="not projected"))])
    for one in ("nope", "APPOINTMENT-1", " appointment-1", "not projected"):
        with pytest.raises(AppointmentNotFound, match=repr(one)) as caught:
            schedules.appointment(one)
        assert caught.value.appointment_id == one


def test_who_has_a_schedule_is_listed_with_counts_in_pages(place: Place) -> None:
    moved = [envelope(8, id="m", talentId="gone"), envelope(9, id="m", talentId="talent-2")]
    schedules = project(place, *STATUSES, *moved, envelope(10, id="x", talentId="é", coachId="É"))
    talents = schedules.talents()
    assert [tuple(one) for one in talents] == [("talent-1", 2, 1, 1), ("talent-2", 2, 0, 0), ("é", 1, 0, 0)]
    assert [one.owner_id for one in schedules.coaches()] == ["coach-1", "coach-2", "É"]
    first = schedules.talents(limit=2)
    assert (len(first), first.position, first.lag, first.generation) == (2, 9, 0, 1)
    rest = schedules.talents(limit=2, after=first.next)
    assert [*first, *rest] == list(talents)
    assert rest.next is None
    assert schedules.talents(limit=3).next is None
    assert schedules.coaches().to_json().keys() == {"coaches", "position", "lag", "generation", "next"}
    assert talents.to_json()["talents"][0] == {"talent_id": "talent-1", "PLANNED": 2, "DONE": 1, "CANCELED": 1}


SENSELESS: list[Filters] = [
    {"limit": 0},
    {"limit": -1},
    {"limit": 1_000_000},
    {"start": at(10), "end": at(9)},
    {"upcoming": True, "past": True},
    {"start": datetime(2023, 7, 10)},  # noqa: DTZ001 - without an offset
    {"end": datetime(2023, 7, 10)},  # noqa: DTZ001
    {"now": datetime(2023, 7, 10), "past": True},  # noqa: DTZ001
    {"as_of": datetime(2023, 7, 10)},  # noqa: DTZ001
    {"status": "planned"},
    {"status": {"PLANNED", "NOPE\nNOPE"}},
    {"status": ""},
    {"appointment_type": "x" * 10_000},
    {"subphase_id": "a\x00"},
    {"subphase_id": "\ud800"},
]


def test_what_makes_no_sense_is_refused_in_one_line(place: Place) -> None:
    schedules = project(place, envelope(1))
    for filters in SENSELESS:
        for ask in (schedules.talent, schedules.coach):
            with pytest.raises(UsageError) as caught:
                ask("talent-1", **filters)
            assert len(str(caught.value).splitlines()) == 1
            assert len(str(caught.value)) < 200


def test_a_listing_has_the_same_limits(place: Place) -> None:
    schedules = project(place, envelope(1))
    for limit in (0, -1, 1_000_000):
        for ask in (schedules.talents, schedules.coaches):
            with pytest.raises(UsageError, match="from 1 to 10000"):
                ask(limit=limit)


NO_IDS = ["", " ", "\n\t", "a\x00b", "\x00", "x" * 10_000, "é" * 257, "\ud800", "\u3000"]


def test_what_can_be_no_id_is_refused_in_one_line(place: Place) -> None:
    schedules = project(place, envelope(1))
    questions: list[Callable[[str], object]] = [
        schedules.talent,
        schedules.coach,
        lambda one: schedules.talent(one, as_of=at(0)),
        schedules.appointment,
        schedules.history,
        lambda one: schedules.changes(talent_id=one),
        lambda one: schedules.conflicts(coach_id=one),
        lambda one: schedules.figures(talent_id=one),
        lambda one: schedules.talent("talent-1", coach_id=one),
        lambda one: schedules.coach("coach-1", talent_id=one),
    ]
    for one, ask in itertools.product(NO_IDS, questions):
        with pytest.raises(UsageError, match="expected an id") as caught:
            ask(one)
        assert len(str(caught.value).splitlines()) == 1
        assert len(str(caught.value)) < 300


def test_the_longest_and_oddest_ids_are_opaque(place: Place) -> None:
    odd = ["x" * 512, "é" * 256, "a\nb", " a", "%s{x}'\"\\", "🙏", "\u202e", "NULL"]
    schedules = project(
        place, *(envelope(n, id=one, talentId=one, coachId=one, subphaseId=one) for n, one in enumerate(odd, start=1))
    )
    for one in odd:
        [found] = schedules.talent(one, coach_id=one, subphase_id=one, as_of=at(0))
        assert [found] == list(schedules.coach(one, talent_id=one, subphase_id=one))
        assert found.id == schedules.appointment(one).id == one
    assert [one.owner_id for one in schedules.talents()] == sorted(odd)


def questions_of(schedules: Schedules) -> list[Callable[..., object]]:
    """Every question that can wait for a position."""
    return [
        partial(schedules.talent, "talent-1"),
        partial(schedules.coach, "coach-1"),
        partial(schedules.talent, "talent-1", as_of=at(0)),
        partial(schedules.appointment, "appointment-1"),
        schedules.talents,
        schedules.coaches,
        partial(schedules.changes, talent_id="talent-1"),
        partial(schedules.conflicts, talent_id="talent-1"),
        partial(schedules.figures, talent_id="talent-1"),
    ]


def test_a_question_waits_until_the_read_model_is_where_it_is_asked_to_be(place: Place) -> None:
    schedules, projector = place.schedules(), place.projector()
    for number in (1, 2):
        position = place.events().append([as_json(envelope(number))]).position
        answered = threading.Event()
        with ThreadPoolExecutor(9) as executor:
            waiting = [
                executor.submit(ask, at_least=position, timeout=SECONDS_MAX) for ask in questions_of(schedules)
            ]
            waiting[0].add_done_callback(lambda _, answered=answered: answered.set())  # type: ignore[misc]
            assert not answered.wait(0.1)
            projector.catch_up()
            answers: list[Any] = [one.result(SECONDS_MAX) for one in waiting]
        assert {answer.position for answer in answers} == {position}
        assert answers[0][0].revision == number


def test_a_question_does_not_wait_for_what_is_there(place: Place) -> None:
    schedules = project(place, envelope(1))
    for ask in questions_of(schedules):
        ask(at_least=1, timeout=0)
        ask(at_least=-5, timeout=0)


def test_a_question_waits_no_longer_than_it_is_told(place: Place) -> None:
    schedules = project(place, envelope(1))
    place.events().append([as_json(envelope(2))])
    for at_least, words in ((2, "is a projector running"), (99, "the event store ends at 2")):
        for ask, timeout in zip(questions_of(schedules), itertools.cycle((0.05, 0))):
            with pytest.raises(ReadModelBehind, match=f"position 1 and did not reach {at_least} .*{words}") as caught:
                ask(at_least=at_least, timeout=timeout)
            assert (caught.value.at_least, caught.value.position) == (at_least, 1)


def test_questions_never_create_anything(durable_place: Place) -> None:
    schedules = durable_place.schedules()
    questions = questions_of(schedules)
    questions += [partial(schedules.history, "appointment-1"), schedules.count, schedules.stamp]
    for ask in questions:
        with pytest.raises(NotInstalled, match="appointments init"):
            ask()
    with pytest.raises(NotInstalled, match="appointments init"):
        schedules.talent("talent-1", at_least=1, timeout=0)
    if durable_place.backend == "sqlite":
        assert not Path(durable_place.url.removeprefix("sqlite:///")).exists()
    else:
        with psycopg.connect(durable_place.url) as connection:
            found = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (durable_place.schema,))
            assert found.fetchall() == []


def test_an_event_store_alone_has_no_read_models_to_ask(durable_place: Place) -> None:
    durable_place.events().append([as_json(envelope(1))])
    schedules = durable_place.schedules()
    for ask in questions_of(schedules):
        with pytest.raises(NotInstalled, match="appointments init"):
            ask()


def test_answers_are_sized_iterable_and_frozen(place: Place) -> None:
    schedules = project(place, *STATUSES)
    schedule, owners = schedules.talent("talent-1"), schedules.talents()
    assert (len(schedule), len(owners)) == (4, 2)
    assert list(schedule) == list(schedule.appointments) == [schedule[index] for index in range(4)]
    assert schedule[1:3] == schedule.appointments[1:3]
    assert schedule[-1] in schedule
    assert list(owners) == [owners[0], *owners[1:]]
    assert not schedules.talent("nobody")
    assert schedule == schedules.talent("talent-1")
    assert hash(schedule) == hash(schedules.talent("talent-1"))
    assert isinstance(schedule[0].status, Status)
    assert schedule[0].start_date is not None
    assert schedule[0].start_date.utcoffset() == timedelta(0)
    for answer, name in ((schedule, "position"), (schedule[0], "title"), (owners, "next")):
        with pytest.raises(FrozenInstanceError):
            setattr(answer, name, None)


FIELDS = """
    id talent_id coach_id status title description start_date end_date appointment_type subphase_id talent_block_id
    canceled_by cancelation_reason cancelation_explanation created_at updated_at deleted_at event_id revision
    reschedules irregular
"""


def test_answers_as_json_have_exactly_the_keys_of_the_interface(place: Place) -> None:
    schedules = project(place, envelope(1), envelope(2, status="CANCELED", canceledBy="COACH"))
    for side, schedule in (("talent", schedules.talent("talent-1")), ("coach", schedules.coach("coach-1"))):
        document = schedule.to_json()
        stamp = ["position", "lag", "generation"]
        assert list(document) == [f"{side}_id", *stamp, "as_of", "known_at", "appointments", "next"]
        assert list(document["appointments"][0]) == FIELDS.split()
    document = schedules.appointment("appointment-1").to_json()
    assert list(document) == [*FIELDS.split(), "lifecycle", "position", "lag", "generation"]
    assert [list(step) for step in document["lifecycle"]] == [
        ["status", "event_id", "at", "canceled_by", "cancelation_reason"]
    ] * 2
    assert [step["canceled_by"] for step in document["lifecycle"]] == [None, "COACH"]
    assert schedules.talent("talent-1", as_of=at(0)).to_json()["as_of"] == "2023-07-10T00:00:00.000Z"


def test_every_answer_as_json_is_what_json_can_hold_and_what_the_command_line_prints(
    durable_place: Place, capfd: pytest.CaptureFixture[str]
) -> None:
    schedules = project(durable_place, *STATUSES, envelope(7, id="b", status="CANCELED", canceledBy="COACH"))
    capfd.readouterr()
    for answer, command in (
        (schedules.talent("talent-1", as_of=at(1)), ["talent", "talent-1", "--as-of", at(1).isoformat()]),
        (schedules.coach("coach-1"), ["coach", "coach-1"]),
        (schedules.appointment("b"), ["appointment", "b"]),
        (schedules.history("b"), ["history", "b"]),
        (schedules.changes(talent_id="talent-1"), ["changes", "--talent", "talent-1"]),
        (schedules.conflicts(talent_id="talent-1"), ["conflicts", "--talent", "talent-1"]),
        (schedules.figures(talent_id="talent-1"), ["figures", "--talent", "talent-1"]),
        (schedules.talents(), ["talents"]),
        (schedules.coaches(), ["coaches"]),
    ):
        assert run([*command, "--json", *durable_place.arguments]) == 0
        assert capfd.readouterr().out == json.dumps(answer.to_json(), ensure_ascii=False, indent=2) + "\n"


def test_answers_show_people_whose_they_are_and_how_many_not_everything(place: Place) -> None:
    schedules = project(place, *STATUSES)
    shown = {
        repr(answer)
        for answer in (
            schedules.talent("talent-1"),
            schedules.talent("talent-1", limit=1, as_of=at(0)),
            schedules.coach("nobody"),
            schedules.talents(limit=1),
            schedules.changes(talent_id="talent-1"),
            schedules.conflicts(talent_id="talent-1"),
            schedules.history("a"),
        )
    }
    assert shown == {
        "<Schedule of talent 'talent-1': 4 appointments>",
        "<Schedule of talent 'talent-1' as of 2023-07-10T00:00:00.000Z: 1 appointment, more on the next page>",
        "<Schedule of coach 'nobody': 0 appointments>",
        "<Owners: 1 talent, more on the next page>",
        "<Changes: 4 to put in, 0 to remove, at position 6>",
        "<Conflicts: 1 conflict>",
        "<History of appointment 'a': 1 revision>",
    }
