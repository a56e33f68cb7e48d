"""Commands that ask the read models."""

# Without postponed annotations: the options of `schedule_command` depend on its argument.

from collections.abc import Callable
from datetime import datetime, tzinfo
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
    From,
    Json,
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
)
from projections.cli.terminal import console, plain_table, print_bytes, print_json, show, stacked, status_text, text
from projections.cli.timetable import clock, hours, print_appointment, print_schedule
from projections.queries.filters import Filters
from projections.queries.schedule import Owners
from projections.queries.times import local, time_of, zone_label, zone_named
from projections.rows import Side


def schedule_command(side: Side) -> Callable[..., None]:
    """The command that prints the schedule of one side."""
    counterpart_option = typer.Option(f"--{side.other}", metavar="ID", help=f"Only with this {side.other}.")

    def command(
        owner_id: Annotated[str, typer.Argument(metavar="ID")],
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
        counterpart: Annotated[str | None, counterpart_option] = None,
        include_deleted: Annotated[
            bool, typer.Option("--include-deleted", help="With the softly deleted ones.")
        ] = False,
        desc: Annotated[
            bool, typer.Option("--desc", help="Latest first; what has no date is last all the same.")
        ] = False,
        as_of: AsOf = None,
        at_least: AtLeast = None,
        timeout: Timeout = None,
        limit: Limit = None,
        after: After = None,
        tz: Zone = None,
        as_ical: Annotated[bool, typer.Option("--ical", help="Print an iCalendar file instead of text.")] = False,
    ) -> None:
        if as_json and as_ical:
            raise UsageError("--json and --ical are two answers; ask for one")
        zone = zone_named(tz)
        filters = Filters(
            status=status or None,
            start=_time(start, zone),
            end=_time(end, zone),
            now=_time(now, zone),
            as_of=_time(as_of, zone),
            upcoming=upcoming,
            past=past,
            appointment_type=appointment_type,
            subphase_id=subphase_id,
            include_deleted=include_deleted,
            desc=desc,
            limit=limit,
            after=after,
        )
        with Appointments.open(db, schema=schema) as appointments:
            schedules = appointments.schedules
            if side is Side.TALENT:
                schedule = schedules.talent(
                    owner_id, coach_id=counterpart, at_least=at_least, timeout=timeout, **filters
                )
            else:
                schedule = schedules.coach(
                    owner_id, talent_id=counterpart, at_least=at_least, timeout=timeout, **filters
                )
        if as_json:
            print_json(schedule.to_json())
        elif as_ical:
            print_bytes(schedule.to_ical())
        else:
            print_schedule(schedule, zone)

    command.__doc__ = f"Prints a {side}'s schedule."
    return command


def appointment(
    appointment_id: Annotated[str, typer.Argument(metavar="ID")],
    db: Db = None,
    schema: Schema = None,
    as_json: Json = False,
    at_least: AtLeast = None,
    timeout: Timeout = None,
    tz: Zone = None,
) -> None:
    """Prints one appointment with its lifecycle."""
    zone = zone_named(tz)
    with Appointments.open(db, schema=schema) as appointments:
        schedules = appointments.schedules
        answer = schedules.appointment(appointment_id, at_least=at_least, timeout=timeout)
    if as_json:
        print_json(answer.to_json())
    else:
        print_appointment(answer, zone)


def talents(
    db: Db = None,
    schema: Schema = None,
    as_json: Json = False,
    at_least: AtLeast = None,
    timeout: Timeout = None,
    limit: Limit = None,
    after: After = None,
) -> None:
    """Lists the talents who have a schedule, with counts by status."""
    with Appointments.open(db, schema=schema) as appointments:
        schedules = appointments.schedules
        _print_owners(schedules.talents(limit=limit, after=after, at_least=at_least, timeout=timeout), as_json)


def coaches(
    db: Db = None,
    schema: Schema = None,
    as_json: Json = False,
    at_least: AtLeast = None,
    timeout: Timeout = None,
    limit: Limit = None,
    after: After = None,
) -> None:
    """Lists the coaches who have a schedule, with counts by status."""
    with Appointments.open(db, schema=schema) as appointments:
        schedules = appointments.schedules
        _print_owners(schedules.coaches(limit=limit, after=after, at_least=at_least, timeout=timeout), as_json)


Talent = Annotated[str | None, typer.Option("--talent", metavar="ID", help="Of this talent's schedule.")]
Coach = Annotated[str | None, typer.Option("--coach", metavar="ID", help="Of this coach's schedule.")]


def history(
    appointment_id: Annotated[str, typer.Argument(metavar="ID")],
    db: Db = None,
    schema: Schema = None,
    as_json: Json = False,
    tz: Zone = None,
) -> None:
    """Prints every revision of one appointment: what changed, when, by which envelope."""
    zone = zone_named(tz)
    with Appointments.open(db, schema=schema) as appointments:
        schedules = appointments.schedules
        found = schedules.history(appointment_id)
    if as_json:
        print_json(found.to_json())
        return
    out = console()
    for revision in found.revisions:
        late = "  arrived late" if revision.late else ""
        head = f"Envelope {revision.event_id}  {clock(revision.at, zone)}  position {revision.position}"
        out.print(text(head, "bold"), text(late, "yellow"), sep="")
        table = plain_table("field", "old", "new")
        table.show_header = False
        for change in revision.changes:
            table.add_row(
                text(f"  {change.field}"), text(_shown(change.old, zone), "dim"), text(_shown(change.new, zone))
            )
        show(out, table if revision.changes else "  nothing changed")


def _shown(value: object, zone: tzinfo | None) -> object:
    return clock(value, zone) if isinstance(value, datetime) else "-" if value is None else value


def changes(
    db: Db = None,
    schema: Schema = None,
    as_json: Json = False,
    talent: Talent = None,
    coach: Coach = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TOKEN", help="The token of the time before.")
    ] = None,
    start: From = None,
    end: To = None,
    at_least: AtLeast = None,
    timeout: Timeout = None,
    tz: Zone = None,
) -> None:
    """Prints what changed in a schedule since a token, and the token for the next time."""
    zone = zone_named(tz)
    with Appointments.open(db, schema=schema) as appointments:
        schedules = appointments.schedules
        found = schedules.changes(
            talent_id=talent,
            coach_id=coach,
            since=since,
            start=_time(start, zone),
            end=_time(end, zone),
            at_least=at_least,
            timeout=timeout,
        )
    if as_json:
        print_json(found.to_json())
        return
    table = plain_table("change", "start", "appointment")
    for change in found:
        one = change.appointment
        if one is None:
            table.add_row(text("removed", "red"), "", text(change.id))
        else:
            shown = "" if one.start_date is None else clock(one.start_date, zone)
            table.add_row(status_text(one.status), shown, stacked(one.title, one.id))
    out = console()
    show(out, table if len(found) else "Nothing changed.")
    out.print(f"Next: --since {found.token}", soft_wrap=True)


def conflicts(
    db: Db = None,
    schema: Schema = None,
    as_json: Json = False,
    talent: Talent = None,
    coach: Coach = None,
    start: From = None,
    end: To = None,
    upcoming: Upcoming = False,
    past: Past = False,
    now: Now = None,
    appointment_type: AppointmentType = None,
    subphase_id: SubphaseId = None,
    as_of: AsOf = None,
    at_least: AtLeast = None,
    timeout: Timeout = None,
    tz: Zone = None,
) -> None:
    """Prints the PLANNED appointments that overlap."""
    zone = zone_named(tz)
    with Appointments.open(db, schema=schema) as appointments:
        schedules = appointments.schedules
        found = schedules.conflicts(
            talent_id=talent,
            coach_id=coach,
            start=_time(start, zone),
            end=_time(end, zone),
            now=_time(now, zone),
            as_of=_time(as_of, zone),
            upcoming=upcoming,
            past=past,
            appointment_type=appointment_type,
            subphase_id=subphase_id,
            at_least=at_least,
            timeout=timeout,
        )
    if as_json:
        print_json(found.to_json())
        return
    table = plain_table("day", "both at", "appointments")
    for one in found:
        day = local(one.start, zone).date()
        table.add_row(str(day), hours(one.start, one.end, zone), stacked(one.first.id, one.second.id))
    out = console()
    if not len(found):
        out.print("No conflicts.")
        return
    show(out, table)
    out.print(f"Times in {zone_label(zone)}.", soft_wrap=True)


def figures(
    db: Db = None,
    schema: Schema = None,
    as_json: Json = False,
    talent: Talent = None,
    coach: Coach = None,
    status: Status = None,
    start: From = None,
    end: To = None,
    upcoming: Upcoming = False,
    past: Past = False,
    now: Now = None,
    appointment_type: AppointmentType = None,
    subphase_id: SubphaseId = None,
    as_of: AsOf = None,
    at_least: AtLeast = None,
    timeout: Timeout = None,
    tz: Zone = None,
) -> None:
    """Prints counts by status, reason and who, and hours."""
    zone = zone_named(tz)
    with Appointments.open(db, schema=schema) as appointments:
        schedules = appointments.schedules
        found = schedules.figures(
            talent_id=talent,
            coach_id=coach,
            status=status or None,
            start=_time(start, zone),
            end=_time(end, zone),
            now=_time(now, zone),
            as_of=_time(as_of, zone),
            upcoming=upcoming,
            past=past,
            appointment_type=appointment_type,
            subphase_id=subphase_id,
            at_least=at_least,
            timeout=timeout,
        ).to_json()
    if as_json:
        print_json(found)
        return
    table = plain_table("figure", "value #")
    table.show_header = False
    for name, value in found.items():
        if isinstance(value, dict):
            for part, count in value.items():
                table.add_row(text(f"{name.replace('_', ' ')} {part}"), str(count))
        else:
            table.add_row(name.replace("_", " "), f"{value:,.2f}" if isinstance(value, float) else f"{value:,}")
    show(console(), table)


def _time(value: str | None, zone: tzinfo | None) -> datetime | None:
    return None if value is None else time_of(value, zone)


def _print_owners(owners: Owners, as_json: bool) -> None:
    if as_json:
        print_json(owners.to_json())
        return
    table = plain_table(owners.side, "PLANNED #", "DONE #", "CANCELED #")
    for one in owners:
        table.add_row(text(one.owner_id), str(one.planned), str(one.done), str(one.canceled))
    out = console()
    show(out, table if len(owners) else f"No {owners.side} has an appointment.")
    if owners.next:
        out.print(f"More: --after {owners.next}", soft_wrap=True)
