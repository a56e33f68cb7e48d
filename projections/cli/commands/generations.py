"""`appointments generations`: lists the generations of every version of the fold, and retires an old version."""

from __future__ import annotations

from typing import Annotated

import typer

from domain.errors import UsageError
from projections.appointments import Appointments
from projections.cli.exits import EXIT_FOUND
from projections.cli.options import Db, Json, Schema
from projections.cli.terminal import complain, confirmed, console, plain_table, print_json, show
from projections.queries.times import iso

generations = typer.Typer(invoke_without_command=True)


@generations.callback(epilog="Example: appointments generations --json")
def generations_list(context: typer.Context, db: Db = None, schema: Schema = None, as_json: Json = False) -> None:
    """Lists the generations of every version of the fold: position, lag, size and follower; retires old versions."""
    if context.invoked_subcommand is not None:
        if (db, schema, as_json) != (None, None, False):
            raise UsageError(f"options stand after the command: generations {context.invoked_subcommand} ...")
        return
    with Appointments.open(db, schema=schema) as appointments:
        found = appointments.generations()
    if as_json:
        print_json({"generations": [one.to_json() for one in found]})
        return
    table = plain_table("fold #", "generation #", "state", "position #", "lag #", "bytes #", "follower seen")
    for one in found:
        state = "serves" if one.serving else one.state.value
        numbers = (f"{number:,}" for number in (one.position, one.lag, one.bytes))
        seen = "" if one.follower_seen_at is None else iso(one.follower_seen_at)
        table.add_row(f"{one.fold_version}", f"{one.number}", state, *numbers, seen)
    show(console(), table)


@generations.command("retire", epilog="Example: appointments generations retire 1 --yes")
def generations_retire(
    version: Annotated[int, typer.Argument(metavar="VERSION", min=0)],
    db: Db = None,
    schema: Schema = None,
    as_json: Json = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Drops the generations of an old version of the fold, after a confirmation."""
    with Appointments.open(db, schema=schema) as appointments:
        numbers = appointments.retirable_generations(version)
        of = f"generation{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
        if not yes and not confirmed(f"Drop {of}, all of version {version} of the fold?"):
            complain("nothing was dropped")
            raise typer.Exit(EXIT_FOUND)
        done = appointments.retire_generations(version)
    if as_json:
        print_json({"dropped": list(done.dropped), "kept": list(done.kept)})
    else:
        print(f"{len(done.dropped)} dropped, {len(done.kept)} kept")  # noqa: T201
    for number in done.kept:
        complain(
            f"generation {number} is in use by another connection, perhaps a backup, and was not dropped; "
            "it serves nobody any more: run this again"
        )
    if done.kept:
        raise typer.Exit(EXIT_FOUND)
