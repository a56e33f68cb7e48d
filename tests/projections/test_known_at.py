"""A schedule as this system knew it at a time: by arrival, beside as-of, which goes by publication."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from domain.errors import InvalidCursor, UsageError
from domain.identifiers import EventId
from domain.storage import open_database
from domain.storage.location import locate
from domain.storage.memory.database import MemoryDatabase
from projections import Schedules
from tests.conftest import Ask, Place
from tests.projections.test_queries import ids, project
from tests.support.builders import as_json, envelope
from tests.support.generations import execute

MILLISECOND = timedelta(milliseconds=1)


def at(second: int) -> datetime:
    """When the envelope of that id was published."""
    return datetime(2023, 7, 2, tzinfo=UTC) + timedelta(seconds=second)


def here(hour: int) -> datetime:
    """A time of 3 July 2023, after everything was published."""
    return datetime(2023, 7, 3, hour, tzinfo=UTC)


def arrive(place: Place, event_id: int, moment: datetime | None) -> None:
    """Lets a stored envelope have arrived at another time, or at an unknown one."""
    if place.backend == "memory":
        with closing(open_database(locate(place.url))) as database:
            assert isinstance(database, MemoryDatabase)
            database.contents.arrivals.pop(EventId(event_id), None)
            if moment is not None:
                database.contents.arrivals[EventId(event_id)] = moment
        return
    text = None if moment is None else moment.isoformat(timespec="milliseconds")
    execute(place, "UPDATE stored_events SET arrived_at = ? WHERE originator_version = ?", text, event_id)


@pytest.fixture
def schedules(place: Place) -> Schedules:
    """The second revision came last, and the third moved the appointment to another talent."""
    asked = project(place, envelope(1), envelope(3, talentId="talent-2"), envelope(2, status="DONE"))
    for event_id, hour in ((1, 8), (3, 9), (2, 10)):
        arrive(place, event_id, here(hour))
    return asked


def test_an_envelope_is_known_from_the_moment_it_arrived(schedules: Schedules) -> None:
    seen = [
        [(one.status, one.revision, one.event_id) for one in schedules.talent(talent, known_at=known_at)]
        for talent, known_at in (
            ("talent-1", here(8) - MILLISECOND),
            ("talent-1", here(8)),
            ("talent-1", here(9)),
            ("talent-2", here(9)),
            ("talent-2", here(10)),
        )
    ]
    assert seen == [[], [("PLANNED", 1, 1)], [], [("PLANNED", 2, 3)], [("PLANNED", 3, 3)]]


def test_both_times_may_be_asked_for_together(schedules: Schedules) -> None:
    # Of what was published by 2, the second revision was not here at nine.
    assert [one.status for one in schedules.talent("talent-1", as_of=at(2), known_at=here(9))] == ["PLANNED"]
    assert [one.status for one in schedules.talent("talent-1", as_of=at(2), known_at=here(10))] == ["DONE"]
    assert ids(schedules.talent("talent-1", as_of=at(3), known_at=here(9))) == ""


def test_the_answer_says_which_time_it_is_of(schedules: Schedules) -> None:
    schedule = schedules.coach("coach-1", known_at=here(9))
    assert (schedule.known_at, schedule.as_of, schedule.position) == (here(9), None, 3)
    assert schedule.to_json()["known_at"] == "2023-07-03T09:00:00.000Z"
    assert "known at 2023-07-03T09:00:00.000Z" in repr(schedule)
    assert schedules.talent("talent-1").to_json()["known_at"] is None


def test_conflicts_and_figures_take_the_same_time(place: Place) -> None:
    schedules = project(place, envelope(1, id="a"), envelope(2, id="b"))
    arrive(place, 1, here(8))
    arrive(place, 2, here(9))
    for hour, conflicts in ((8, 0), (9, 1)):
        found = schedules.conflicts(talent_id="talent-1", known_at=here(hour))
        assert (len(found), found.known_at) == (conflicts, here(hour))
        figures = schedules.figures(coach_id="coach-1", known_at=here(hour))
        assert (figures.appointments, figures.known_at) == (conflicts + 1, here(hour))


def test_pages_are_of_one_time(place: Place) -> None:
    schedules = project(place, *(envelope(number, id=one) for number, one in enumerate("abc", start=1)))
    for event_id in (1, 2):
        arrive(place, event_id, here(8))
    first = schedules.talent("talent-1", known_at=here(8), limit=1)
    assert ids(first) + ids(schedules.talent("talent-1", known_at=here(8), limit=1, after=first.next)) == "ab"
    with pytest.raises(InvalidCursor):
        schedules.talent("talent-1", known_at=here(9), limit=1, after=first.next)


def test_an_envelope_whose_arrival_was_not_recorded_counts_as_known(place: Place) -> None:
    schedules = project(place, envelope(1))
    arrive(place, 1, None)
    assert ids(schedules.talent("talent-1", known_at=here(1))) == "appointment-1"
    assert schedules.history("appointment-1").revisions[0].arrived_at is None


def test_a_time_without_an_offset_is_refused(schedules: Schedules) -> None:
    with pytest.raises(UsageError, match="known_at: expected a datetime with an offset"):
        schedules.talent("talent-1", known_at=datetime(2023, 7, 3))  # noqa: DTZ001


def test_history_shows_when_each_envelope_arrived_and_one_append_has_one_time(place: Place) -> None:
    before = datetime.now(UTC) - MILLISECOND
    schedules = project(place, *(envelope(number) for number in range(1, 60)))
    arrivals = {one.arrived_at for one in schedules.history("appointment-1").revisions}
    [arrived_at] = arrivals
    assert arrived_at is not None
    assert before <= arrived_at <= datetime.now(UTC)
    assert arrived_at.microsecond % 1000 == 0
    [first, *_] = schedules.history("appointment-1").to_json()["revisions"]
    assert datetime.fromisoformat(first["arrived_at"]) == arrived_at
    assert ids(schedules.talent("talent-1", known_at=arrived_at)) == "appointment-1"
    assert ids(schedules.talent("talent-1", known_at=arrived_at - MILLISECOND)) == ""


def test_status_tells_the_age_of_the_oldest_envelope_that_is_not_projected(place: Place) -> None:
    project(place, envelope(1))
    appointments = place.appointments()
    assert appointments.status().oldest_unprojected_seconds is None
    appointments.events.append([as_json(envelope(2)), as_json(envelope(3))])
    arrive(place, 2, datetime.now(UTC) - timedelta(minutes=5))
    age = appointments.status().oldest_unprojected_seconds
    assert age is not None
    assert 300 <= age < 360
    appointments.projector.catch_up()
    assert appointments.status().oldest_unprojected_seconds is None


def test_the_command_line_asks_for_and_shows_times_of_arrival(durable_place: Place, ask: Ask) -> None:
    project(durable_place, envelope(1))
    arrive(durable_place, 1, here(8))
    status, out, _ = ask("talent", "talent-1", "--known-at", "2023-07-03T07:59:59Z", "--tz", "UTC")
    assert status == 0
    assert out.startswith("Talent talent-1 as known at 2023-07-03 07:59:59 UTC\n")
    assert "No appointments were known then." in out
    for command in ("conflicts", "figures"):
        status, out, _ = ask(
            command, "--talent", "talent-1", "--known-at", "2023-07-03", "--as-of", "2023-07-03", "--json"
        )
        assert status == 0
    assert json.loads(out)["appointments"] == 0
    _, out, _ = ask("history", "appointment-1", "--tz", "UTC")
    assert "\n  arrived 2023-07-03 08:00:00 UTC\n" in out
