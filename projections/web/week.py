"""The layout of a week of appointments in a time zone: which day, which rows, side by side where they overlap.

The grid has one row for a quarter of an hour on the clock, so that nine o'clock is at one height on all days. On the
day on which clocks go back, what happens in the hour that comes twice stands in the same rows, side by side.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import partial
from typing import Final

from domain.appointment import Appointment
from domain.errors import UsageError
from projections.queries.times import local

ROW_MINUTES: Final = 15
ROWS_AN_HOUR: Final = 60 // ROW_MINUTES
ROWS_A_DAY: Final = 24 * ROWS_AN_HOUR

ROWS_MIN: Final = 2
"""The fewest rows in which the words of an appointment can be read."""

OFFICE_HOURS: Final = (8, 18)
"""The hours that every grid shows."""

YEARS: Final = (1900, 2999)

_INSTANT: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Block:
    """The part of an appointment that is on one day.

    Attributes:
        start: when this part begins.
        end: when it ends; the same moment for an appointment of no length.
        row: the first of the day's rows that it takes, counted from midnight.
        rows: how many it takes.
        lane: which of the cluster's columns it takes, from 0.
    """

    appointment: Appointment
    start: datetime
    end: datetime
    row: int
    rows: int
    lane: int = 0


@dataclass(frozen=True, slots=True)
class Cluster:
    """Blocks of one day that overlap, directly or through others; no two of them take the same row of one lane."""

    row: int
    rows: int
    lanes: int
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Day:
    """One day: how long it is by a stopwatch, and what is on it, by the row in which it begins."""

    date: date
    start: datetime
    end: datetime
    clusters: tuple[Cluster, ...]

    @property
    def hours(self) -> float:
        """24, but for the days on which clocks are put forward or back."""
        return (self.end - self.start) / timedelta(hours=1)

    @property
    def blocks(self) -> list[Block]:
        """What is on this day, by its start, as a list shows it."""
        blocks = [block for cluster in self.clusters for block in cluster.blocks]
        return sorted(blocks, key=lambda block: (block.start, block.end, block.appointment.id))


@dataclass(frozen=True, slots=True)
class Week:
    """Seven days from a Monday on, and what has no date. The grid shows the hours from `first_hour` to `end_hour`."""

    days: tuple[Day, ...]
    undated: tuple[Appointment, ...]
    first_hour: int
    end_hour: int

    @property
    def monday(self) -> date:
        """The first day."""
        return self.days[0].date

    @property
    def sunday(self) -> date:
        """The last day."""
        return self.days[-1].date


def monday_of(day: date) -> date:
    """The first day of a day's week.

    Raises:
        UsageError: there is hardly an appointment in such a year, and calendars end near the year 9999.
    """
    monday = monday_shown(day)
    if monday is None:
        raise UsageError(f"expected a week of the years {YEARS[0]} to {YEARS[1]}, found {day}", argument="week")
    return monday


def monday_shown(day: date) -> date | None:
    """The first day of a day's week; None in years that pages do not show, where an appointment may still be."""
    return day - timedelta(days=day.weekday()) if YEARS[0] <= day.year <= YEARS[1] else None


def midnight(day: date, zone: tzinfo | None) -> datetime:
    """When a day begins in a zone, in UTC; where clocks skip midnight, the moment at which they do."""
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)


def bounds_of(monday: date, zone: tzinfo | None) -> tuple[datetime, datetime]:
    """When a week begins and ends in a zone, in UTC."""
    return midnight(monday, zone), midnight(monday + timedelta(days=7), zone)


def week_of(monday: date, zone: tzinfo | None, appointments: Iterable[Appointment]) -> Week:
    """The layout of a week; appointments outside of it are left out."""
    given = tuple(appointments)
    dates = [monday + timedelta(days=number) for number in range(7)]
    days = tuple(_day(one, zone, given) for one in dates)
    rows = [(block.row, block.row + block.rows) for day in days for block in day.blocks]
    return Week(
        days=days,
        undated=tuple(one for one in given if one.start_date is None),
        first_hour=min([OFFICE_HOURS[0], *(first // ROWS_AN_HOUR for first, _ in rows)]),
        end_hour=max([OFFICE_HOURS[1], *(-(-end // ROWS_AN_HOUR) for _, end in rows)]),
    )


def _day(day: date, zone: tzinfo | None, appointments: Sequence[Appointment]) -> Day:
    start, end = midnight(day, zone), midnight(day + timedelta(days=1), zone)
    blocks = []
    for one in appointments:
        if one.start_date is None:
            continue
        ends = max(one.start_date, one.end_date or one.start_date)
        if one.start_date < end and (ends > start or one.start_date >= start):
            blocks.append(_block(one, max(one.start_date, start), min(ends, end), day, zone))
    return Day(day, start, end, tuple(_clusters(blocks)))


def _block(one: Appointment, start: datetime, end: datetime, day: date, zone: tzinfo | None) -> Block:
    first, last = _minutes_on_the_clock(start, end, day, zone)
    row, row_end = int(first // ROW_MINUTES), int(-(-last // ROW_MINUTES))
    row = max(0, min(row, ROWS_A_DAY - ROWS_MIN))
    return Block(one, start, end, row, min(max(row_end - row, ROWS_MIN), ROWS_A_DAY - row))


def _minutes_on_the_clock(start: datetime, end: datetime, day: date, zone: tzinfo | None) -> tuple[float, float]:
    """The lowest and the highest minute of a day that its clocks show between two moments of it."""
    shown = partial(_minute, day, zone)
    if end <= start:
        return shown(start), shown(start)
    last = end - _INSTANT
    turn = _change_of_offset(start, last, zone)
    if turn is None:
        return shown(start), shown(last)
    return min(shown(start), shown(turn)), max(shown(turn - _INSTANT), shown(last))


def _minute(day: date, zone: tzinfo | None, moment: datetime) -> float:
    since = local(moment, zone).replace(tzinfo=None) - datetime.combine(day, time())
    return since / timedelta(minutes=1)


def _change_of_offset(start: datetime, last: datetime, zone: tzinfo | None) -> datetime | None:
    """The first moment of the offset that a zone has at the end; None where it has the same all the time."""
    before, after = (local(moment, zone).utcoffset() for moment in (start, last))
    if before == after:
        return None
    while last - start > _INSTANT:
        middle = start + (last - start) // 2
        if local(middle, zone).utcoffset() == before:
            start = middle
        else:
            last = middle
    return last


def _clusters(blocks: Sequence[Block]) -> Iterable[Cluster]:
    """The blocks in clusters, each block in the first lane that is free in its rows."""
    cluster: list[Block] = []
    ends: list[int] = []
    for block in sorted(blocks, key=lambda one: (one.row, -one.rows, one.start, one.appointment.id)):
        if cluster and block.row >= max(ends):
            yield _cluster(cluster, ends)
            cluster, ends = [], []
        lane = next((number for number, end in enumerate(ends) if end <= block.row), len(ends))
        ends[lane : lane + 1] = [block.row + block.rows]
        cluster.append(_in_lane(block, lane))
    if cluster:
        yield _cluster(cluster, ends)


def _in_lane(block: Block, lane: int) -> Block:
    return Block(block.appointment, block.start, block.end, block.row, block.rows, lane)


def _cluster(blocks: list[Block], ends: list[int]) -> Cluster:
    return Cluster(blocks[0].row, max(ends) - blocks[0].row, len(ends), tuple(blocks))
