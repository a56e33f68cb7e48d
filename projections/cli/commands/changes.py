"""`appointments changes`: what changed in a schedule since a token."""

from __future__ import annotations

from datetime import tzinfo
from typing import Annotated

import typer
from rich.text import Text

from projections.appointments import Appointments
from projections.cli.options import AtLeast, Coach, Db, From, Json, Schema, Talent, Timeout, To, Zone, time_option
from projections.cli.terminal import console, show, show_rows, status_text, text
from projections.cli.timetable import clock
from projections.cli.writing import print_json_list
from projections.queries.changes import Change, ChangesStream
from projections.queries.documents import document_of
from projections.queries.filters import Filters, owner_of
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
    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="N", help="At most N, from 1 to 10,000; the token goes on from there."),
    ] = None,
    at_least: AtLeast = None,
    timeout: Timeout = None,
    tz: Zone = None,
) -> None:
    """Prints what changed in a schedule since a token, and the token for the next time."""
    zone = zone_named(tz)
    with Appointments.open(db, schema=schema) as appointments:
        side, owner_id = owner_of(talent, coach)
        window = Filters(start=time_option(start, zone), end=time_option(end, zone))
        with appointments.schedules.changes_stream(
            side, owner_id, window, since=since, limit=limit, at_least=at_least, timeout=timeout
        ) as found:
            if as_json:
                elements = (document_of(one.to_dict()) for one in found)
                print_json_list({}, "changes", elements, lambda: {"token": found.token, **found.stamp.to_json()})
            else:
                _print(found, zone)


def _print(found: ChangesStream, zone: tzinfo | None) -> None:
    out = console()
    if show_rows(out, ("change", "start", "appointment"), (_cells(one, zone) for one in found)) == 0:
        show(out, "Nothing changed.")
    out.print(f"{'More' if found.more else 'Next'}: --since {found.token}", soft_wrap=True)


def _cells(change: Change, zone: tzinfo | None) -> tuple[list[Text], ...]:
    one = change.appointment
    if one is None:
        return [text("removed", "red")], [], [text(change.id)]
    start = [] if one.start_date is None else [text(clock(one.start_date, zone))]
    return [status_text(one.status)], start, [text(one.heading), text(one.id)]
