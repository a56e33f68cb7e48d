"""`appointments events`: looks at one stored event, and gets past one that stops the projectors."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Any

import typer

from domain.errors import UsageError
from domain.input.files import open_input
from domain.input.items import ITEM_BYTES_MAX, Item
from domain.markers import Marker, SetAside
from domain.storage.base import StoredEnvelope
from domain.topics import MARKER_TOPIC, SET_ASIDE_TOPIC
from projections.appointments import Appointments
from projections.cli.commands.project import catch_up_after
from projections.cli.options import Db, Json, Schema
from projections.cli.terminal import console, print_bytes, print_json, show_lines, text
from projections.queries.documents import document_of

events = typer.Typer(
    no_args_is_help=True, help="Stored events, by position: looks at one, and gets past one that cannot be folded."
)

At = Annotated[int, typer.Argument(metavar="POSITION", min=1)]
By = Annotated[
    str | None,
    typer.Option("--by", metavar="NAME", help="Who does it. [the database's user, or the operating system's]"),
]
NoProject = Annotated[bool, typer.Option("--no-project", help="Do not catch the read models up afterwards.")]


@events.command("show", epilog="Example: appointments events show 1001 --raw")
def events_show(
    position: At,
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
        poison = None if raw else appointments.events.poison(position)
    if raw:
        print_bytes(stored.text)
        return
    document: dict[str, Any] = {
        "position": stored.position,
        "event_id": stored.event_id,
        "appointment_id": stored.appointment_id,
        "topic": stored.topic,
        "poison": None if poison is None else poison.reason,
        "text": stored.text.decode("utf-8", "backslashreplace"),
    }
    if as_json:
        print_json(document)
    else:
        content = document.pop("text")
        document["poison"] = document["poison"] or _passed_over(stored) or "no, it can be folded"
        lines = [text(f"{name.replace('_', ' ')}: {value}") for name, value in document.items()]
        show_lines(console(), [*lines, text(content)])


@events.command("set-aside", epilog='Example: appointments events set-aside 1001 --reason "damaged by the disk"')
def events_set_aside(
    position: At,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for those who ask later.")],
    by: By = None,
    db: Db = None,
    schema: Schema = None,
    as_json: Json = False,
    no_project: NoProject = False,
) -> None:
    """Lets the fold pass over an event that it cannot take, and projects on; its bytes go to the quarantine."""
    with Appointments.open(db, schema=schema) as appointments:
        record = appointments.events.set_aside(position, reason=reason, by=by)
        if as_json:
            print_json(document_of({"position": position, "by": record.by, "at": record.at, "reason": record.reason}))
        else:
            print(f"the event at position {position:,} is set aside by {record.by}")  # noqa: T201
        if not no_project:
            catch_up_after(f"the event at position {position:,} is set aside", appointments)


@events.command("replace", epilog="Example: appointments events replace 1001 envelope.json")
def events_replace(
    position: At,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The one envelope; - is standard input.")],
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why, for those who ask later.")
    ] = None,
    by: By = None,
    db: Db = None,
    schema: Schema = None,
    as_json: Json = False,
    no_project: NoProject = False,
) -> None:
    """Gives the place of an event that is set aside, or cannot be folded, to an envelope with its id; projects on."""
    item = _only_item(file)
    with Appointments.open(db, schema=schema) as appointments:
        appointments.events.replace(position, item, reason=reason, by=by)
        if as_json:
            print_json({"position": position})
        else:
            print(f"the event at position {position:,} is replaced")  # noqa: T201
        if not no_project:
            catch_up_after(f"the event at position {position:,} is replaced", appointments)


def _only_item(file: str) -> Item:
    with open_input(file) as source:
        every = (one for one in source.items(item_bytes_max=ITEM_BYTES_MAX) if isinstance(one, Item))
        items = list(islice(every, 2))
    if len(items) != 1:
        raise UsageError(f"{file}: expected one envelope, found {'more' if items else 'none'}", argument="file")
    return items[0]


def _passed_over(stored: StoredEnvelope) -> str | None:
    """Why the fold passes over an event; None when it does not."""
    if stored.topic == SET_ASIDE_TOPIC:
        record = SetAside.of(stored)
        return f"{record.poison}; set aside by {record.by} at {record.at:%Y-%m-%d %H:%M:%S} UTC: {record.reason}"
    if stored.topic == MARKER_TOPIC:
        marker = Marker.of(stored)
        return f"it is a marker: {marker.change.replace('_', ' ')} by {marker.by}: {marker.reason}"
    return None
