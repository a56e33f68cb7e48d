"""`appointments pull`: takes envelopes from the outbox of another database."""

from __future__ import annotations

from contextlib import ExitStack
from threading import Event
from typing import Annotated

import typer

from domain.errors import NotAllowed, StorageError, StorageUnavailable, UsageError
from domain.event_store import AppendReport
from domain.input.batches import BATCH_ITEMS_MAX
from domain.pulling import OVERLAP_DEFAULT
from projections.appointments import Appointments
from projections.cli.commands.ingest import print_report
from projections.cli.commands.project import catch_up_after
from projections.cli.exits import EXIT_FOUND, PartlyDone
from projections.cli.interruption import told
from projections.cli.options import Db, Json, LogFormatOption, LogLevel, Patience, Schema
from projections.cli.telling import level_of
from projections.cli.terminal import complain, print_json
from projections.follower import Follower
from projections.logs import LogFormat, logging_to_standard_error
from projections.outbox import INTERVAL_SECONDS, Outbox

Dsn = Annotated[
    str,
    typer.Argument(metavar="DSN", help="postgresql://... of the other database; a password may stay in ~/.pgpass."),
]
Query = Annotated[
    str,
    typer.Option(
        "--query",
        metavar="SQL",
        help="SELECT an ascending integer id and the envelope, with %(after)s and %(limit)s; % is %% elsewhere.",
    ),
]
Overlap = Annotated[
    int,
    typer.Option(
        "--overlap", metavar="N", min=0, help="Read the last N ids again each time, for what was committed late."
    ),
]
Limit = Annotated[int, typer.Option("--limit", metavar="N", min=1, help="Read so many rows at once.")]
Follow = Annotated[bool, typer.Option("--follow", help="Keep running, and take what is added.")]
Interval = Annotated[
    float | None,
    typer.Option("--interval", metavar="SECONDS", min=0, max=86_400, help="How often to look with --follow. [1]"),
]
Restart = Annotated[bool, typer.Option("--restart", help="Begin with the first row, not where reading ended.")]
NoProject = Annotated[bool, typer.Option("--no-project", help="Only append; leave the read models alone.")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit 1 if anything was quarantined.")]


def pull(
    dsn: Dsn,
    query: Query,
    db: Db = None,
    schema: Schema = None,
    as_json: Json = False,
    overlap: Overlap = OVERLAP_DEFAULT,
    limit: Limit = BATCH_ITEMS_MAX,
    follow: Follow = False,
    interval: Interval = None,
    patience: Patience = None,
    restart: Restart = False,
    no_project: NoProject = False,
    strict: Strict = False,
    log_format: LogFormatOption = LogFormat.TEXT,
    log_level: LogLevel = "info",
) -> None:
    """Takes envelopes from the outbox of another PostgreSQL database, and catches the read models up."""
    if not follow and (patience is not None or interval is not None):
        raise UsageError("--patience and --interval have no meaning without --follow")
    if follow and strict:
        raise UsageError("--strict has no meaning with --follow")
    with Appointments.open(db, schema=schema) as appointments:
        outbox = appointments.outbox(dsn, query=query, overlap=overlap, limit=limit)
        if not follow:
            _pull_once(appointments, outbox, as_json=as_json, restart=restart, projects=not no_project, strict=strict)
            return
        with logging_to_standard_error(log_format, level=level_of(log_level)):
            if log_format is LogFormat.TEXT:
                complain("following; end with Ctrl-C")
            with ExitStack() as stack:
                if not no_project:
                    stack.enter_context(Follower(appointments.projector))
                _follow(outbox, restart=restart, interval=INTERVAL_SECONDS if interval is None else interval,
                        patience=patience)  # fmt: skip
        if as_json:
            print_json({"position": appointments.events.head()})


def _pull_once(
    appointments: Appointments, outbox: Outbox, *, as_json: bool, restart: bool, projects: bool, strict: bool
) -> None:
    report = _pull(outbox, restart=restart)
    try:
        if projects:
            catch_up_after("everything was appended", appointments, upto=report.position)
    finally:
        print_report(report, as_json)
    if strict and report.quarantined:
        raise typer.Exit(EXIT_FOUND)


def _pull(outbox: Outbox, *, restart: bool) -> AppendReport:
    """Pulls once.

    Raises:
        PartlyDone: a database went away after something was committed.
    """
    committed = AppendReport()

    def note(report: AppendReport) -> None:
        nonlocal committed
        committed = report

    try:
        return outbox.pull(restart=restart, progress=note)
    except StorageError as error:
        if committed.read:
            raise PartlyDone("; ".join([str(error), *error.__notes__]), error) from error
        raise


def _follow(outbox: Outbox, *, restart: bool, interval: float, patience: float | None) -> None:
    """Follows until a signal ends it between two pages.

    Raises:
        PartlyDone: a database was away for longer than the patience, or a right was taken away.
    """
    stop = Event()
    with told(stop.set):
        try:
            outbox.follow(stop, restart=restart, interval=interval, patience=patience)
        except (StorageUnavailable, NotAllowed) as error:
            raise PartlyDone(f"the follower ends: {error}", error) from error
