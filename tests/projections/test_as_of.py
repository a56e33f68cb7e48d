"""A schedule as it was known at a time: the same fold over the envelopes published until then."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings

from projections import Appointments
from tests.conftest import Place, own_schema
from tests.projections.test_queries import ids, project
from tests.support.builders import as_json, envelope
from tests.support.histories import histories, names
from tests.support.reference import as_plain, expected_schedule, moment

MILLISECOND = timedelta(milliseconds=1)
_numbers = itertools.count(1)


def at(second: int) -> datetime:
    """When the envelope of that id was published."""
    return datetime(2023, 7, 2, tzinfo=UTC) + timedelta(seconds=second)


def test_before_everything_a_schedule_is_empty(place: Place) -> None:
    schedules = project(place, envelope(5), envelope(6))
    for as_of in (at(5) - MILLISECOND, datetime.min.replace(tzinfo=UTC)):
        schedule = schedules.talent("talent-1", as_of=as_of)
        assert (list(schedule), schedule.as_of) == ([], as_of)
        assert (schedule.position, schedule.lag, schedule.generation) == (2, 0, 1)


def test_an_envelope_is_known_from_the_moment_it_was_published(place: Place) -> None:
    schedules = project(place, envelope(5), envelope(9, status="DONE"), envelope(7, startDate=None))
    known = [
        [(one.status, one.revision, one.event_id) for one in schedules.talent("talent-1", as_of=at(second))]
        for second in (5, 6, 7, 9)
    ]
    assert known == [[("PLANNED", 1, 5)], [("PLANNED", 1, 5)], [("PLANNED", 2, 7)], [("DONE", 3, 9)]]


def test_what_moved_away_since_was_there_then(place: Place) -> None:
    schedules = project(
        place, envelope(1), envelope(2, talentId="talent-2"), envelope(3, talentId="talent-2", coachId="coach-2")
    )
    assert ids(schedules.talent("talent-1")) == ""
    assert ids(schedules.talent("talent-1", as_of=at(1))) == "appointment-1"
    assert ids(schedules.talent("talent-1", as_of=at(2))) == ""
    assert ids(schedules.talent("talent-2", as_of=at(1))) == ""
    assert ids(schedules.coach("coach-1", as_of=at(2))) == "appointment-1"
    assert ids(schedules.coach("coach-1", as_of=at(3))) == ""


def test_what_was_deleted_since_was_there_then(place: Place) -> None:
    schedules = project(place, envelope(1), envelope(2, deletedAt="2023-07-02T00:00:00Z"))
    assert ids(schedules.talent("talent-1", as_of=at(1))) == "appointment-1"
    assert ids(schedules.talent("talent-1", as_of=at(2))) == ""
    assert ids(schedules.talent("talent-1", as_of=at(2), include_deleted=True)) == "appointment-1"


def test_filters_pages_and_order_are_of_that_time(place: Place) -> None:
    schedules = project(
        place,
        envelope(1, id="a"),
        envelope(2, id="b", startDate=None, status="DONE"),
        envelope(3, id="c", startDate="2023-07-01T00:00:00Z", endDate=None),
        *(envelope(10 + number, id=one, status="CANCELED") for number, one in enumerate("abc")),
    )
    assert ids(schedules.talent("talent-1", as_of=at(5))) == "cab"
    assert ids(schedules.talent("talent-1", as_of=at(5), status="PLANNED", desc=True)) == "ac"
    assert ids(schedules.talent("talent-1", as_of=at(5), start=datetime(2023, 7, 10, tzinfo=UTC))) == "a"
    first = schedules.talent("talent-1", as_of=at(5), limit=2)
    assert ids(first) + ids(schedules.talent("talent-1", as_of=at(5), limit=2, after=first.next)) == "cab"


def test_what_is_not_projected_yet_is_not_in_the_answer(place: Place) -> None:
    schedules = project(place, envelope(1))
    place.events().append([as_json(envelope(2, status="DONE")), as_json(envelope(3, id="b"))])
    schedule = schedules.talent("talent-1", as_of=at(9))
    assert ([one.status for one in schedule], schedule.position, schedule.lag) == (["PLANNED"], 1, 2)


def check_as_of(envelopes: list[dict[str, Any]], url: str, schema: str | None = None) -> None:
    """Compares each schedule, at each time of publication, with an independent fold of what was published by then."""
    with Appointments.open(url, schema=schema) as appointments:
        events = appointments.events
        projector = appointments.projector
        schedules = appointments.schedules
        events.append(map(as_json, envelopes))
        projector.catch_up()
        published = {one["id"]: moment(one["createdAt"]) for one in envelopes}
        for as_of in {time for time in published.values() if time is not None}:
            known = [one for one in envelopes if (published[one["id"]] or as_of) <= as_of]
            for side, ask in (("talent", schedules.talent), ("coach", schedules.coach)):
                for owner in names(side, 3):
                    found = ask(owner, as_of=as_of, include_deleted=True)
                    assert list(map(as_plain, found)) == expected_schedule(known, side, owner, include_deleted=True)
        latest = max(time for time in published.values() if time is not None)
        for owner in names("talent", 3):
            assert schedules.talent(owner, as_of=latest).appointments == schedules.talent(owner).appointments


@settings(max_examples=150)
@given(histories(max_envelopes=12))
def test_in_memory_every_past_schedule_equals_the_fold_of_what_was_published(envelopes: list[dict[str, Any]]) -> None:
    check_as_of(envelopes, f"memory:as-of-{next(_numbers)}")


@settings(max_examples=15)
@given(envelopes=histories(max_envelopes=12))
def test_in_a_file_every_past_schedule_equals_the_fold_of_what_was_published(
    tmp_path_factory: pytest.TempPathFactory, envelopes: list[dict[str, Any]]
) -> None:
    check_as_of(envelopes, f"sqlite:///{tmp_path_factory.mktemp('as-of')}/appointments.db")


@settings(max_examples=8)
@given(envelopes=histories(max_envelopes=12))
def test_in_a_schema_every_past_schedule_equals_the_fold_of_what_was_published(
    postgres_place: Place, envelopes: list[dict[str, Any]]
) -> None:
    with own_schema(postgres_place.url) as schema:
        check_as_of(envelopes, postgres_place.url, schema)
