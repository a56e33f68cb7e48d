"""`appointments changes`: what changed in a schedule since a token."""

from __future__ import annotations

from datetime import tzinfo
from typing import Annotated

import typer

from projections.appointments import Appointments
from projections.cli.options import AtLeast, Coach, Db, From, Json, Schema, Talent, Timeout, To, Zone, time_option
from projections.cli.terminal import console, plain_table, print_json, show, stacked, status_text, text
from projections.cli.timetable import clock
from projections.queries.changes import Changes
from projections.queries.times import zone_named


def changes(
    db: Db = None,
    schema: Schema = None,
    as_json: Json = False,
    talent: Talent = None,
    coach: Coach = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TOKEN", help="The token that the previous answer gave.")
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
        found = appointments.schedules.changes(
            talent_id=talent,
            coach_id=coach,
            since=since,
            start=time_option(start, zone),
            end=time_option(end, zone),
            at_least=at_least,
            timeout=timeout,
        )
    if as_json:
        print_json(found.to_json())
    else:
        _print(found, zone)


def _print(found: Changes, zone: tzinfo | None) -> None:
    table = plain_table("change", "start", "appointment")
    for change in found:
        one = change.appointment
        if one is None:
            table.add_row(text("removed", "red"), "", text(change.id))
        else:
            shown = "" if one.start_date is None else clock(one.start_date, zone)
            table.add_row(status_text(one.status), shown, stacked(one.heading, one.id))
    out = console()
    show(out, table if len(found) else "Nothing changed.")
    out.print(f"Next: --since {found.token}", soft_wrap=True)
