"""`appointments verify`: compares the read models with history."""

from __future__ import annotations

from typing import Annotated

import typer

from projections.appointments import Appointments
from projections.cli.exits import EXIT_FOUND
from projections.cli.options import Dask, Db, Json, LogLevel, QuietLogFormat, Schema
from projections.cli.telling import progress_told
from projections.cli.terminal import console, plain_table, print_json, text
from projections.cli.terminal import show as show_table
from projections.rebuilding.dask import executor_at
from projections.rebuilding.differences import Difference


def verify(
    db: Db = None,
    schema: Schema = None,
    as_json: Json = False,
    sample: Annotated[
        int | None, typer.Option("--sample", min=1, metavar="N", help="Check only N appointments, chosen at random.")
    ] = None,
    dask: Dask = None,
    log_format: QuietLogFormat = None,
    log_level: LogLevel = "info",
) -> None:
    """Compares the serving read models with a fold of history; exit 1 when they differ."""
    with (
        Appointments.open(db, schema=schema) as appointments,
        executor_at(dask) as executor,
        progress_told(log_format, log_level) as show,
    ):
        checked, differences, set_aside = appointments.verify(
            sample=sample,
            progress=lambda done, total: show("verify", done, total, unit="appointments"),
            executor=executor,
        )
    if as_json:
        print_json(
            {
                "checked": checked,
                "differences": [difference_json(one) for one in differences],
                "set_aside": set_aside,
            }
        )
    else:
        _print_differences(checked, differences, set_aside)
    if differences:
        raise typer.Exit(EXIT_FOUND)


def difference_json(difference: Difference) -> dict[str, object]:
    """One difference of `verify --json`."""
    return {name: getattr(difference, name) for name in Difference.__slots__}


def _print_differences(checked: int, differences: list[Difference], set_aside: int) -> None:
    out = console()
    if differences:
        table = plain_table("table", "appointment", "of", "field", "expected", "found")
        for one in differences:
            cells = (one.table, one.appointment_id, one.owner_id, one.field, one.expected, one.found)
            table.add_row(*(text(cell) for cell in cells))
        show_table(out, table)
    found = f"{len(differences):,} differences" if differences else "no difference"
    out.print(f"{checked:,} appointments checked, {found}.")
    if set_aside:
        events = "event is" if set_aside == 1 else "events are"
        out.print(f"{set_aside:,} {events} set aside: the fold passes over what the quarantine keeps as set_aside.")
