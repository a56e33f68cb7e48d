"""`appointments talent` and `coach`: prints a schedule."""

from __future__ import annotations

from datetime import tzinfo
from typing import Annotated

import typer

from domain.errors import UsageError
from projections.appointments import Appointments
from projections.cli.options import (
    After,
    AppointmentType,
    AsOf,
    AtLeast,
    Db,
    Desc,
    From,
    Ical,
    IncludeDeleted,
    Json,
    KnownAt,
    Limit,
    Now,
    Past,
    Schema,
    Status,
    SubphaseId,
    Timeout,
    To,
    Upcoming,
    Zone,
    time_option,
)
from projections.cli.timetable import print_schedule
from projections.cli.writing import print_json_list, print_parts
from projections.queries.calendar import ical_parts
from projections.queries.documents import document_of
from projections.queries.filters import Filters
from projections.queries.streaming import ScheduleStream
from projections.queries.times import zone_named
from projections.rows import Side

Id = Annotated[str, typer.Argument(metavar="ID")]


def talent(
    talent_id: Id,
    db: Db = None,
    schema: Schema = None,
    as_json: Json = False,
    status: Status = None,
    start: From = None,
    end: To = None,
    upcoming: Upcoming = False,
    past: Past = False,
    now: Now = None,
    appointment_type: AppointmentType = None,
    subphase_id: SubphaseId = None,
    coach_id: Annotated[str | None, typer.Option("--coach", metavar="ID", help="Only with this coach.")] = None,
    include_deleted: IncludeDeleted = False,
    desc: Desc = False,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    at_least: AtLeast = None,
    timeout: Timeout = None,
    limit: Limit = None,
    after: After = None,
    tz: Zone = None,
    as_ical: Ical = False,
) -> None:
    """Prints a talent's schedule."""
    zone = _checked_zone(tz, as_json, as_ical)
    with Appointments.open(db, schema=schema) as appointments:
        filters = Filters(
            status=status or None, start=time_option(start, zone), end=time_option(end, zone),
            now=time_option(now, zone), as_of=time_option(as_of, zone), known_at=time_option(known_at, zone),
            upcoming=upcoming, past=past, appointment_type=appointment_type, subphase_id=subphase_id,
            include_deleted=include_deleted, desc=desc, limit=limit, after=after,
        )  # fmt: skip
        with appointments.schedules.schedule_stream(
            Side.TALENT, talent_id, filters, counterpart_id=coach_id, at_least=at_least, timeout=timeout
        ) as schedule:
            _print(schedule, zone, as_json, as_ical)


def coach(
    coach_id: Id,
    db: Db = None,
    schema: Schema = None,
    as_json: Json = False,
    status: Status = None,
    start: From = None,
    end: To = None,
    upcoming: Upcoming = False,
    past: Past = False,
    now: Now = None,
    appointment_type: AppointmentType = None,
    subphase_id: SubphaseId = None,
    talent_id: Annotated[str | None, typer.Option("--talent", metavar="ID", help="Only with this talent.")] = None,
    include_deleted: IncludeDeleted = False,
    desc: Desc = False,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    at_least: AtLeast = None,
    timeout: Timeout = None,
    limit: Limit = None,
    after: After = None,
    tz: Zone = None,
    as_ical: Ical = False,
) -> None:
    """Prints a coach's schedule."""
    zone = _checked_zone(tz, as_json, as_ical)
    with Appointments.open(db, schema=schema) as appointments:
        filters = Filters(
            status=status or None, start=time_option(start, zone), end=time_option(end, zone),
            now=time_option(now, zone), as_of=time_option(as_of, zone), known_at=time_option(known_at, zone),
            upcoming=upcoming, past=past, appointment_type=appointment_type, subphase_id=subphase_id,
            include_deleted=include_deleted, desc=desc, limit=limit, after=after,
        )  # fmt: skip
        with appointments.schedules.schedule_stream(
            Side.COACH, coach_id, filters, counterpart_id=talent_id, at_least=at_least, timeout=timeout
        ) as schedule:
            _print(schedule, zone, as_json, as_ical)


def _checked_zone(tz: str | None, as_json: bool, as_ical: bool) -> tzinfo | None:
    if as_json and as_ical:
        raise UsageError("--json and --ical exclude each other; leave one out")
    return zone_named(tz)


def _print(schedule: ScheduleStream, zone: tzinfo | None, as_json: bool, as_ical: bool) -> None:
    if as_json:
        elements = (document_of(one.to_dict()) for one in schedule)
        print_json_list(schedule.head(), "appointments", elements, lambda: {"next": schedule.next})
    elif as_ical:
        print_parts(ical_parts(schedule, schedule.side))
    else:
        print_schedule(schedule, zone)
