"""What must become of an item, decided a second time from the README's words, sharing no code with the product.

It has no opinion (`None`) where a number is so long, or JSON so deep, that a limit of a parser decides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, NamedTuple, NoReturn, TypeAlias

DEPTH_MAX = 150
DIGITS_MAX = 300

Verdict: TypeAlias = Literal["ignored", "malformed_json", "invalid_envelope", "unsupported_version"]


class Accepted(NamedTuple):
    """What identifies an envelope: the same id with the same data is a duplicate, with other data a conflict."""

    event_id: int
    appointment_id: str
    data: object


TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
STATUSES = {"PLANNED", "DONE", "CANCELED"}
TYPES = {"STANDALONE", "PART_ONE", "PART_TWO"}
WHO = {"COACH", "TALENT", "ADMIN"}
REASONS = {
    "TALENT_ACTIVITIES_NOT_FINISHED", "TALENT_NEED_MORE_TIME", "TALENT_HAS_PROFESSIONAL_ENGAGMENT",
    "TALENT_HAS_PERSONAL_ENGAGEMENT", "TALENT_SUBPHASE_NOT_FINISHED", "TALENT_NOT_AVAILABLE_MORE_THAN_24H",
    "TALENT_NOT_AVAILABLE_LESS_THAN_24H", "TALENT_NO_SHOW", "TALENT_NOT_PRIORITIZING_HIS_PROGRAM",
    "COACH_NO_LONGER_AVAILABLE", "COACH_SET_WRONG_DATE_OR_HOUR", "TALENT_IS_DEPAIRED_OR_REPAIRED", "OTHER",
}  # fmt: skip


def is_text(value: object) -> bool:
    return isinstance(value, str)


def is_identifier(value: object) -> bool:
    return isinstance(value, str) and value.strip() != "" and len(value.encode("utf-8", "surrogatepass")) <= 512


def is_time(value: object) -> bool:
    found = TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return False
    *numbers, _, sign, hours, minutes = found.groups()
    year, month, day, hour, minute, second = map(int, numbers)
    if sign and (int(hours) > 23 or int(minutes) > 59):
        return False
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0)) * (-1 if sign == "-" else 1)
    try:
        datetime(year, month, day, hour, minute, second, tzinfo=timezone(offset)).astimezone(UTC)
    except (ValueError, OverflowError):
        return False
    return True


def one_of(words: set[str]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and value in words


def or_null(check: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or check(value)


REQUIRED = {
    "id": is_identifier, "talentId": is_identifier, "coachId": is_identifier, "status": one_of(STATUSES),
    "title": is_text, "description": or_null(is_text), "appointmentType": one_of(TYPES),
    "subphaseId": or_null(is_text), "talentBlockId": or_null(is_text), "createdAt": is_time,
}  # fmt: skip
OPTIONAL = {
    "updatedAt": is_time, "deletedAt": is_time, "startDate": is_time, "endDate": is_time,
    "canceledBy": one_of(WHO), "cancelationReason": one_of(REASONS), "cancelationExplanation": is_text,
}  # fmt: skip


def verdict(content: bytes) -> Verdict | Accepted | None:
    if _is_extreme(content):
        return None
    try:
        document = json.loads(content.decode("utf-8"), parse_constant=_no_constant)
    except ValueError:
        return "malformed_json"
    if not isinstance(document, dict):
        return "invalid_envelope"
    name = document.get("eventName")
    if isinstance(name, str) and name != "VCSessionScheduledEvent":
        return "ignored"
    found = document.get("eventData")
    data = found if isinstance(found, dict) else {}
    version = data.get("version")
    if type(version) is int and version != 1:
        return "unsupported_version"
    is_valid = (
        all(map(_is_storable, _texts(json.loads(content, object_pairs_hook=_members))))
        and type(document.get("id")) is int
        and 1 <= document["id"] <= 2**63 - 1
        and is_time(document.get("createdAt"))
        and name == "VCSessionScheduledEvent"
        and type(version) is int
        and _is_appointment(data.get("appointment"))
    )
    return Accepted(document["id"], data["appointment"]["id"], _data(content)) if is_valid else "invalid_envelope"


def _is_appointment(value: object) -> bool:
    return (
        isinstance(value, dict)
        and all(name in value and check(value[name]) for name, check in REQUIRED.items())
        and all(value.get(name) is None or check(value[name]) for name, check in OPTIONAL.items())
    )


def _is_extreme(content: bytes) -> bool:
    depth = deepest = 0
    for byte in content:
        depth += (byte in b"[{") - (byte in b"]}")
        deepest = max(deepest, depth)
    return deepest > DEPTH_MAX or re.search(rb"[0-9]{%d}" % DIGITS_MAX, content) is not None


def _members(pairs: list[tuple[str, Any]]) -> list[Any]:
    """An object with all it says, also under keys that are there twice."""
    return [member for pair in pairs for member in pair]


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _is_storable(text: str) -> bool:
    return "\0" not in text and text.encode("utf-8", "replace") == text.encode("utf-8", "surrogatepass")


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for member in value if isinstance(value, list) else []:
        yield from _texts(member)


def _data(content: bytes) -> object:
    """The event data in a form in which only equal JSON values are equal."""
    return _form(json.loads(content, parse_int=_number, parse_float=_number)["eventData"])


def _number(digits: str) -> Any:
    try:
        return Decimal(digits)
    except InvalidOperation:
        return ("a number beyond all", digits)


def _form(value: Any) -> object:
    if isinstance(value, dict):
        return "object", frozenset((key, _form(member)) for key, member in value.items())
    if isinstance(value, list):
        return "array", tuple(map(_form, value))
    return type(value).__name__, value
