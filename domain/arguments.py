"""Checks the arguments of public methods.

A value of the wrong type raises `TypeError`, a wrong value of the right type `UsageError`; both name the argument,
and neither shows a value that could contain a password.
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
"""The longest timeout that is accepted."""

Checked = TypeVar("Checked")


def optional(check: Callable[[str, object], Checked], name: str, value: object) -> Checked | None:
    """Returns the checked value; None is returned as it is."""
    return None if value is None else check(name, value)


def identifier(name: str, value: object) -> str:
    """Checks the id of an appointment, a talent or a coach, and returns it as text."""
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
    """Checks an id that is only compared, such as a subphase's, and returns it as text."""
    text = str(value) if isinstance(value, UUID) else value
    if not isinstance(text, str):
        raise _wrong_type(name, "text or UUID", value)
    if not is_storable(text):
        raise UsageError(
            f"{name}: expected text without U+0000 and without lone surrogates, found {text[:60]!r}", argument=name
        )
    return text


def text(name: str, value: object) -> str:
    """Checks the type of a text, such as a cursor or a URL, whose content is checked elsewhere."""
    if not isinstance(value, str):
        raise _wrong_type(name, "text", value)
    return value


def moment(name: str, value: object) -> datetime:
    """Checks a datetime, which must have an offset from UTC."""
    if not isinstance(value, datetime):
        raise _wrong_type(name, "a datetime with an offset from UTC", value)
    if value.utcoffset() is None:
        raise UsageError(
            f"{name}: expected a datetime with an offset from UTC, found {value.isoformat()}", argument=name
        )
    return value


def whole_number(name: str, value: object) -> int:
    """Checks an integer, such as NumPy's too, but not a bool or a text."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise _wrong_type(name, "a whole number", value)
    return operator.index(value)


def positive_number(name: str, value: object) -> int:
    """Checks a whole number of at least 1."""
    number = whole_number(name, value)
    if number < 1:
        raise UsageError(f"{name}: expected a whole number from 1, found {number}", argument=name)
    return number


def stop_event(name: str, value: object) -> Event:
    """Checks a `threading.Event`, or any object with its `is_set` and `wait`."""
    if not (hasattr(value, "is_set") and hasattr(value, "wait")):
        raise _wrong_type(name, "a threading.Event", value)
    return cast("Event", value)


def seconds(name: str, value: object) -> float:
    """Checks a timeout, which is from 0 seconds to a day."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise _wrong_type(name, "a number of seconds", value)
    number = float(value)
    if not 0 <= number <= SECONDS_MAX:  # false for NaN too
        raise UsageError(f"{name}: expected 0 to {SECONDS_MAX:,} seconds, found {number:g}", argument=name)
    return number


def flag(name: str, value: object) -> bool:
    """Checks a bool; a text such as "false" would be true."""
    if not isinstance(value, bool):
        raise _wrong_type(name, "True or False", value)
    return value


def member(name: str, value: object, kind: type[StrEnum]) -> str:
    """Checks the name of a member of an enumeration."""
    if not isinstance(value, str):
        raise _wrong_type(name, f"one of {', '.join(kind.__members__)}", value)
    if value not in kind.__members__:
        raise UsageError(
            f"{name}: expected one of {', '.join(kind.__members__)}, found {value[:60]!r}", argument=name
        )
    return kind[value].value


def members(name: str, value: object, kind: type[StrEnum]) -> frozenset[str]:
    """Checks one name or several of the members of an enumeration."""
    if isinstance(value, str):
        return frozenset({member(name, value, kind)})
    if not isinstance(value, Iterable):
        raise _wrong_type(name, f"one or several of {', '.join(kind.__members__)}", value)
    return frozenset(member(name, one, kind) for one in value)


def _wrong_type(name: str, expected: str, found: object) -> TypeError:
    return TypeError(f"{name}: expected {expected}, found {type(found).__name__}")
