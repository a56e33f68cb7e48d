"""The arguments of public methods: each kind is checked here, and nowhere else.

A value of a wrong type is a `TypeError`, one of the right type that makes no sense a `UsageError`; both name the
argument, and neither repeats a value that could hold a password.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from datetime import datetime
from enum import StrEnum
from numbers import Real
from threading import Event
from typing import Final, TypeVar, cast
from uuid import UUID

from domain.envelope import ID_BYTES_MAX, is_storable
from domain.errors import UsageError

SECONDS_MAX: Final = 86_400
"""The longest that a caller may ask to wait."""

Checked = TypeVar("Checked")


def optional(check: Callable[[str, object], Checked], name: str, value: object) -> Checked | None:
    """The value as its check gives it; None, which stands for nothing given, passes."""
    return None if value is None else check(name, value)


def identifier(name: str, value: object) -> str:
    """The text of an appointment's, talent's or coach's id."""
    text = str(value) if isinstance(value, UUID) else value
    if not isinstance(text, str):
        raise _wrong_type(name, "an id as text or UUID", value)
    if not text.strip() or len(text) > ID_BYTES_MAX or not is_storable(text) or len(text.encode()) > ID_BYTES_MAX:
        raise UsageError(
            f"{name}: expected an id that is not blank, of at most {ID_BYTES_MAX} bytes, found {text[:60]!r}",
            argument=name,
        )
    return text


def opaque(name: str, value: object) -> str:
    """A text that is only ever compared: a subphase's id, also as a UUID."""
    text = str(value) if isinstance(value, UUID) else value
    if not isinstance(text, str):
        raise _wrong_type(name, "text or UUID", value)
    if not is_storable(text):
        raise UsageError(
            f"{name}: expected text without U+0000 and without lone surrogates, found {text[:60]!r}", argument=name
        )
    return text


def text(name: str, value: object) -> str:
    """A text that its reader judges: a cursor, a token, a URL."""
    if not isinstance(value, str):
        raise _wrong_type(name, "text", value)
    return value


def moment(name: str, value: object) -> datetime:
    """A time whose offset from UTC is known."""
    if not isinstance(value, datetime):
        raise _wrong_type(name, "a datetime with an offset from UTC", value)
    if value.utcoffset() is None:
        raise UsageError(
            f"{name}: expected a datetime with an offset from UTC, found {value.isoformat()}", argument=name
        )
    return value


def whole_number(name: str, value: object) -> int:
    """An integer; other libraries' integers too, but no truth value and no text."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise _wrong_type(name, "a whole number", value)
    return operator.index(value)


def positive_number(name: str, value: object) -> int:
    """A whole number from 1."""
    number = whole_number(name, value)
    if number < 1:
        raise UsageError(f"{name}: expected a whole number from 1, found {number}", argument=name)
    return number


def stop_event(name: str, value: object) -> Event:
    """What tells a loop to end: a `threading.Event`, or another library's that is asked in the same way."""
    if not (hasattr(value, "is_set") and hasattr(value, "wait")):
        raise _wrong_type(name, "a threading.Event", value)
    return cast("Event", value)


def seconds(name: str, value: object) -> float:
    """A time to wait: from 0 to a day."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise _wrong_type(name, "a number of seconds", value)
    number = float(value)
    if not 0 <= number <= SECONDS_MAX:  # nor NaN
        raise UsageError(f"{name}: expected 0 to {SECONDS_MAX:,} seconds, found {number:g}", argument=name)
    return number


def flag(name: str, value: object) -> bool:
    """True or False; a text such as "false" would count as true."""
    if not isinstance(value, bool):
        raise _wrong_type(name, "True or False", value)
    return value


def member(name: str, value: object, kind: type[StrEnum]) -> str:
    """The name of one of a kind's members."""
    if not isinstance(value, str):
        raise _wrong_type(name, f"one of {', '.join(kind.__members__)}", value)
    if value not in kind.__members__:
        raise UsageError(
            f"{name}: expected one of {', '.join(kind.__members__)}, found {value[:60]!r}", argument=name
        )
    return kind[value].value


def members(name: str, value: object, kind: type[StrEnum]) -> frozenset[str]:
    """The names of one or several of a kind's members."""
    if isinstance(value, str):
        return frozenset({member(name, value, kind)})
    if not isinstance(value, Iterable):
        raise _wrong_type(name, f"one or several of {', '.join(kind.__members__)}", value)
    return frozenset(member(name, one, kind) for one in value)


def _wrong_type(name: str, expected: str, found: object) -> TypeError:
    return TypeError(f"{name}: expected {expected}, found {type(found).__name__}")
