"""`appointments rebuild` and `rollback`: makes the next generation of the read models, or returns to the last."""

from __future__ import annotations

from typing import Annotated

import typer

from domain.errors import UsageError
from domain.identifiers import Generation
from projections.appointments import Appointments
from projections.cli.exits import EXIT_FOUND
from projections.cli.options import Dask, Db, Json, LogLevel, QuietLogFormat, Schema
from projections.cli.telling import Show, progress_told
from projections.cli.terminal import complain, print_json
from projections.logs import LogEvent, tell
from projections.rebuilding.dask import executor_at
from projections.rebuilding.rebuild import DifferencesFound, RebuildReport


def rebuild(
    db: Db = None,
    schema: Schema = None,
    as_json: Json = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Start over instead of resuming an unfinished rebuild.")
    ] = False,
    processes: Annotated[
        int | None,
        typer.Option("--processes", min=1, metavar="N", help="How many processes to use. [one a core]"),
    ] = None,
    dask: Dask = None,
    drop_old: Annotated[
        bool, typer.Option("--drop-old", help="Only drop old generations that an earlier rebuild had to keep.")
    ] = False,
    log_format: QuietLogFormat = None,
    log_level: LogLevel = "info",
) -> None:
    """Makes the next generation from history, verifies it, and switches readers to it at once."""
    if dask is not None and processes is not None:
        raise UsageError("--dask names workers of its own, so it excludes --processes")
    if drop_old:
        if restart or processes is not None or dask is not None:
            raise UsageError("--drop-old makes no generation, so it excludes --restart, --processes and --dask")
        _drop_old(db, schema, as_json=as_json)
    else:
        with progress_told(log_format, log_level) as show:
            report = _rebuild(db, schema, show, restart=restart, processes=processes, dask=dask)
        _print_report(report, as_json=as_json)


def _rebuild(
    db: str | None, schema: str | None, show: Show, *, restart: bool, processes: int | None, dask: str | None
) -> RebuildReport:
    try:
        with (
            Appointments.open(db, schema=schema) as appointments,
            executor_at(dask) as executor,
        ):
            report = appointments.rebuild(
                restart=restart,
                processes=processes,
                executor=executor,
                progress=lambda progress: show(
                    progress.phase, progress.done, progress.total, workers=progress.workers
                ),
            )
            tell(LogEvent.SWITCHED, generation=report.generation, position=report.position, events=report.events,
                 seconds=report.total_seconds)  # fmt: skip
    except DifferencesFound as error:
        for difference in error.differences:
            complain(str(difference))
        raise
    return report


def _print_report(report: RebuildReport, *, as_json: bool) -> None:
    if as_json:
        print_json(report_json(report))
    else:
        print(  # noqa: T201
            f"generation {report.generation} serves at position {report.position:,}: {report.events:,} envelopes "
            f"in {report.total_seconds:.1f} s, {report.events_per_second:,.0f} a second"
        )
    _complain_of_kept(report.kept)


def report_json(report: RebuildReport) -> dict[str, object]:
    """The document of `rebuild --json`."""
    return {
        "generation": report.generation,
        "position": report.position,
        "events": report.events,
        "appointments": report.appointments,
        "seconds": {phase: round(seconds, 3) for phase, seconds in report.seconds.items()},
        "total_seconds": round(report.total_seconds, 3),
        "events_per_second": round(report.events_per_second),
        "kept": list(report.kept),
    }


def _drop_old(db: str | None, schema: str | None, *, as_json: bool) -> None:
    """Drops old generations; exit 1 when one had to be kept again."""
    with Appointments.open(db, schema=schema) as appointments:
        done = appointments.drop_old_generations()
    if as_json:
        print_json({"dropped": list(done.dropped), "kept": list(done.kept)})
    else:
        print(f"{len(done.dropped)} dropped, {len(done.kept)} kept")  # noqa: T201
    _complain_of_kept(done.kept)
    if done.kept:
        raise typer.Exit(EXIT_FOUND)


def _complain_of_kept(kept: tuple[Generation, ...]) -> None:
    for number in kept:
        complain(
            f"generation {number} is in use by another connection, perhaps a backup, and was not dropped; "
            "the next rebuild drops it, or: appointments rebuild --drop-old"
        )


def rollback(db: Db = None, schema: Schema = None, as_json: Json = False) -> None:
    """Catches the previous generation up and switches readers back to it."""
    with Appointments.open(db, schema=schema) as appointments:
        generation = appointments.rollback()
    if as_json:
        print_json({"generation": generation})
    else:
        print(f"generation {generation} serves again")  # noqa: T201
