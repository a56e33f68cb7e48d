"""The arguments of public methods: keywords, ids as text or UUID, and clear errors for wrong types and values."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import typer

from domain import EventId, QuarantinedItemNotFound, Status, UsageError
from projections import Appointments, Schedules
from projections.cli.app import app
from projections.cli.sample import sample_envelopes
from tests.conftest import Place
from tests.support.builders import as_json, envelope

NINE = datetime(2023, 7, 10, 9, tzinfo=UTC)
NAIVE = datetime(2023, 7, 10)  # noqa: DTZ001 - without an offset
TALENT, COACH, APPOINTMENT, SUBPHASE = (UUID(int=number) for number in range(1, 5))


def project(place: Place, *envelopes: dict[str, Any]) -> Schedules:
    place.events().append(as_json(one) for one in envelopes)
    place.projector().catch_up()
    return place.schedules()


QUESTIONS = [
    name for name, one in inspect.getmembers(Schedules, inspect.isfunction) if not name.startswith("_")
]  # fmt: skip


def test_every_question_names_its_filters_and_takes_them_by_keyword_only() -> None:
    for name in QUESTIONS:
        kinds = {one.kind for one in inspect.signature(getattr(Schedules, name)).parameters.values()}
        assert inspect.Parameter.VAR_KEYWORD not in kinds, name
    for name in ("talent", "coach", "changes", "conflicts", "figures", "talents", "coaches", "pages"):
        positional = [
            one.name
            for one in inspect.signature(getattr(Schedules, name)).parameters.values()
            if one.kind is not inspect.Parameter.KEYWORD_ONLY
        ]
        assert positional in (["self"], ["self", f"{name}_id"]), name


OTHER_NAMES = {"from": "start", "to": "end", "talent": "talent_id", "coach": "coach_id"}
"""Where Python has another name than the command line: `from` is a keyword, and ids say that they are ids."""

OF_THE_COMMAND_LINE_ALONE = {"db", "schema", "json", "ical", "tz"}


OF_PYTHON_ALONE = {"pages", "stamp", "count", "token", "undated", "waiter", "schedule_stream", "changes_stream"}
"""What the HTTP service and programs ask, and no command by that name."""


@pytest.mark.parametrize("name", [one for one in QUESTIONS if one not in OF_PYTHON_ALONE])
def test_a_filter_has_one_name_in_python_and_on_the_command_line(name: str) -> None:
    options = {
        one.opts[0].removeprefix("--").replace("-", "_")
        for one in typer.main.get_command(app).commands[name].params  # type: ignore[attr-defined]
    }
    filters = set(inspect.signature(getattr(Schedules, name)).parameters) - {"self"}
    assert {OTHER_NAMES.get(one, one) for one in options - OF_THE_COMMAND_LINE_ALONE} == filters


def test_an_unknown_keyword_is_refused_by_every_question(memory_place: Place) -> None:
    schedules = project(memory_place, envelope(1))
    for ask in (
        partial(schedules.talent, "talent-1"),
        partial(schedules.coach, "coach-1"),
        partial(schedules.appointment, "appointment-1"),
        partial(schedules.changes, talent_id="talent-1"),
        partial(schedules.conflicts, talent_id="talent-1"),
        partial(schedules.figures, talent_id="talent-1"),
        partial(schedules.history, "appointment-1"),
        schedules.talents,
        schedules.coaches,
    ):
        ask()
        with pytest.raises(TypeError, match="unexpected keyword argument 'stauts'"):
            ask(stauts={"DONE"})  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'status'"):
        schedules.changes(talent_id="talent-1", status="DONE")  # type: ignore[call-arg]


def test_conflicts_and_figures_take_the_filters_of_a_schedule(place: Place) -> None:
    schedules = project(
        place,
        envelope(1, id="a", at="2023-07-02T00:00:00Z", subphaseId="s"),
        envelope(2, id="b", at="2023-07-03T00:00:00Z", subphaseId="s", appointmentType="PART_ONE"),
        envelope(3, id="a", at="2023-07-04T00:00:00Z", status="DONE"),
    )
    early, late = datetime(2023, 7, 2, 12, tzinfo=UTC), datetime(2023, 7, 3, 12, tzinfo=UTC)
    assert [len(schedules.conflicts(talent_id="talent-1", as_of=at)) for at in (early, late, None)] == [0, 1, 0]
    assert len(schedules.conflicts(coach_id="coach-1", as_of=late, upcoming=True, now=NINE)) == 1
    assert len(schedules.conflicts(coach_id="coach-1", as_of=late, past=True, now=NINE)) == 0
    assert len(schedules.conflicts(coach_id="coach-1", as_of=late, appointment_type="PART_ONE")) == 0
    assert len(schedules.conflicts(coach_id="coach-1", as_of=late, subphase_id="s")) == 1
    figures = partial(schedules.figures, talent_id="talent-1")
    assert [figures(as_of=at).appointments for at in (early, late, None)] == [1, 2, 2]
    assert [figures(as_of=at).by_status["DONE"] for at in (early, late, None)] == [0, 0, 1]
    assert figures(as_of=late).as_of == late
    assert figures(status={"DONE"}).appointments == 1
    assert figures(appointment_type="PART_ONE").appointments == 1
    assert figures(subphase_id="s").appointments == 1
    assert figures(upcoming=True, now=NINE).appointments == 2
    assert figures(past=True, now=NINE).appointments == 0


def test_an_id_may_be_a_uuid_wherever_one_is_taken(place: Place) -> None:
    schedules = project(
        place,
        envelope(1, id=str(APPOINTMENT), talentId=str(TALENT), coachId=str(COACH), subphaseId=str(SUBPHASE)),
    )
    schedule = schedules.talent(TALENT, coach_id=COACH, subphase_id=SUBPHASE)
    assert [one.id for one in schedule] == [str(APPOINTMENT)]
    assert schedule.owner_id == str(TALENT)
    assert schedule.appointments == schedules.coach(COACH, talent_id=TALENT, as_of=NINE).appointments
    assert schedules.appointment(APPOINTMENT).id == schedules.history(APPOINTMENT).id == str(APPOINTMENT)
    changes = schedules.changes(talent_id=TALENT)
    assert [one.id for one in changes] == [str(APPOINTMENT)]
    assert not schedules.changes(talent_id=str(TALENT), since=changes.token)
    assert schedules.figures(coach_id=COACH).appointments == 1
    assert not schedules.conflicts(talent_id=TALENT)


WRONG_FILTERS: list[tuple[str, list[Any]]] = [
    ("start", ["2023-01-01", 5, date(2023, 7, 10)]),
    ("end", ["2023-01-01"]),
    ("now", [1688958167]),
    ("as_of", ["2023-07-10T09:00:00Z"]),
    ("status", [5, b"DONE", [5], {None}]),
    ("appointment_type", [5, ["PART_ONE"]]),
    ("coach_id", [5, b"coach-1"]),
    ("subphase_id", [5]),
    ("upcoming", ["false", 0]),
    ("past", [None]),
    ("include_deleted", ["no"]),
    ("desc", [1]),
    ("limit", ["5", 2.5, 5.0, True, False]),
    ("after", [5, b"x"]),
    ("at_least", ["x", 1.0, True]),
    ("timeout", ["x", True]),
]


def test_a_filter_of_a_wrong_type_is_named(place: Place) -> None:
    schedules = project(place, envelope(1))
    for name, values in WRONG_FILTERS:
        for value in values:
            with pytest.raises(TypeError, match=rf"^{name}: expected .*, found \w+$"):
                schedules.talent("talent-1", **{name: value})


WRONG_ARGUMENTS: list[tuple[str, Callable[[Schedules], object]]] = [
    ("talent_id", lambda schedules: schedules.talent(5)),  # type: ignore[arg-type]
    ("talent_id", lambda schedules: schedules.talent(None)),  # type: ignore[arg-type]
    ("coach_id", lambda schedules: schedules.coach(b"coach-1")),  # type: ignore[arg-type]
    ("talent_id", lambda schedules: schedules.coach("coach-1", talent_id=5)),  # type: ignore[arg-type]
    ("appointment_id", lambda schedules: schedules.appointment(5)),  # type: ignore[arg-type]
    ("appointment_id", lambda schedules: schedules.history(5)),  # type: ignore[arg-type]
    ("since", lambda schedules: schedules.changes(talent_id="talent-1", since=5)),  # type: ignore[arg-type]
    ("start", lambda schedules: schedules.changes(talent_id="talent-1", start="x")),  # type: ignore[arg-type]
    ("coach_id", lambda schedules: schedules.figures(coach_id=5)),  # type: ignore[arg-type]
    ("as_of", lambda schedules: schedules.conflicts(coach_id="coach-1", as_of="x")),  # type: ignore[arg-type]
    ("limit", lambda schedules: schedules.talents(limit="5")),  # type: ignore[arg-type]
    ("after", lambda schedules: schedules.coaches(after=5)),  # type: ignore[arg-type]
    ("timeout", lambda schedules: schedules.appointment("appointment-1", timeout="x")),  # type: ignore[arg-type]
]


def test_an_argument_of_a_wrong_type_is_named_by_every_question(place: Place) -> None:
    schedules = project(place, envelope(1))
    for name, ask in WRONG_ARGUMENTS:
        with pytest.raises(TypeError, match=rf"^{name}: expected .*, found \w+$"):
            ask(schedules)


SENSELESS: list[tuple[str, Any]] = [
    ("start", NAIVE),
    ("end", NAIVE),
    ("now", NAIVE),
    ("as_of", NAIVE),
    ("status", "planned"),
    ("status", ["DONE", ""]),
    ("appointment_type", "ALONE"),
    ("coach_id", " "),
    ("subphase_id", "a\x00"),
    ("limit", 0),
    ("limit", 10_001),
    ("after", "nonsense"),
    ("timeout", math.nan),
    ("timeout", math.inf),
    ("timeout", -0.1),
]


def test_an_argument_that_makes_no_sense_is_named_in_the_error_and_by_it(place: Place) -> None:
    schedules = project(place, envelope(1))
    for name, value in SENSELESS:
        with pytest.raises(UsageError) as caught:
            schedules.talent("talent-1", **{name: value})
        assert caught.value.argument == name


def test_statuses_may_come_from_any_iterable(place: Place) -> None:
    schedules = project(place, envelope(1, status="DONE"))
    for status in (Status.DONE, "DONE", ["DONE"], (one for one in Status), frozenset(Status), {"DONE": 1}):
        assert len(schedules.talent("talent-1", status=status)) == 1


def test_an_argument_of_a_wrong_type_is_named_by_whoever_stores_projects_or_rebuilds(place: Place) -> None:
    events, projector = place.events(), place.projector()
    events.append([as_json(envelope(1)), b"{"])
    wrong: list[tuple[str, Callable[[], object]]] = [
        ("appointment_id", lambda: events.history(5)),  # type: ignore[arg-type]
        ("appointment_id", lambda: events.stream(b"appointment-1")),  # type: ignore[arg-type]
        ("event_id", lambda: events.stored_text("1")),  # type: ignore[arg-type]
        ("item_bytes_max", lambda: events.append_file("-", item_bytes_max=1.5)),  # type: ignore[arg-type]
        ("number", lambda: events.quarantine.show("1")),  # type: ignore[arg-type]
        ("number", lambda: events.quarantine.retry("1")),  # type: ignore[arg-type]
        ("number", lambda: events.quarantine.discard([True])),
        ("upto", lambda: projector.catch_up(upto="1")),  # type: ignore[arg-type]
        ("stop", lambda: projector.catch_up(stop=True)),  # type: ignore[arg-type]
        ("stop", lambda: projector.follow(5)),  # type: ignore[arg-type]
        ("url", lambda: Appointments.open(5)),  # type: ignore[arg-type]
        ("restart", lambda: place.appointments().rebuild(restart="no")),  # type: ignore[arg-type]
        ("processes", lambda: place.appointments().rebuild(processes=1.5)),  # type: ignore[arg-type]
        ("sample", lambda: place.appointments().verify(sample="10")),  # type: ignore[arg-type]
        ("schema", lambda: Appointments.open("memory:x", schema=5)),  # type: ignore[arg-type]
        ("events", lambda: sample_envelopes("5")),  # type: ignore[arg-type]
        ("seed", lambda: sample_envelopes(5, seed=1.5)),  # type: ignore[arg-type]
    ]
    for name, call in wrong:
        with pytest.raises(TypeError, match=rf"^{name}: expected .*, found \w+$"):
            call()
    assert (len(events.quarantine), events.head()) == (1, 1)


def test_an_appointments_stream_is_found_by_uuid_and_no_number_is_too_large_to_ask_for(place: Place) -> None:
    events = place.events()
    events.append([as_json(envelope(1, id=str(APPOINTMENT)))])
    assert [one.event_id for one in events.stream(APPOINTMENT)] == [1]
    assert [one.event_id for one in events.history(APPOINTMENT)] == [1]
    with pytest.raises(UsageError, match="appointment_id: expected an id"):
        events.stream("a\x00")
    assert events.stored_text(EventId(2**70)) is None
    for number in (-1, 0, 2**70):
        with pytest.raises(QuarantinedItemNotFound):
            events.quarantine.show(number)
    with pytest.raises(UsageError, match="processes: expected a whole number from 1, found 0"):
        place.appointments().rebuild(processes=0)


def test_a_url_in_the_place_of_a_location_says_how_to_open_one() -> None:
    for wrong in ("sqlite:///appointments.db", Path("appointments.db"), None):
        with pytest.raises(TypeError, match=r"^location: expected a Location, found .*Appointments\.open\(url\)"):
            Appointments(wrong)  # type: ignore[arg-type]


def test_a_place_that_is_no_text_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r"^url: expected text, found PosixPath"):
        Appointments.open(Path("appointments.db"))  # type: ignore[arg-type]
