"""`appointments status`: positions, lag and counts; with --check, a health check."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from domain.errors import UsageError
from projections.appointments import Appointments
from projections.cli.exits import EXIT_FOUND
from projections.cli.options import Db, Json, Schema
from projections.cli.terminal import complain, console, plain_table, print_bytes, print_json, show, text
from projections.status import InstallationStatus
from projections.stores.base import FollowerSign

_IN_LINES: Final = ("followers", "sizes", "rebuild", "last_verification", "projected_at")
"""What is printed in lines of its own."""

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
    max_silence: Annotated[
        float | None,
        typer.Option(
            "--max-silence", metavar="S", help="Within how many seconds a follower must have been seen. [any time]"
        ),
    ] = None,
    max_rebuild_silence: Annotated[
        float,
        typer.Option(
            "--max-rebuild-silence",
            metavar="S",
            help="Within how many seconds an unfinished rebuild must have been seen for --check.",
        ),
    ] = 600.0,
    sizes: Annotated[bool, typer.Option("--sizes", help="With the bytes on disk of each table.")] = False,
    prometheus: Annotated[
        bool, typer.Option("--prometheus", help="Print metrics in Prometheus' text format.")
    ] = False,
) -> None:
    """Prints positions, lag, generation and counts; with --check, exits 1 when a threshold is exceeded."""
    if prometheus and (as_json or check or sizes):
        raise UsageError("--prometheus is an answer of its own; leave --json, --check and --sizes out")
    with Appointments.open(db, schema=schema) as appointments:
        if prometheus:
            from projections.metrics import metrics_text

            print_bytes(metrics_text(appointments))
            return
        found = appointments.status()
        document = found.to_json() | ({"sizes": appointments.sizes()} if sizes else {})
    if as_json:
        print_json(document)
    else:
        _print(document)
    troubles = list(
        _troubles(
            found,
            {"lag": max_lag, "quarantined": max_quarantined, "oldest_unprojected_seconds": max_lag_seconds},
            max_silence=max_silence,
            max_rebuild_silence=max_rebuild_silence,
        )
        if check
        else ()
    )
    if troubles:
        complain("; ".join(troubles))
        raise typer.Exit(EXIT_FOUND)


def _troubles(
    found: InstallationStatus,
    limits: Mapping[str, float | None],
    *,
    max_silence: float | None,
    max_rebuild_silence: float,
) -> Iterator[str]:
    """What --check finds: each value over its limit, and whatever stands still or was found wrong."""
    for key, limit in limits.items():
        value = getattr(found, key) or 0
        if limit is not None and value > limit:
            yield f"{_NAMES[key]} {value:,}, more than {limit:,}"
    if found.blocked_at is not None:
        yield f"an event that cannot be folded stops the projector, at position {found.blocked_at:,}"
    if max_silence is not None and not _seen_within(max_silence, found.followers):
        yield f"no follower gave a sign of life within {max_silence:g} s"
    if found.rebuild is not None and found.rebuild.silent_seconds > max_rebuild_silence:
        yield (
            f"the rebuild of generation {found.rebuild.generation} stands still: it gave no sign of life "
            f"for {found.rebuild.silent_seconds:,.0f} s"
        )
    if found.last_verification is not None and found.last_verification.differences:
        verified = found.last_verification
        number, differences = verified.generation, verified.differences
        yield f"the last verification, of generation {number}, found differences: {differences:,}"


def _print(document: dict[str, Any]) -> None:
    table = plain_table("what", "value #")
    table.show_header = False
    for name, value in document.items():
        if name not in _IN_LINES and value is not None and (value or name not in ("set_aside", "unscrubbed")):
            table.add_row(name.replace("_", " "), f"{value:,}")
    for name, size in document.get("sizes", {}).items():
        table.add_row(f"bytes of {name}", f"{size:,}")
    show(console(), table)
    for line in _lines(document):
        console().print(text(line), soft_wrap=True)


def _lines(document: dict[str, Any]) -> Iterator[str]:
    if document["projected_at"] is not None:
        yield f"last batch projected {document['projected_at']}"
    if (rebuild := document["rebuild"]) is not None:
        loaded, partitions = rebuild["partitions_loaded"], rebuild["partitions"]
        yield (
            f"rebuild of generation {rebuild['generation']}, {rebuild['phase'] or 'begun'}: {loaded:,} of "
            f"{partitions:,} partitions loaded, seen {rebuild['seen_at']}"
        )
    if (verified := document["last_verification"]) is not None:
        yield (
            f"verified generation {verified['generation']} {verified['verified_at']}: "
            f"{verified['checked']:,} appointments, {verified['differences']:,} differences"
        )
    for one in document["followers"]:
        yield f"follower {one['name']} since {one['started_at']}, seen {one['seen_at']} at {one['position']:,}"


def _seen_within(seconds: float, followers: Iterable[FollowerSign]) -> bool:
    """Whether one of them was seen; a sign from the future says nothing, for a clock was wrong."""
    now = datetime.now(UTC)
    return any(abs((now - one.seen_at).total_seconds()) <= seconds for one in followers if one.blocked_at is None)
