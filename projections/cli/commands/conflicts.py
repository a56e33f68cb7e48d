"""`appointments conflicts`: planned appointments that overlap."""

from __future__ import annotations

from datetime import tzinfo

from projections.appointments import Appointments
from projections.cli.options import (
    AppointmentType,
    AsOf,
    AtLeast,
    Coach,
    Db,
    From,
    Json,
    KnownAt,
    Now,
    Past,
    Schema,
    SubphaseId,
    Talent,
    Timeout,
    To,
    Upcoming,
    Zone,
    time_option,
)
from projections.cli.terminal import console, plain_table, print_json, show, stacked
from projections.cli.timetable import hours
from projections.queries.conflicts import Conflicts
from projections.queries.times import local, zone_label, zone_named


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
    known_at: KnownAt = None,
    at_least: AtLeast = None,
    timeout: Timeout = None,
    tz: Zone = None,
) -> None:
    """Prints the PLANNED appointments that overlap."""
    zone = zone_named(tz)
    with Appointments.open(db, schema=schema) as appointments:
        found = appointments.schedules.conflicts(
            talent_id=talent, coach_id=coach, start=time_option(start, zone), end=time_option(end, zone),
            now=time_option(now, zone), as_of=time_option(as_of, zone), known_at=time_option(known_at, zone),
            upcoming=upcoming, past=past,
            appointment_type=appointment_type, subphase_id=subphase_id, at_least=at_least, timeout=timeout,
        )  # fmt: skip
    if as_json:
        print_json(found.to_json())
    else:
        _print(found, zone)


def _print(found: Conflicts, zone: tzinfo | None) -> None:
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
