"""The publisher's contract as pydantic types, field by field."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field, PlainValidator, TypeAdapter
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from domain.envelope import (
    EVENT_ID_MAX,
    ID_BYTES_MAX,
    PAYLOAD_VERSION,
    AppointmentType,
    CancelationReason,
    CanceledBy,
    Status,
    utc_moment,
)

_RFC3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-6][0-9](?:\.[0-9]+)?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)


def _moment(value: object) -> datetime:
    """Parses an RFC 3339 time with an offset, to UTC and cut to milliseconds."""
    if not isinstance(value, str) or _RFC3339.fullmatch(value) is None:
        raise PydanticCustomError("moment", "an RFC 3339 time with an offset")
    try:
        return utc_moment(value)
    except (ValueError, OverflowError):
        raise PydanticCustomError(
            "moment", "an RFC 3339 time that exists and is no leap second, inside the years 1 to 9999 in UTC"
        ) from None


def _moment_or_null(value: object) -> datetime | None:
    return None if value is None else _moment(value)


def _identifier(value: str) -> str:
    if not value.strip() or len(value.encode()) > ID_BYTES_MAX:
        raise PydanticCustomError("identifier", f"an id that is not blank, of at most {ID_BYTES_MAX} bytes")
    return value


Moment = Annotated[datetime, PlainValidator(_moment)]
OptionalMoment = Annotated[datetime | None, PlainValidator(_moment_or_null)]
Identifier = Annotated[str, AfterValidator(_identifier)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Appointment:
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, extra="ignore", alias_generator=to_camel)

    id: Identifier
    talent_id: Identifier
    coach_id: Identifier
    status: Status
    title: str
    description: str | None
    appointment_type: AppointmentType
    subphase_id: str | None
    talent_block_id: str | None
    created_at: Moment
    updated_at: OptionalMoment = None
    deleted_at: OptionalMoment = None
    start_date: OptionalMoment = None
    end_date: OptionalMoment = None
    canceled_by: CanceledBy | None = None
    cancelation_reason: CancelationReason | None = None
    cancelation_explanation: str | None = None


@dataclass(frozen=True, slots=True)
class _EventData:
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, extra="ignore")

    version: Annotated[int, Field(ge=PAYLOAD_VERSION, le=PAYLOAD_VERSION)]
    appointment: _Appointment


@dataclass(frozen=True, slots=True)
class _Envelope:
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, extra="ignore")

    id: Annotated[int, Field(ge=1, le=EVENT_ID_MAX)]
    createdAt: Moment  # noqa: N815 - the publisher's spelling
    eventName: Literal["VCSessionScheduledEvent"]  # noqa: N815
    eventData: _EventData  # noqa: N815


CONTRACT: Final = TypeAdapter(_Envelope)
