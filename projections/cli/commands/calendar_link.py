"""`appointments calendar-link`: the path of a person's calendar feed."""

from __future__ import annotations

from typing import Annotated

import typer

from projections.appointments import Appointments
from projections.cli.options import Coach, Db, Json, Schema, Talent
from projections.cli.terminal import print_json


def calendar_link(
    db: Db = None,
    schema: Schema = None,
    as_json: Json = False,
    talent: Talent = None,
    coach: Coach = None,
    revoke: Annotated[bool, typer.Option("--revoke", help="End the feed: its path opens nothing any more.")] = False,
) -> None:
    """Prints the path of a person's calendar feed, the same each time until it is revoked."""
    with Appointments.open(db, schema=schema) as appointments:
        if revoke:
            was_there = appointments.calendar_links.revoke(talent_id=talent, coach_id=coach)
            document = {"coach_id" if talent is None else "talent_id": talent or coach, "revoked": was_there}
            said = "revoked" if was_there else "there was no calendar link"
        else:
            link = appointments.calendar_links.link(talent_id=talent, coach_id=coach)
            document, said = link.to_json(), link.path
    if as_json:
        print_json(document)
    else:
        print(said)  # noqa: T201
