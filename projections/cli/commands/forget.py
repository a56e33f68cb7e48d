"""`appointments forget`, `forgotten list` and `scrub`: takes a person out of everything that is stored."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from domain.errors import InputUnreadable, UsageError
from domain.person import Person, Side
from domain.receipt import Receipt
from projections.appointments import Appointments
from projections.cli.commands.project import catch_up_after
from projections.cli.exits import EXIT_FOUND
from projections.cli.options import Db, Json, Schema
from projections.cli.terminal import complain, confirmed, console, plain_table, print_json, show

_STANDARD_INPUT: Final = "-"

forgotten = typer.Typer(no_args_is_help=True, help="Who was forgotten: the receipts, which hold no id.")


@forgotten.callback()
def _group() -> None:
    """Keeps `list` a command of a group while it is the only one."""


def forget(
    standard_input: Annotated[
        str | None,
        typer.Argument(
            metavar="[-]",
            help="Read persons from standard input, one a line: talent ID, coach ID, or an id.",
        ),
    ] = None,
    db: Db = None,
    schema: Schema = None,
    as_json: Json = False,
    talent: Annotated[
        list[str] | None, typer.Option("--talent", metavar="ID", help="This talent; - reads ids from standard input.")
    ] = None,
    coach: Annotated[
        list[str] | None, typer.Option("--coach", metavar="ID", help="This coach; - reads ids from standard input.")
    ] = None,
    reference: Annotated[
        str | None, typer.Option("--reference", metavar="R", help="The requester's reference, kept in the receipt.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be erased.")] = False,
    lift: Annotated[
        bool, typer.Option("--lift", help="Store this person again from now on; what was erased stays so.")
    ] = False,
    again: Annotated[
        str | None,
        typer.Option(
            "--again", metavar="FILE", help="Forget those of these receipts again, after a backup was restored."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Takes a talent or a coach out of everything that is stored, for good, after a confirmation.

    The other person's schedule keeps when they met. Prints a receipt, which holds no id.
    """
    if dry_run and lift:
        raise UsageError("--dry-run and --lift exclude each other; leave one out")
    if again is not None and (standard_input or talent or coach or lift or dry_run or reference):
        raise UsageError("--again takes everything from its receipts; leave the other options out")
    receipts = None if again is None else _read_receipts(again)
    _check_persons(standard_input, talent, coach, is_again=again is not None)
    with Appointments.open(db, schema=schema) as appointments:
        persons = _persons(appointments, standard_input, talent, coach)
        if dry_run:
            _print([appointments.forgetting.preview(one) for one in persons], as_json, "would be masked")
            return
        if lift:
            _lift(appointments, persons, as_json)
            return
        count = len(persons if receipts is None else receipts)
        if not yes and not confirmed(f"Erase {_counted(count)} for good?"):
            complain("nobody was forgotten")
            raise typer.Exit(EXIT_FOUND)
        done = _forget(appointments, persons, reference) if receipts is None else _again(appointments, receipts)
    _print(done, as_json, "masked")


def _forget(appointments: Appointments, persons: Sequence[Person], reference: str | None) -> list[Receipt]:
    forgetting = appointments.forgetting
    receipts = []
    for person in persons:
        if forgetting.receipt(person) is not None:
            complain(f"this {person.side} was already forgotten")
        receipts.append(forgetting.erase(person, reference=reference))
    catch_up_after(f"{_counted(len(receipts))} forgotten", appointments)
    return [forgetting.verified(person, receipt) for person, receipt in zip(persons, receipts, strict=True)]


def _again(appointments: Appointments, receipts: Sequence[Receipt]) -> list[Receipt]:
    forgetting = appointments.forgetting
    erased = forgetting.erase_again(receipts)
    catch_up_after(f"{_counted(len(erased))} forgotten", appointments)
    return [receipt if person is None else forgetting.verified(person, receipt) for person, receipt in erased]


def _lift(appointments: Appointments, persons: Sequence[Person], as_json: bool) -> None:
    lifted = [appointments.forgetting.lift(one) for one in persons]
    found = [one for one in lifted if one is not None]
    if as_json:
        print_json(_document([one.to_json() for one in found]))
    else:
        print(f"{_counted(len(found))} may be stored again")  # noqa: T201
    if len(found) < len(lifted):
        complain(f"{_counted(len(lifted) - len(found))} not forgotten")
        raise typer.Exit(EXIT_FOUND)


def _check_persons(
    standard_input: str | None, talents: list[str] | None, coaches: list[str] | None, *, is_again: bool
) -> None:
    """Checks that it is said in one way who is meant."""
    if standard_input not in (None, _STANDARD_INPUT):
        raise UsageError(
            "expected --talent ID, --coach ID, or - for standard input, so that no id is taken for a side"
        )
    if not is_again and sum(map(bool, (standard_input, talents, coaches))) != 1:
        raise UsageError("expected one of --talent ID, --coach ID and -")


def _persons(
    appointments: Appointments, standard_input: str | None, talents: list[str] | None, coaches: list[str] | None
) -> list[Person]:
    if standard_input:
        return [_person_in(line, appointments) for line in _lines()]
    side, ids = (Side.TALENT, talents) if talents else (Side.COACH, coaches)
    return [Person(side, one) for given in ids or () for one in (_lines() if given == _STANDARD_INPUT else [given])]


def _person_in(line: str, appointments: Appointments) -> Person:
    side, _, person_id = line.partition(" ")
    if side in set(Side) and person_id:
        return Person(Side(side), person_id)
    known = appointments.forgetting.known(line)
    if len(known) != 1:
        raise UsageError(
            "standard input: expected `talent ID` or `coach ID` on each line, or the id of either, if only one has it"
        )
    return known[0]


def _lines() -> list[str]:
    lines = [line.rstrip("\r\n") for line in sys.stdin] if sys.stdin else []
    found = [line for line in lines if line.strip()]
    if not found:
        raise UsageError("standard input: expected an id on each line, found nothing")
    return found


def _read_receipts(path: str) -> list[Receipt]:
    """Reads the receipts of a file: one, an array, JSON Lines, or the document of `forgotten list --json`."""
    try:
        content = sys.stdin.read() if path == _STANDARD_INPUT else Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise InputUnreadable(path, reason or type(error).__name__) from error
    try:
        receipts = [Receipt.from_json(one) for one in _documents(content)]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(
            f"{path}: expected receipts as `forget --json` and `forgotten list --json` print them"
        ) from None
    if not receipts:
        raise UsageError(f"{path}: expected receipts, found none")
    return receipts


def _documents(content: str) -> Iterator[Any]:
    try:
        documents: Any = [json.loads(content)]
    except ValueError:
        documents = [json.loads(line) for line in content.splitlines() if line.strip()]
    for one in documents:
        if isinstance(one, list):
            yield from one
        elif "forgotten" in one:
            yield from one["forgotten"]
        else:
            yield one


@forgotten.command("list", epilog="Example: appointments forgotten list --json > receipts.json")
def forgotten_list(db: Db = None, schema: Schema = None, as_json: Json = False) -> None:
    """Prints every receipt; keep them where backups cannot take them back."""
    with Appointments.open(db, schema=schema) as appointments:
        receipts = appointments.forgetting.receipts()
    if as_json:
        print_json({"forgotten": [one.to_json() for one in receipts]})
        return
    table = plain_table("number #", "at", "side", "reference", "envelopes #", "verified", "scrubbed", "lifted")
    for one in receipts:
        document = one.to_json()
        table.add_row(
            f"{one.number:,}",
            document["at"],
            one.side,
            one.reference or "",
            f"{one.envelopes:,}",
            "yes" if one.verified else "no",
            document["scrubbed_at"] or "no",
            document["lifted_at"] or "",
        )
    show(console(), table)


def scrub(
    db: Db = None,
    schema: Schema = None,
    as_json: Json = False,
    online: Annotated[bool, typer.Option("--online", help="Only what holds nobody up; says what it leaves.")] = False,
) -> None:
    """Writes the tables anew, so that what was erased is gone from the files too; others have to wait for it."""
    with Appointments.open(db, schema=schema) as appointments:
        catch_up_after("nothing was scrubbed", appointments)
        left = appointments.forgetting.scrub(online=online)
        unscrubbed = appointments.forgetting.unscrubbed_count()
    if as_json:
        print_json({"left": left, "unscrubbed": unscrubbed})
    else:
        print("scrubbed" if not left else "scrubbed, but for what is named below")  # noqa: T201
    for one in left:
        complain(f"not scrubbed: {one}")
    if left and not online:
        raise typer.Exit(EXIT_FOUND)


def _print(receipts: Sequence[Receipt], as_json: bool, done: str) -> None:
    documents = [one.to_json() for one in receipts]
    if as_json:
        print_json(_document(documents))
        return
    for one in receipts:
        print(  # noqa: T201
            f"{_name(one)}: {one.envelopes:,} envelopes of {one.streams:,} appointments {done}; "
            + ", ".join(f"{name.replace('_', ' ')} {found.count:,}" for name, found in sorted(one.places.items()))
        )
    if done == "masked":
        _explain(receipts)


def _explain(receipts: Iterable[Receipt]) -> None:
    for one in receipts:
        missing = [name.replace("_", " ") for name, found in sorted(one.places.items()) if not found.verified]
        if missing:
            complain(f"receipt {one.number}: not verified: {', '.join(missing)}")
    if any(one.scrubbed_at is None for one in receipts):
        complain("the files may still hold what was overwritten: appointments scrub")


def _name(receipt: Receipt) -> str:
    return f"receipt {receipt.number}, a {receipt.side}" if receipt.number else f"a {receipt.side}"


def _document(documents: list[dict[str, Any]]) -> Any:
    """One receipt is a document itself; several are a list in one."""
    return documents[0] if len(documents) == 1 else {"forgotten": documents}


def _counted(count: int) -> str:
    return "1 person" if count == 1 else f"{count:,} persons"
