"""History, conflicts, figures and calendars: what else a schedule can be asked."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from icalendar import Calendar

from domain.errors import AppointmentNotFound, UsageError
from projections import Schedules
from projections.queries.schedule import Schedule
from tests.conftest import Place
from tests.support.builders import as_json, envelope


def project(place: Place, *envelopes: dict[str, Any]) -> Schedules:
    place.events().append(as_json(one) for one in envelopes)
    place.projector().catch_up()
    return place.schedules()


def moment(hour: int, minute: int = 0, *, day: int = 10) -> str:
    return f"2023-07-{day:02}T{hour:02}:{minute:02}:00.000Z"


def test_a_history_tells_what_each_envelope_changed_and_which_arrived_late(place: Place) -> None:
    schedules = project(
        place,
        envelope(1, talentId="talent-1"),
        envelope(5, talentId="talent-2", startDate=None),
        envelope(3, talentId="talent-1", title="Bilan"),
        envelope(7, talentId="talent-2", startDate=None, status="CANCELED", canceledBy="COACH"),
    )
    history = schedules.history("appointment-1")
    assert [(one.event_id, one.late) for one in history.revisions] == [(1, False), (3, True), (5, False), (7, False)]
    assert [one.position for one in history.revisions] == [1, 3, 2, 4]
    first, second, third, fourth = ({it.field: (it.old, it.new) for it in one.changes} for one in history.revisions)
    assert first["talent_id"] == (None, "talent-1")
    assert "description" not in first
    assert second == {"title": ("Séance Découverte", "Bilan")}
    assert third == {
        "talent_id": ("talent-1", "talent-2"),
        "title": ("Bilan", "Séance Découverte"),
        "start_date": (datetime(2023, 7, 10, 9, tzinfo=UTC), None),
    }
    assert fourth == {"status": ("PLANNED", "CANCELED"), "canceled_by": (None, "COACH")}
    document = history.to_json()
    assert document.keys() == {"id", "revisions"}
    assert document["revisions"][0].keys() == {"event_id", "at", "arrived_at", "position", "late", "changes"}
    assert document["revisions"][0]["changes"][0].keys() == {"field", "old", "new"}


def test_there_is_no_history_of_what_nobody_named(place: Place) -> None:
    with pytest.raises(AppointmentNotFound, match="'nope'"):
        project(place, envelope(1)).history("nope")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((moment(9), moment(10)), (moment(9, 30), moment(11)), [{"a", "b"}]),
        ((moment(9), moment(10)), (moment(10), moment(11)), []),
        ((moment(9), moment(10)), (moment(9, 30), None), [{"a", "b"}]),
        ((moment(9), moment(10)), (moment(9), None), [{"a", "b"}]),
        ((moment(9), moment(10)), (moment(10), None), []),
        ((moment(9), None), (moment(9), None), []),
        ((moment(9), moment(8)), (moment(8), moment(9, 30)), [{"a", "b"}]),
        ((moment(9), moment(10)), (None, None), []),
        ((moment(9), moment(12)), (moment(10), moment(11)), [{"a", "b"}]),
    ],
)
def test_planned_appointments_that_overlap_conflict(
    place: Place, first: tuple[str, str | None], second: tuple[str | None, str | None], expected: list[set[str]]
) -> None:
    schedules = project(
        place,
        envelope(1, id="a", startDate=first[0], endDate=first[1]),
        envelope(2, id="b", startDate=second[0], endDate=second[1], coachId="coach-2"),
    )
    conflicts = schedules.conflicts(talent_id="talent-1")
    assert [{one.first.id, one.second.id} for one in conflicts] == expected
    assert list(schedules.conflicts(coach_id="coach-1")) == []


def test_a_conflict_tells_in_which_time_both_are_on_and_only_planned_ones_count(place: Place) -> None:
    schedules = project(
        place,
        envelope(1, id="a", startDate=moment(9), endDate=moment(11)),
        envelope(2, id="b", startDate=moment(10), endDate=moment(12)),
        envelope(3, id="done", startDate=moment(9), endDate=moment(12), status="DONE"),
        envelope(4, id="gone", startDate=moment(9), endDate=moment(12), deletedAt=moment(1)),
    )
    [conflict] = schedules.conflicts(talent_id="talent-1")
    assert (conflict.first.id, conflict.second.id) == ("a", "b")
    assert (conflict.start.hour, conflict.end.hour) == (10, 11)
    after = datetime(2023, 7, 10, 12, tzinfo=UTC)
    assert list(schedules.conflicts(talent_id="talent-1", start=after)) == []
    document = schedules.conflicts(talent_id="talent-1").to_json()
    assert document["conflicts"][0].keys() == {"first", "second", "start", "end"}


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 5)), max_size=12))
def test_conflicts_are_exactly_the_pairs_that_overlap(spans: list[tuple[int, int]]) -> None:
    from domain.appointment import appointment_of, fold
    from domain.contract import read_envelope
    from domain.envelope import Envelope
    from projections.queries.conflicts import conflicts_of

    appointments = []
    for number, (start, length) in enumerate(spans):
        raw = envelope(number + 1, id=f"a{number}", startDate=moment(start), endDate=moment(start + min(length, 3)))
        read = read_envelope(raw)
        assert isinstance(read, Envelope)
        appointments.append(appointment_of(fold(None, [read])))

    def overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
        (first, first_end), (second, second_end) = sorted(
            ((start, start + min(length, 3)) for start, length in (one, other)),
            key=lambda span: (span[0], span[0] - span[1]),
        )
        return first <= second < first_end if second == second_end else second < first_end

    expected = {
        frozenset({f"a{i}", f"a{j}"}) for i, j in combinations(range(len(spans)), 2) if overlap(spans[i], spans[j])
    }
    assert {frozenset({one.first.id, one.second.id}) for one in conflicts_of(appointments)} == expected


def test_figures_count_by_status_by_whom_and_why_and_add_up_the_hours(place: Place) -> None:
    schedules = project(
        place,
        envelope(1, id="planned", startDate=moment(9), endDate=moment(10, 30)),
        envelope(2, id="undated", startDate=None, endDate=None),
        envelope(3, id="done", status="DONE", startDate=moment(11), endDate=moment(11, 45)),
        envelope(4, id="moved", startDate=moment(9, day=11)),
        envelope(5, id="moved", startDate=moment(10, day=11), endDate=moment(10, day=11)),
        envelope(6, id="off", status="CANCELED", canceledBy="TALENT", cancelationReason="TALENT_NO_SHOW"),
        envelope(7, id="off too", status="CANCELED"),
        envelope(8, id="gone", deletedAt=moment(1)),
    )
    figures = schedules.figures(talent_id="talent-1")
    assert figures.appointments == 6
    assert figures.by_status == {"PLANNED": 3, "DONE": 1, "CANCELED": 2}
    assert figures.canceled_by == {"TALENT": 1, None: 1}
    assert figures.cancelation_reasons == {"TALENT_NO_SHOW": 1, None: 1}
    assert (figures.no_shows, figures.reschedules) == (1, 1)
    assert (figures.hours_planned, figures.hours_done) == (1.5, 0.75)
    assert (figures.position, figures.lag, figures.generation) == (8, 0, 1)
    in_window = schedules.figures(
        coach_id="coach-1", start=datetime(2023, 7, 11, tzinfo=UTC), end=datetime(2023, 7, 12, tzinfo=UTC)
    )
    assert in_window.by_status == {"PLANNED": 1, "DONE": 0, "CANCELED": 0}
    assert schedules.figures(talent_id="nobody").appointments == 0


def test_a_calendar_read_back_says_what_the_schedule_says(place: Place) -> None:
    schedule: Schedule = project(
        place,
        envelope(1, id="a", title="Séance; Découverte, №1", description="Bilan\nà mi-parcours"),
        envelope(2, id="a", title="Séance; Découverte, №1", updatedAt=moment(7, day=3)),
        envelope(3, id="b", status="CANCELED", startDate=moment(12), endDate=None),
        envelope(4, id="undated", startDate=None),
        envelope(5, id="c", status="DONE", startDate=moment(13), endDate=moment(12)),
    ).talent("talent-1")
    calendar = Calendar.from_ical(schedule.to_ical())
    events: dict[str, Any] = {str(one["UID"]): one for one in calendar.walk("VEVENT")}
    assert events.keys() == {"a", "b", "c"}
    assert [int(events[one]["SEQUENCE"]) for one in "abc"] == [1, 0, 0]
    assert [str(events[one]["STATUS"]) for one in "abc"] == ["CONFIRMED", "CANCELLED", "CONFIRMED"]
    assert str(events["a"]["SUMMARY"]) == "Séance; Découverte, №1"
    assert events["a"].start == datetime(2023, 7, 10, 9, tzinfo=UTC)
    assert events["a"].end == datetime(2023, 7, 10, 10, tzinfo=UTC)
    assert events["a"]["LAST-MODIFIED"].dt == datetime(2023, 7, 3, 7, tzinfo=UTC)
    assert "DTEND" not in events["b"]
    assert "DTEND" not in events["c"]
    assert b"DTSTART:20230710T090000Z" in schedule.to_ical()


def test_a_calendar_without_its_library_says_what_to_install(
    memory_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = project(memory_place, envelope(1)).talent("talent-1")
    monkeypatch.setitem(sys.modules, "icalendar", None)
    with pytest.raises(UsageError, match=r"appointments\[ical\]"):
        schedule.to_ical()


def test_dicts_for_a_data_frame_are_flat_and_keep_real_times(place: Place) -> None:
    [row] = project(place, envelope(1)).talent("talent-1").to_dicts()
    assert row["start_date"] == datetime(2023, 7, 10, 9, tzinfo=UTC)
    assert not any(isinstance(value, (list, tuple, dict)) for value in row.values())
