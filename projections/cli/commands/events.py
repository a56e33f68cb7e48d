"""`appointments events`: looks at one stored event, such as the poison event that stops the projectors."""

from __future__ import annotations

from typing import Annotated

import typer

from domain.errors import PoisonEvent, UsageError
from domain.storage.base import StoredEnvelope
from projections.appointments import Appointments
from projections.cli.options import Db, Json, Schema
from projections.cli.terminal import console, print_bytes, print_json, show_lines, text
from projections.projector import fold_streams

events = typer.Typer(no_args_is_help=True, help="Stored events, by position.")


@events.callback()
def _group() -> None:
    """Keeps `show` a command of a group while it is the only one."""


@events.command("show", epilog="Example: appointments events show 1001 --raw")
def events_show(
    position: Annotated[int, typer.Argument(metavar="POSITION", min=1)],
    db: Db = None,
    schema: Schema = None,
    as_json: Json = False,
    raw: Annotated[bool, typer.Option("--raw", help="Print the stored bytes as they are, and nothing else.")] = False,
) -> None:
    """Shows the stored event at a position, and why it cannot be folded where that is so."""
    if as_json and raw:
        raise UsageError("--json and --raw exclude each other; leave one out")
    with Appointments.open(db, schema=schema) as appointments:
        stored = appointments.events.at(position)
    if raw:
        print_bytes(stored.text)
        return
    document = {
        "position": stored.position,
        "event_id": stored.event_id,
        "appointment_id": stored.appointment_id,
        "topic": stored.topic,
        "poison": _poison(stored),
        "text": stored.text.decode("utf-8", "backslashreplace"),
    }
    if as_json:
        print_json(document)
    else:
        poison = document.pop("poison")
        document["poison"] = "no, it can be folded" if poison is None else poison
        content = document.pop("text")
        lines = [text(f"{name.replace('_', ' ')}: {value}") for name, value in document.items()]
        show_lines(console(), [*lines, text(content)])


def _poison(stored: StoredEnvelope) -> str | None:
    """Why an event cannot be folded by itself; None when it can."""
    try:
        fold_streams(iter([stored]))
    except PoisonEvent as error:
        return error.reason
    return None
