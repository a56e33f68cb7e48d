"""`appointments status`: positions, lag and counts; with --check, a health check."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from projections.appointments import Appointments
from projections.cli.exits import EXIT_FOUND
from projections.cli.options import Db, Json, Schema
from projections.cli.terminal import complain, console, plain_table, print_json, show


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
) -> None:
    """Prints positions, lag, generation and counts; with --check, exits 1 when a threshold is exceeded."""
    with Appointments.open(db, schema=schema) as appointments:
        document = appointments.status().to_json()
    if as_json:
        print_json(document)
    else:
        _print(document)
    found = [
        f"the {name} is {document[key]:,}, more than {limit:,}"
        for name, key, limit in (("lag", "lag", max_lag), ("quarantine", "quarantined", max_quarantined))
        if check and document[key] > limit
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
