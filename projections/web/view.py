"""What the address of a page says beside whose page it is: the zone, the week, the moment that is looked at."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any, Final

from starlette.datastructures import QueryParams

from domain.arguments import member
from domain.envelope import Status
from domain.errors import UsageError
from projections.queries.times import iso, local, time_of, zone_named
from projections.web.addresses import check_given_once
from projections.web.week import monday_of, monday_shown

ZONES: Final = (
    "UTC", "Europe/Paris", "Europe/London", "Europe/Lisbon", "Europe/Berlin", "Europe/Madrid", "Europe/Rome",
    "Europe/Zurich", "Europe/Brussels", "Europe/Amsterdam", "Europe/Stockholm", "Europe/Warsaw", "Europe/Athens",
    "Europe/Istanbul", "Africa/Casablanca", "Africa/Lagos", "Africa/Johannesburg", "Asia/Dubai", "Asia/Kolkata",
    "Asia/Singapore", "Asia/Shanghai", "Asia/Tokyo", "Australia/Sydney", "America/Sao_Paulo", "America/New_York",
    "America/Toronto", "America/Chicago", "America/Denver", "America/Los_Angeles",
)  # fmt: skip
"""The zones that a page proposes; every other name may be typed."""


@dataclass(frozen=True, slots=True)
class View:
    """The state of a page.

    Attributes:
        tz: the zone as it was named; None for the machine's.
        monday: the week that was asked for; None for the present one.
        as_of: only what was published up to then; None for everything.
        known_at: only what had arrived here by then; None for everything.
        status: only appointments of this status.
    """

    zone: tzinfo | None
    tz: str | None = None
    monday: date | None = None
    as_of: datetime | None = None
    known_at: datetime | None = None
    status: str | None = None
    include_deleted: bool = False

    @property
    def week(self) -> date:
        """The first day of the week that is shown."""
        return self.monday or monday_of(local(datetime.now(UTC), self.zone).date())

    @property
    def parameters(self) -> dict[str, str]:
        """The query of the page's address."""
        said = {
            "week": self.monday and self.monday.isoformat(),
            "status": self.status,
            "include_deleted": "true" if self.include_deleted else None,
            "tz": self.tz,
            "as_of": self.as_of and iso(self.as_of),
            "known_at": self.known_at and iso(self.known_at),
        }
        return {name: value for name, value in said.items() if value}

    @property
    def in_zone(self) -> dict[str, str]:
        """The part that pages have which always show the present: the zone."""
        return {"tz": self.tz} if self.tz else {}

    def but(self, **changes: Any) -> dict[str, str]:
        """The query of the same page with another week, zone or moment."""
        return replace(self, **changes).parameters

    def kept(self, one_id: str, *names: str) -> dict[str, str]:
        """What a form that sets some parts of the state sends along, so that the rest of it stays."""
        parameters = {name: value for name, value in self.parameters.items() if name not in names}
        return {"id": one_id, **parameters} if one_id in (".", "..") else parameters

    def in_week_of(
        self, moment: datetime | None, *, as_of: datetime | None = None, known_at: datetime | None = None
    ) -> dict[str, str]:
        """The query of a schedule's page in the week of a moment; in the present one where no page shows that."""
        monday = None if moment is None else monday_shown(local(moment, self.zone).date())
        return View(self.zone, tz=self.tz, monday=monday, as_of=as_of, known_at=known_at).parameters

    def other_week(self, weeks: int) -> dict[str, str] | None:
        """The query of the same page so many weeks later; None where no page shows that week."""
        monday = monday_shown(self.week + timedelta(weeks=weeks))
        return None if monday is None else self.but(monday=monday)

    @property
    def is_of_the_past(self) -> bool:
        """Whether the page shows an earlier state of knowledge, which does not change."""
        return self.as_of is not None or self.known_at is not None

    def field(self, moment: datetime | None) -> str:
        """A moment as a field of the kind `datetime-local` holds it."""
        if moment is None:
            return ""
        precision = "milliseconds" if moment.microsecond else "seconds"
        return local(moment, self.zone).replace(tzinfo=None).isoformat(timespec=precision)


def view_of(query: QueryParams) -> View:
    """The state that the query of an address gives; a field that was left empty is as one that is not there.

    Raises:
        UsageError: a zone, a time, a date or a status that makes no sense.
    """
    check_given_once(query)
    given = {name: value for name, value in query.items() if value.strip()}
    tz = given.get("tz")
    zone = zone_named(tz)
    week, status = given.get("week"), given.get("status")
    as_of, known_at = (time_of(given[name], zone) if name in given else None for name in ("as_of", "known_at"))
    return View(
        zone=zone,
        tz=tz,
        monday=None if week is None else monday_of(_date(week)),
        as_of=as_of,
        known_at=known_at,
        status=None if status is None else member("status", status, Status),
        include_deleted=_flag("include_deleted", given.get("include_deleted", "false")),
    )


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"week: expected a date such as 2023-07-10, found {text[:60]!r}", argument="week") from None


def _flag(name: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise UsageError(f"{name}: expected true or false, found {text[:60]!r}", argument=name)
    return text == "true"
