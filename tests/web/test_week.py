"""The layout of a week: every appointment where its clock says, none on top of another."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import combinations
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.appointment import Appointment, appointment_of, fold
from domain.contract import read_envelope
from domain.envelope import Envelope
from domain.errors import UsageError
from projections.web.week import ROWS_A_DAY, ROWS_MIN, Week, bounds_of, monday_of, week_of
from tests.support.builders import as_json, envelope

PARIS = ZoneInfo("Europe/Paris")
ZONES = (
    "UTC", "Europe/Paris", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Sao_Paulo",
    "Pacific/Apia", "America/St_Johns", "Asia/Beirut", "Africa/Casablanca", "Pacific/Kiritimati",
)  # fmt: skip
DATES = (
    date(2023, 3, 26), date(2023, 10, 29), date(2018, 11, 4), date(2011, 12, 30), date(2006, 4, 2), date(2023, 7, 10),
    date(2006, 10, 29), date(2024, 2, 29),
)  # fmt: skip


def appointment(number: int, start: datetime | None, end: datetime | None = None) -> Appointment:
    said = envelope(
        id=f"a-{number}",
        startDate=start and start.astimezone(UTC).isoformat(),
        endDate=end and end.astimezone(UTC).isoformat(),
    )
    read = read_envelope(as_json(said))
    assert isinstance(read, Envelope)
    return appointment_of(fold(None, [read]))


def at(text: str, zone: ZoneInfo = PARIS, *, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold)


def shown(week: Week) -> list[tuple[int, str, int, int, int]]:
    return [
        (number, block.appointment.id, block.row, block.rows, block.lane)
        for number, day in enumerate(week.days)
        for block in day.blocks
    ]


def test_an_hour_stands_at_its_hour_in_the_zone() -> None:
    one = appointment(1, at("2023-07-11T09:00"), at("2023-07-11T10:00"))
    assert shown(week_of(date(2023, 7, 10), PARIS, [one])) == [(1, "a-1", 36, 4, 0)]
    assert shown(week_of(date(2023, 7, 10), ZoneInfo("America/New_York"), [one])) == [(1, "a-1", 12, 4, 0)]
    assert shown(week_of(date(2023, 7, 10), ZoneInfo("Asia/Kathmandu"), [one])) == [(1, "a-1", 51, 4, 0)]


def test_one_over_midnight_is_on_both_days_and_one_over_weeks_on_every_day() -> None:
    over_midnight = appointment(1, at("2023-07-11T23:30"), at("2023-07-12T01:00"))
    assert shown(week_of(date(2023, 7, 10), PARIS, [over_midnight])) == [(1, "a-1", 94, 2, 0), (2, "a-1", 0, 4, 0)]
    for_weeks = appointment(1, at("2023-07-01T00:00"), at("2023-08-01T00:00"))
    assert shown(week_of(date(2023, 7, 10), PARIS, [for_weeks])) == [
        (day, "a-1", 0, ROWS_A_DAY, 0) for day in range(7)
    ]


def test_those_that_overlap_stand_side_by_side_and_a_later_one_takes_a_lane_that_is_free() -> None:
    several = [
        appointment(1, at("2023-07-10T09:00"), at("2023-07-10T11:00")),
        appointment(2, at("2023-07-10T09:30"), at("2023-07-10T10:00")),
        appointment(3, at("2023-07-10T10:00"), at("2023-07-10T11:00")),
        appointment(4, at("2023-07-10T11:00"), at("2023-07-10T12:00")),
    ]
    [first, second] = week_of(date(2023, 7, 10), PARIS, several).days[0].clusters
    assert (first.lanes, [block.lane for block in first.blocks]) == (2, [0, 1, 1])
    assert (second.lanes, [block.appointment.id for block in second.blocks]) == (1, ["a-4"])


def test_the_hour_that_comes_twice_holds_both_of_its_appointments_side_by_side() -> None:
    second_time = at("2023-10-29T02:00", fold=1)
    first = appointment(1, at("2023-10-29T02:00"), second_time)
    second = appointment(2, second_time, at("2023-10-29T03:00"))
    sunday = week_of(date(2023, 10, 23), PARIS, [first, second]).days[6]
    assert sunday.hours == 25
    assert [(block.row, block.rows, block.lane) for block in sunday.blocks] == [(8, 4, 0), (8, 4, 1)]


def test_an_appointment_over_the_hour_that_is_skipped_ends_where_its_clock_says() -> None:
    one = appointment(1, at("2023-03-26T01:30"), at("2023-03-26T03:30"))
    sunday = week_of(date(2023, 3, 20), PARIS, [one]).days[6]
    assert (sunday.hours, [(block.row, block.rows) for block in sunday.blocks]) == (23, [(6, 8)])


def test_a_day_that_a_zone_skipped_has_no_hours() -> None:
    week = week_of(date(2011, 12, 26), ZoneInfo("Pacific/Apia"), [])
    assert [day.hours for day in week.days] == [24, 24, 24, 24, 0, 24, 24]


def test_what_has_no_date_stands_beside() -> None:
    assert [one.id for one in week_of(date(2023, 7, 10), PARIS, [appointment(1, None)]).undated] == ["a-1"]


def test_the_grid_shows_office_hours_and_what_else_is_needed() -> None:
    assert week_of(date(2023, 7, 10), PARIS, []).first_hour == 8
    early = week_of(date(2023, 7, 10), PARIS, [appointment(1, at("2023-07-10T06:50"), at("2023-07-10T19:10"))])
    assert (early.first_hour, early.end_hour) == (6, 20)


@pytest.mark.parametrize("day", [date(1899, 12, 31), date.max, date.min])
def test_a_week_of_no_sensible_year_is_refused(day: date) -> None:
    with pytest.raises(UsageError, match="1900 to 2999"):
        monday_of(day)


@st.composite
def weeks(draw: st.DrawFn) -> tuple[Week, list[Appointment], datetime, datetime]:
    zone = ZoneInfo(draw(st.sampled_from(ZONES)))
    monday = monday_of(draw(st.sampled_from(DATES)))
    start, end = bounds_of(monday, zone)
    starts = draw(st.lists(st.integers(-3000, 12_000), max_size=12))
    several = [
        appointment(number, begins, begins + timedelta(minutes=draw(st.integers(-60, 3000))))
        for number, begins in enumerate(start + timedelta(minutes=minute) for minute in starts)
    ]
    return week_of(monday, zone, several), several, start, end


@given(weeks())
def test_nothing_stands_on_top_of_another_and_every_row_is_one_of_the_day(
    drawn: tuple[Week, list[Appointment], datetime, datetime],
) -> None:
    for day in drawn[0].days:
        for cluster in day.clusters:
            for block in cluster.blocks:
                assert 0 <= block.row < block.row + block.rows <= ROWS_A_DAY
                assert block.rows >= ROWS_MIN
                assert block.lane < cluster.lanes
                assert cluster.row <= block.row
                assert block.row + block.rows <= cluster.row + cluster.rows
        for one, other in combinations(day.blocks, 2):
            in_same_rows = one.row < other.row + other.rows and other.row < one.row + one.rows
            together = any({one, other} <= set(cluster.blocks) for cluster in day.clusters)
            assert not in_same_rows or (together and one.lane != other.lane)


@given(weeks())
def test_the_blocks_of_an_appointment_are_its_time_in_the_week_cut_at_midnights(
    drawn: tuple[Week, list[Appointment], datetime, datetime],
) -> None:
    week, several, week_start, week_end = drawn
    assert [day.start for day in week.days[1:]] == [day.end for day in week.days[:-1]]
    for one in several:
        assert one.start_date
        start, end = one.start_date, max(one.start_date, one.end_date or one.start_date)
        blocks = [block for day in week.days for block in day.blocks if block.appointment == one]
        is_in = start < week_end and (end > week_start or start >= week_start)
        assert bool(blocks) is is_in
        if blocks:
            assert (blocks[0].start, blocks[-1].end) == (max(start, week_start), min(end, week_end))
            assert [block.end for block in blocks[:-1]] == [block.start for block in blocks[1:]]


@given(st.sampled_from(ZONES), st.dates(date(1970, 1, 1), date(2100, 1, 1)))
@example("Pacific/Apia", date(2011, 12, 30))
def test_the_days_of_a_week_have_all_its_hours(zone: str, day: date) -> None:
    monday = monday_of(day)
    start, end = bounds_of(monday, ZoneInfo(zone))
    week = week_of(monday, ZoneInfo(zone), [])
    assert sum(one.hours for one in week.days) == pytest.approx((end - start) / timedelta(hours=1))
