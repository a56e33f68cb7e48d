"""The options that several commands share."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Annotated, Final

import typer

from projections.logs import LogFormat
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
Limit = Annotated[int | None, typer.Option("--limit", metavar="N", help="At most N, from 1 to 10,000.")]
After = Annotated[
    str | None, typer.Option("--after", metavar="CURSOR", help="Start where the page that gave this cursor ended.")
]
AtLeast = Annotated[
    int | None,
    typer.Option("--at-least", metavar="POSITION", help="Wait until the read models have reached this position."),
]


def _seconds(value: float | None) -> float | None:
    if value is not None and not 0 <= value <= _SECONDS_MAX:  # false for NaN too
        raise typer.BadParameter(f"expected 0 to {_SECONDS_MAX:,} seconds, found {value}")
    return value


def _log_level(value: str) -> str:
    if value not in ("debug", "info", "warning", "error"):
        raise typer.BadParameter(f"expected debug, info, warning or error, found {value!r}")
    return value


Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        callback=_seconds,
        help="How long the query may take, including the wait for --at-least. [the URL's timeout, else 30]",
    ),
]
Zone = Annotated[
    str | None,
    typer.Option(
        "--tz", metavar="ZONE", help="The zone of TIMEs without an offset, and of the output. [the machine's]"
    ),
]
Now = Annotated[str | None, typer.Option("--now", metavar="TIME", help="Use TIME as the present time. [the clock]")]
From = Annotated[
    str | None,
    typer.Option("--from", metavar="TIME", help="Only those that end after TIME, or begin then or later."),
]
To = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Only those that begin before TIME.")]
Status = Annotated[
    list[str] | None, typer.Option("--status", metavar="S", help="PLANNED, DONE or CANCELED; repeatable.")
]
Upcoming = Annotated[bool, typer.Option("--upcoming", help="The same as --from NOW.")]
Past = Annotated[bool, typer.Option("--past", help="Only those with a date that are not upcoming.")]
AppointmentType = Annotated[
    str | None,
    typer.Option("--appointment-type", "--type", metavar="T", help="Only STANDALONE, PART_ONE or PART_TWO."),
]
SubphaseId = Annotated[
    str | None, typer.Option("--subphase-id", "--subphase", metavar="ID", help="Only of this subphase.")
]
KnownAt = Annotated[
    str | None,
    typer.Option("--known-at", metavar="TIME", help="Use only envelopes that had arrived by TIME."),
]
AsOf = Annotated[str | None, typer.Option("--as-of", metavar="TIME", help="Use only envelopes published up to TIME.")]
LogFormatOption = Annotated[LogFormat, typer.Option("--log-format", help="How standard error tells what is done.")]
QuietLogFormat = Annotated[
    LogFormat | None,
    typer.Option(
        "--log-format", help="Tell on standard error what is done. [only warnings, and after a minute how far it is]"
    ),
]
LogLevel = Annotated[
    str,
    typer.Option(
        "--log-level", metavar="LEVEL", help="debug (every batch too), info, warning or error.", callback=_log_level
    ),
]
Patience = Annotated[
    float | None,
    typer.Option(
        "--patience", metavar="SECONDS", callback=_seconds, help="How long a database may be away. [for ever]"
    ),
]
Dask = Annotated[
    str | None,
    typer.Option("--dask", metavar="ADDRESS", help="Use the workers of this Dask scheduler, as in tcp://host:8786."),
]
Talent = Annotated[str | None, typer.Option("--talent", metavar="ID", help="Of this talent's schedule.")]
Coach = Annotated[str | None, typer.Option("--coach", metavar="ID", help="Of this coach's schedule.")]
Desc = Annotated[
    bool, typer.Option("--desc", help="Latest first; appointments without a date are last in either order.")
]
IncludeDeleted = Annotated[bool, typer.Option("--include-deleted", help="Include deleted appointments.")]
Ical = Annotated[bool, typer.Option("--ical", help="Print an iCalendar file instead of text.")]


def time_option(value: str | None, zone: tzinfo | None) -> datetime | None:
    """The time that an option gives, read in a zone unless it has an offset; None when the option was not given."""
    return None if value is None else time_of(value, zone)
