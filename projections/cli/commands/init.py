"""`appointments init`: creates the tables, or upgrades older ones."""

from __future__ import annotations

from typing import Annotated

import typer

from domain.errors import UsageError
from domain.storage.location import Location, locate
from projections.appointments import Appointments
from projections.cli.options import Db, Json, Schema
from projections.cli.terminal import print_json


def init(
    db: Db = None,
    schema: Schema = None,
    as_json: Json = False,
    print_sql: Annotated[bool, typer.Option("--print", help="Only print the SQL that creates the tables.")] = False,
    restored: Annotated[
        bool, typer.Option("--restored", help="After restoring a backup: invalidate the change tokens given so far.")
    ] = False,
) -> None:
    """Creates the tables or upgrades older ones; does nothing when they are current."""
    location = locate(db, schema=schema)
    if print_sql and restored:
        raise UsageError("--print and --restored exclude each other; leave one out")
    if print_sql:
        sql = installation_sql(location)
        if as_json:
            print_json({"sql": sql})
        else:
            print(sql)  # noqa: T201
        return
    with Appointments(location) as appointments:
        appointments.projector.migrate()
        if restored:
            appointments.events.renew_epoch()
        appointments.install()
    if as_json:
        print_json({"installed": str(location)})
    else:
        print(f"appointments are installed in {location}")  # noqa: T201


def installation_sql(location: Location) -> str:
    """Returns the SQL that `init` runs at a place."""
    if location.backend == "postgresql":
        from projections.stores.postgres.store import installation_sql as postgres_sql

        return postgres_sql(location.schema)
    from projections.stores.sqlite.store import installation_sql as sqlite_sql

    return sqlite_sql()
