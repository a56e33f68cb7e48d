"""`appointments export`: prints what is stored, for another installation or another program."""

from __future__ import annotations

import json
import sys
from base64 import b64encode
from collections.abc import Iterator
from typing import Annotated

import typer

from domain.identifiers import Position
from domain.storage.base import QuarantinedItem
from projections.appointments import Appointments
from projections.cli.commands.quarantine import quarantined_json
from projections.cli.options import Db, Schema
from projections.queries.documents import document_of


def export(
    db: Db = None,
    schema: Schema = None,
    quarantine: Annotated[
        bool, typer.Option("--quarantine", help="Print the quarantined items instead, with their bytes.")
    ] = False,
    from_position: Annotated[
        int | None, typer.Option("--from-position", min=1, metavar="N", help="Only envelopes from this position on.")
    ] = None,
) -> None:
    """Prints every stored envelope as JSON Lines, by position, which `ingest` reads."""
    if quarantine and from_position is not None:
        raise typer.BadParameter("quarantined items have no position; leave --from-position or --quarantine out")
    with Appointments.open(db, schema=schema) as appointments:
        events = appointments.events
        if quarantine:
            _print(map(_quarantined_line, events.quarantine.list()))
        else:
            _print(events.lines(start=Position(from_position or 1)))


def _print(lines: Iterator[bytes]) -> None:
    out = sys.stdout.buffer
    for line in lines:
        out.write(line + b"\n")
    out.flush()


def _quarantined_line(item: QuarantinedItem) -> bytes:
    """One item with its kept bytes: as text where they are UTF-8, and in any case in base64."""
    refused = item.refused
    try:
        text = refused.content.decode()
    except UnicodeDecodeError:
        text = None
    kept = {
        "length": refused.length,
        "sha256": refused.sha256,
        "content": text,
        "content_base64": b64encode(refused.content).decode(),
    }
    return json.dumps(document_of({**quarantined_json(item), **kept})).encode()
