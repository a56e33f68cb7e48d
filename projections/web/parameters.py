"""The query parameters of the API: the names of the command line's options, with `_` for `-`."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, tzinfo
from functools import cached_property
from typing import Annotated, Any, Final

from fastapi import Path
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from typing_extensions import TypedDict

from domain.envelope import EVENT_ID_MAX, ID_BYTES_MAX, AppointmentType, Status
from domain.errors import UsageError
from projections.queries.filters import LIMIT_MAX, Filters
from projections.queries.times import time_of, zone_named
from projections.web.addresses import SEALED, id_of

TIMEOUT_SECONDS_MAX: Final = 60
"""The longest that a request may ask to wait: it holds a thread."""

ZONE_SCHEMA: Final = "TimeZone"
"""The name of the OpenAPI document's list of zones."""

_NO_NUL: Final = "^[^\\u0000]*$"
_ID_PATTERN: Final = "^[^\\u0000]*[^\\s\\u0000][^\\u0000]*$"


def _flag(value: Any) -> Any:
    """What JSON calls a boolean, and nothing else that might be meant as one."""
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


Id = Annotated[
    str,
    AfterValidator(id_of),
    Path(
        alias="id",
        description="One percent-encoded path segment; %2F is a slash in an id.",
        json_schema_extra={
            "minLength": 1,
            "maxLength": ID_BYTES_MAX,
            "pattern": _ID_PATTERN,
        },
    ),
]
GivenId = Annotated[
    str, WithJsonSchema({"type": "string", "minLength": 1, "maxLength": ID_BYTES_MAX, "pattern": _ID_PATTERN})
]
Flag = Annotated[bool, BeforeValidator(_flag), Field(strict=True)]
Time = Annotated[
    str,
    WithJsonSchema({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}]}),
]


def _sealed(expected: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if re.fullmatch(SEALED, text) is None:
            raise ValueError(f"expected {expected}, found {text[:60]!r}")
        return text

    return check


_SEALED_SCHEMA: Final = WithJsonSchema({"type": "string", "pattern": f"^{SEALED}$"})
Cursor = Annotated[str, AfterValidator(_sealed("the `next` of the page before")), _SEALED_SCHEMA]
Token = Annotated[str, AfterValidator(_sealed("the `token` of the answer before")), _SEALED_SCHEMA]


def _zone(name: str) -> str:
    zone_named(name)
    return name


Zone = Annotated[str, AfterValidator(_zone), WithJsonSchema({"$ref": f"#/components/schemas/{ZONE_SCHEMA}"})]


class WaitingArguments(TypedDict):
    """How long a question may take, as its arguments."""

    at_least: int | None
    timeout: float | None


class SelectionArguments(TypedDict):
    """What narrows a schedule, as the arguments of a question."""

    start: datetime | None
    end: datetime | None
    upcoming: bool
    past: bool
    now: datetime | None
    appointment_type: str | None
    subphase_id: str | None
    as_of: datetime | None
    known_at: datetime | None


class Parameters(BaseModel):
    """What may stand in a query; whatever else does is an error."""

    model_config = ConfigDict(extra="forbid", ignored_types=(cached_property,))


class Waiting(Parameters):
    """How long a question may take, and what it waits for."""

    at_least: int | None = Field(
        None, ge=0, le=EVENT_ID_MAX, description="Wait until the read model has reached this position."
    )
    timeout: float | None = Field(
        None, ge=0, le=TIMEOUT_SECONDS_MAX, allow_inf_nan=False,
        description="How many seconds the question may take, the wait for at_least included.",
    )  # fmt: skip

    def waiting(self) -> WaitingArguments:
        """The arguments of a question."""
        return {"at_least": self.at_least, "timeout": self.timeout}


class Paging(Parameters):
    """Which page of an answer."""

    limit: int | None = Field(None, ge=1, le=LIMIT_MAX, description="At most so many.")
    after: Cursor | None = Field(None, description="The `next` of the page before.")


class Timed(Parameters):
    """A zone, in which times without an offset are read."""

    tz: Zone | None = Field(None, description="The zone of times without an offset; the machine's unless given.")

    @cached_property
    def zone(self) -> tzinfo | None:
        """The zone in which times are read."""
        return zone_named(self.tz)

    def moment(self, name: str, text: str | None) -> datetime | None:
        """A time that was given; None where it was not.

        Raises:
            UsageError: it is no time; the message names the parameter.
        """
        try:
            return None if text is None else time_of(text, self.zone)
        except UsageError as error:
            raise UsageError(f"{name}: {error}", argument=name) from error


class Window(Timed):
    """A window of time."""

    from_: Time | None = Field(None, alias="from", description="Only what ends after this, or begins then or later.")
    to: Time | None = Field(None, description="Only what begins before this.")

    @property
    def start(self) -> datetime | None:
        """FROM of the window."""
        return self.moment("from", self.from_)

    @property
    def end(self) -> datetime | None:
        """TO of the window."""
        return self.moment("to", self.to)


class Selection(Window):
    """What narrows a schedule, whatever is then made of it."""

    upcoming: Flag = Field(False, description="The same as from=NOW; not together with past.")  # noqa: FBT003
    past: Flag = Field(False, description="Only what is dated and not upcoming.")  # noqa: FBT003
    now: Time | None = Field(None, description="What counts as now; the present time unless given.")
    appointment_type: AppointmentType | None = Field(None, description="Only of this type.")
    subphase_id: str | None = Field(
        None, description="Only of this subphase.", json_schema_extra={"pattern": _NO_NUL}
    )
    as_of: Time | None = Field(None, description="As the envelopes published until then give it.")
    known_at: Time | None = Field(None, description="As the envelopes that had arrived by then give it.")

    @property
    def depends_on_the_clock(self) -> bool:
        """Whether the same question may get another answer later, although nothing was projected."""
        return (self.upcoming or self.past) and self.now is None

    def selected(self) -> SelectionArguments:
        """The filters that were asked for.

        Raises:
            UsageError: a time makes no sense.
        """
        return SelectionArguments(
            start=self.start, end=self.end, upcoming=self.upcoming, past=self.past,
            now=self.moment("now", self.now), appointment_type=self.appointment_type, subphase_id=self.subphase_id,
            as_of=self.moment("as_of", self.as_of), known_at=self.moment("known_at", self.known_at),
        )  # fmt: skip


class OwnersParameters(Paging, Waiting):
    """Of `/api/talents` and `/api/coaches`."""


class ScheduleParameters(Selection, Paging, Waiting):
    """Of a schedule."""

    status: list[Status] | None = Field(None, description="Only of this status; repeatable.")
    desc: Flag = Field(False, description="Latest first; what has no date is last all the same.")  # noqa: FBT003
    include_deleted: Flag = Field(False, description="With the softly deleted ones.")  # noqa: FBT003

    def filters(self) -> Filters:
        """All that was asked for."""
        return Filters(
            **self.selected(), status=self.status, desc=self.desc, include_deleted=self.include_deleted,
            limit=self.limit, after=self.after,
        )  # fmt: skip


class TalentParameters(ScheduleParameters):
    """Of a talent's schedule."""

    coach: GivenId | None = Field(None, description="Only with this coach.")


class CoachParameters(ScheduleParameters):
    """Of a coach's schedule."""

    talent: GivenId | None = Field(None, description="Only with this talent.")


class ChangesParameters(Window, Waiting):
    """Of the changes of a schedule."""

    since: Token | None = Field(None, description="The `token` of the answer before.")
    limit: int | None = Field(None, ge=1, le=LIMIT_MAX, description="At most so many; the `token` goes on there.")


class ConflictsParameters(Selection, Waiting):
    """Of the conflicts of a schedule."""


class FiguresParameters(Selection, Waiting):
    """Of the figures of a schedule."""

    status: list[Status] | None = Field(None, description="Only of this status; repeatable.")


class AppointmentParameters(Waiting):
    """Of one appointment."""


class HistoryParameters(Parameters):
    """Of the history of one appointment, which reads the event store."""

    timeout: float | None = Field(
        None, ge=0, le=TIMEOUT_SECONDS_MAX, allow_inf_nan=False, description="How many seconds it may take."
    )
