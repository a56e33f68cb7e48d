"""`appointments figures`: counts and hours of a schedule."""

from __future__ import annotations

from typing import Any

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
    Status,
    SubphaseId,
    Talent,
    Timeout,
    To,
    Upcoming,
    Zone,
    time_option,
)
from projections.cli.terminal import console, plain_table, print_json, show, text
from projections.queries.times import zone_named


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
    known_at: KnownAt = None,
    at_least: AtLeast = None,
    timeout: Timeout = None,
    tz: Zone = None,
) -> None:
    """Prints counts by status, reason and who, and hours."""
    zone = zone_named(tz)
    with Appointments.open(db, schema=schema) as appointments:
        found = appointments.schedules.figures(
            talent_id=talent, coach_id=coach, status=status or None, start=time_option(start, zone),
            end=time_option(end, zone), now=time_option(now, zone), as_of=time_option(as_of, zone),
            known_at=time_option(known_at, zone),
            upcoming=upcoming, past=past, appointment_type=appointment_type, subphase_id=subphase_id,
            at_least=at_least, timeout=timeout,
        )  # fmt: skip
    if as_json:
        print_json(found.to_json())
    else:
        _print(found.to_json())


def _print(document: dict[str, Any]) -> None:
    table = plain_table("figure", "value #")
    table.show_header = False
    for name, value in document.items():
        if isinstance(value, dict):
            for part, count in value.items():
                table.add_row(text(f"{name.replace('_', ' ')} {part}"), str(count))
        else:
            table.add_row(name.replace("_", " "), f"{value:,.2f}" if isinstance(value, float) else f"{value:,}")
    show(console(), table)
