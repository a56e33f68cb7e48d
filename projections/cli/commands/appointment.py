"""`appointments appointment`: one appointment with its lifecycle."""

from __future__ import annotations

from typing import Annotated

import typer

from projections.appointments import Appointments
from projections.cli.options import AtLeast, Db, Json, Schema, Timeout, Zone
from projections.cli.terminal import print_json
from projections.cli.timetable import print_appointment
from projections.queries.times import zone_named


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
        answer = appointments.schedules.appointment(appointment_id, at_least=at_least, timeout=timeout)
    if as_json:
        print_json(answer.to_json())
    else:
        print_appointment(answer, zone)
