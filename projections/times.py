"""Times as people write and read them: in a named zone, or in the machine's own."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from domain.errors import UsageError


def zone_named(name: str | None) -> tzinfo | None:
    """The zone of an IANA name; None, which stands for the machine's zone, without a name.

    Raises:
        UsageError: there is no such zone.
    """
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(f"expected a time zone such as Europe/Paris, found {name[:60]!r}") from None


def time_of(text: str, zone: tzinfo | None) -> datetime:
    """An ISO 8601 time in UTC; a date or a time without an offset is taken in the zone.

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
