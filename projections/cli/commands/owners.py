"""`appointments talents` and `coaches`: who has a schedule."""

from __future__ import annotations

from projections.appointments import Appointments
from projections.cli.options import After, AtLeast, Db, Json, Limit, Schema, Timeout
from projections.cli.terminal import console, plain_table, print_json, show, text
from projections.queries.schedule import Owners


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
        found = appointments.schedules.talents(limit=limit, after=after, at_least=at_least, timeout=timeout)
    _print_owners(found, as_json)


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
        found = appointments.schedules.coaches(limit=limit, after=after, at_least=at_least, timeout=timeout)
    _print_owners(found, as_json)


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
