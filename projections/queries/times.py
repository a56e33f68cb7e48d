"""Reads and shows times as people write them, in a named zone or in the machine's own."""

from __future__ import annotations

import os
import re
import time
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from domain.errors import UsageError

_POSIX_ZONE: Final = re.compile(r"([A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>)[+-]?\d{1,3}(:\d\d){0,2}([A-Za-z<,].*)?")
"""A rule instead of a name, such as CET-1CEST: POSIX lets $TZ hold one, and the C library reads it."""

_LOCALTIME: Final = Path("/etc/localtime")


def zone_named(name: str | None) -> tzinfo | None:
    """The zone of an IANA name; without a name the machine's, None where that has no name either.

    Raises:
        UsageError: there is no such zone, or $TZ names none.
    """
    if name is not None:
        return _zone(name, "a time zone such as Europe/Paris")
    name = os.environ.get("TZ")
    if name is None:
        return _zone_of_localtime()
    if name == "":  # POSIX: Coordinated Universal Time
        return UTC
    if _POSIX_ZONE.fullmatch(name):
        return None
    return _zone(name.removeprefix(":").partition("/zoneinfo/")[2] or name.removeprefix(":"), "a time zone in $TZ")


def zone_label(zone: tzinfo | None) -> str:
    """The name of a zone to show; for a machine whose zone has no name, what its clocks are called."""
    if zone is None:
        return os.environ.get("TZ") or "/".join(dict.fromkeys(time.tzname))
    return str(zone)


def _zone(name: str, expected: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(f"expected {expected}, found {name[:60]!r}") from None


def _zone_of_localtime() -> tzinfo | None:
    name = str(_LOCALTIME.resolve()).partition("/zoneinfo/")[2]
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None  # the C library still reads the file itself


def time_of(text: str, zone: tzinfo | None) -> datetime:
    """Reads an ISO 8601 time and returns it in UTC; without an offset it is taken in the zone.

    Near the ends of the calendar, where a zone would lead out of the years 1 to 9999, it is taken in UTC.

    Raises:
        UsageError: it is no such time.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"expected a time such as 2023-07-10, 2023-07-10T09:00 or 2023-07-10T07:00:00Z, found {text[:60]!r}"
        ) from None
    if moment.tzinfo is None and zone is not None:
        moment = moment.replace(tzinfo=zone)
    try:
        return moment.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return moment.replace(tzinfo=UTC)


def local(moment: datetime, zone: tzinfo | None) -> datetime:
    """A moment as the clocks of the zone show it; near the ends of the calendar, as UTC shows it."""
    try:
        return moment.astimezone(zone)
    except (OverflowError, ValueError, OSError):
        return moment


def iso(moment: datetime) -> str:
    """A moment as the JSON interface writes it: UTC with milliseconds, ending in Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
