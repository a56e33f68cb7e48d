"""The options that several commands share."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Annotated, Final

import typer

from projections.queries.times import time_of

_SECONDS_MAX: Final = 86_400

Db = Annotated[
    str | None,
    typer.Option(
        "--db",
        metavar="URL",
        help="Where the data is: sqlite:///FILE or postgresql://... [env: APPOINTMENTS_DB, else"
        " sqlite:///appointments.db]",
    ),
]
Schema = Annotated[
    str | None,
    typer.Option(
        "--schema",
        metavar="NAME",
        help="The PostgreSQL schema of the installation. [env: APPOINTMENTS_SCHEMA, else appointments]",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Limit = Annotated[int | None, typer.Option("--limit", metavar="N", help="At most so many, 1 to 10,000.")]
After = Annotated[
    str | None, typer.Option("--after", metavar="CURSOR", help="Start where the page that gave this cursor ended.")
]
AtLeast = Annotated[
    int | None,
    typer.Option("--at-least", metavar="POSITION", help="Wait until the read model has reached this position."),
]


def _seconds(value: float | None) -> float | None:
    if value is not None and not 0 <= value <= _SECONDS_MAX:  # false for NaN too
        raise typer.BadParameter(f"expected 0 to {_SECONDS_MAX:,} seconds, found {value}")
    return value


Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        callback=_seconds,
        help="How long the question may take, the wait for --at-least included. [what the URL says, else 30]",
    ),
]
Zone = Annotated[
    str | None,
    typer.Option("--tz", metavar="ZONE", help="The zone of times without an offset, read and shown. [the machine's]"),
]
Now = Annotated[str | None, typer.Option("--now", metavar="TIME", help="What counts as now. [the present time]")]
From = Annotated[
    str | None, typer.Option("--from", metavar="TIME", help="Only what ends after this, or begins then or later.")
]
To = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Only what begins before this.")]
Status = Annotated[
    list[str] | None, typer.Option("--status", metavar="S", help="PLANNED, DONE or CANCELED; repeatable.")
]
Upcoming = Annotated[bool, typer.Option("--upcoming", help="The same as --from NOW.")]
Past = Annotated[bool, typer.Option("--past", help="Only what is dated and not upcoming.")]
AppointmentType = Annotated[
    str | None,
    typer.Option("--appointment-type", "--type", metavar="T", help="Only STANDALONE, PART_ONE or PART_TWO."),
]
SubphaseId = Annotated[
    str | None, typer.Option("--subphase-id", "--subphase", metavar="ID", help="Only of this subphase.")
]
KnownAt = Annotated[
    str | None,
    typer.Option("--known-at", metavar="TIME", help="As the envelopes that had arrived by then give it."),
]
AsOf = Annotated[
    str | None, typer.Option("--as-of", metavar="TIME", help="As the envelopes published until then give it.")
]
Talent = Annotated[str | None, typer.Option("--talent", metavar="ID", help="Of this talent's schedule.")]
Coach = Annotated[str | None, typer.Option("--coach", metavar="ID", help="Of this coach's schedule.")]
Desc = Annotated[
    bool, typer.Option("--desc", help="Latest first; appointments without a date are last in either order.")
]
IncludeDeleted = Annotated[bool, typer.Option("--include-deleted", help="With the softly deleted ones.")]
Ical = Annotated[bool, typer.Option("--ical", help="Print an iCalendar file instead of text.")]


def time_option(value: str | None, zone: tzinfo | None) -> datetime | None:
    """The time that an option gives, read in a zone unless it has an offset; None when the option was not given."""
    return None if value is None else time_of(value, zone)
