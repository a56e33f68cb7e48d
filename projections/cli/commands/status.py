"""`appointments status`: positions, lag and counts; with --check, a health check."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from domain.errors import UsageError
from projections.appointments import Appointments
from projections.cli.exits import EXIT_FOUND
from projections.cli.options import Db, Json, Schema
from projections.cli.terminal import complain, console, plain_table, print_bytes, print_json, show

_NAMES: Final = {
    "lag": "the lag is",
    "quarantined": "the quarantine is",
    "oldest_unprojected_seconds": "the age in seconds of the oldest envelope that is not projected is",
}


def status(
    db: Db = None,
    schema: Schema = None,
    as_json: Json = False,
    check: Annotated[bool, typer.Option("--check", help="Exit 1 when a threshold is exceeded.")] = False,
    max_lag: Annotated[
        int, typer.Option("--max-lag", metavar="N", help="The highest lag that --check accepts.")
    ] = 1000,
    max_quarantined: Annotated[
        int, typer.Option("--max-quarantined", metavar="N", help="The most quarantined items that --check accepts.")
    ] = 0,
    max_lag_seconds: Annotated[
        float | None,
        typer.Option(
            "--max-lag-seconds",
            metavar="S",
            help="How long ago the oldest envelope that is not projected may have arrived for --check. [any time]",
        ),
    ] = None,
    prometheus: Annotated[
        bool, typer.Option("--prometheus", help="Print metrics in Prometheus' text format.")
    ] = False,
) -> None:
    """Prints positions, lag, generation and counts; with --check, exits 1 when a threshold is exceeded."""
    if prometheus and (as_json or check):
        raise UsageError("--prometheus is an answer of its own; leave --json and --check out")
    with Appointments.open(db, schema=schema) as appointments:
        if prometheus:
            from projections.metrics import metrics_text

            print_bytes(metrics_text(appointments))
            return
        document = appointments.status().to_json()
    if as_json:
        print_json(document)
    else:
        _print(document)
    limits = {"lag": max_lag, "quarantined": max_quarantined, "oldest_unprojected_seconds": max_lag_seconds}
    found = [
        f"{_NAMES[key]} {document[key]:,}, more than {limit:,}"
        for key, limit in limits.items()
        if check and limit is not None and (document[key] or 0) > limit
    ]
    if found:
        complain("; ".join(found))
        raise typer.Exit(EXIT_FOUND)


def _print(document: dict[str, Any]) -> None:
    table = plain_table("what", "value #")
    table.show_header = False
    for name, value in document.items():
        if value is not None:
            table.add_row(name.replace("_", " "), f"{value:,}")
    show(console(), table)
