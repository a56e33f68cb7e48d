"""`appointments history`: every revision of one appointment."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Annotated

import typer

from projections.appointments import Appointments
from projections.cli.options import Db, Json, Schema, Timeout, Zone
from projections.cli.terminal import console, plain_table, print_json, show, text
from projections.cli.timetable import clock
from projections.queries.history import History
from projections.queries.times import zone_named


def history(
    appointment_id: Annotated[str, typer.Argument(metavar="ID")],
    db: Db = None,
    schema: Schema = None,
    as_json: Json = False,
    timeout: Timeout = None,
    tz: Zone = None,
) -> None:
    """Prints every revision of one appointment: what changed, when, by which envelope."""
    zone = zone_named(tz)
    with Appointments.open(db, schema=schema) as appointments:
        found = appointments.schedules.history(appointment_id, timeout=timeout)
    if as_json:
        print_json(found.to_json())
    else:
        _print(found, zone)


def _print(found: History, zone: tzinfo | None) -> None:
    out = console()
    for revision in found.revisions:
        head = f"Envelope {revision.event_id}  {clock(revision.at, zone)}  position {revision.position}"
        out.print(text(head, "bold"), text("  arrived late" if revision.late else "", "yellow"), sep="")
        if revision.arrived_at is not None:
            out.print(text(f"  arrived {clock(revision.arrived_at, zone)}", "dim"))
        table = plain_table("field", "old", "new")
        table.show_header = False
        for change in revision.changes:
            table.add_row(
                text(f"  {change.field}"), text(_shown(change.old, zone), "dim"), text(_shown(change.new, zone))
            )
        show(out, table if revision.changes else "  nothing changed")


def _shown(value: object, zone: tzinfo | None) -> object:
    return clock(value, zone) if isinstance(value, datetime) else "-" if value is None else value
