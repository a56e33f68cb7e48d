"""Options that several commands share, each said once."""

from __future__ import annotations

from typing import Annotated, Final

import typer

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
    str | None, typer.Option("--after", metavar="CURSOR", help="Go on where the page that gave this cursor ended.")
]
AtLeast = Annotated[
    int | None,
    typer.Option("--at-least", metavar="POSITION", help="Wait until the read model has reached this position."),
]


def _seconds(value: float | None) -> float | None:
    if value is not None and not 0 <= value <= _SECONDS_MAX:  # nor NaN
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
AsOf = Annotated[
    str | None, typer.Option("--as-of", metavar="TIME", help="As the envelopes published until then give it.")
]
