"""The values of the contract: an envelope and its snapshot of an appointment, and the error that refuses one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct

from domain.errors import AppointmentsError
from domain.identifiers import AppointmentId, CoachId, EventId, TalentId

EVENT_NAME: Final = "VCSessionScheduledEvent"
PAYLOAD_VERSION: Final = 1

ID_BYTES_MAX: Final = 512
EVENT_ID_MAX: Final = 2**63 - 1


class Status(StrEnum):
    """The status of an appointment."""

    PLANNED = "PLANNED"
    DONE = "DONE"
    CANCELED = "CANCELED"


class AppointmentType(StrEnum):
    """What kind of session it is."""

    STANDALONE = "STANDALONE"
    PART_ONE = "PART_ONE"
    PART_TWO = "PART_TWO"


class CanceledBy(StrEnum):
    """Who canceled."""

    COACH = "COACH"
    TALENT = "TALENT"
    ADMIN = "ADMIN"


class CancelationReason(StrEnum):
    """Why it was canceled, in the publisher's spelling."""

    TALENT_ACTIVITIES_NOT_FINISHED = "TALENT_ACTIVITIES_NOT_FINISHED"
    TALENT_NEED_MORE_TIME = "TALENT_NEED_MORE_TIME"
    TALENT_HAS_PROFESSIONAL_ENGAGMENT = "TALENT_HAS_PROFESSIONAL_ENGAGMENT"
    TALENT_HAS_PERSONAL_ENGAGEMENT = "TALENT_HAS_PERSONAL_ENGAGEMENT"
    TALENT_SUBPHASE_NOT_FINISHED = "TALENT_SUBPHASE_NOT_FINISHED"
    TALENT_NOT_AVAILABLE_MORE_THAN_24H = "TALENT_NOT_AVAILABLE_MORE_THAN_24H"
    TALENT_NOT_AVAILABLE_LESS_THAN_24H = "TALENT_NOT_AVAILABLE_LESS_THAN_24H"
    TALENT_NO_SHOW = "TALENT_NO_SHOW"
    TALENT_NOT_PRIORITIZING_HIS_PROGRAM = "TALENT_NOT_PRIORITIZING_HIS_PROGRAM"
    COACH_NO_LONGER_AVAILABLE = "COACH_NO_LONGER_AVAILABLE"
    COACH_SET_WRONG_DATE_OR_HOUR = "COACH_SET_WRONG_DATE_OR_HOUR"
    TALENT_IS_DEPAIRED_OR_REPAIRED = "TALENT_IS_DEPAIRED_OR_REPAIRED"
    OTHER = "OTHER"


class RefusalCode(StrEnum):
    """Why an item was quarantined; programs may rely on these values."""

    MALFORMED_JSON = "malformed_json"
    INVALID_ENVELOPE = "invalid_envelope"
    UNSUPPORTED_VERSION = "unsupported_version"
    CONFLICT = "conflict"
    TOO_LARGE = "too_large"
    SET_ASIDE = "set_aside"
    """It was stored, and could not be folded."""


class EnvelopeRefused(AppointmentsError, ValueError):  # noqa: N818 - named after what went wrong
    """An item that breaks the contract or conflicts with a stored envelope.

    Attributes:
        code: the kind of problem.
        field: the path of the field in the envelope, such as `eventData.appointment.status`, or None.
        expected: what the contract requires.
        found: what was there instead, as JSON cut to 120 characters; None when the field is missing.
        offset: where the JSON is malformed, in bytes from its beginning, or None.
        event_id: the envelope's id, where it could be read.
        appointment_id: the appointment's id, where it could be read.
    """

    def __init__(
        self,
        code: RefusalCode,
        *,
        expected: str,
        field: str | None = None,
        found: str | None = None,
        offset: int | None = None,
    ) -> None:
        place = f"{field}: " if field else ""
        super().__init__(f"{place}expected {expected}, found {'nothing' if found is None else found}")
        self.code = code
        self.field = field
        self.expected = expected
        self.found = found
        self.offset = offset
        self.event_id: int | None = None
        self.appointment_id: str | None = None


def utc_moment(text: str) -> datetime:
    """Parses an ISO 8601 time with an offset, to UTC and cut to milliseconds."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = datetime.fromisoformat(text.upper())  # RFC 3339 also allows lower-case t and z
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    excess = moment.microsecond % 1000
    return moment.replace(microsecond=moment.microsecond - excess) if excess else moment


def is_storable(text: str) -> bool:
    """Returns whether PostgreSQL can store the text: it has no U+0000 and no lone surrogates."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


class Snapshot(Struct, frozen=True, gc=False):
    """An appointment as one envelope describes it. Times are in UTC, with milliseconds; an absent field is None."""

    id: AppointmentId
    talent_id: TalentId
    coach_id: CoachId
    status: Status
    title: str
    description: str | None
    appointment_type: AppointmentType
    subphase_id: str | None
    talent_block_id: str | None
    created_at: datetime
    updated_at: datetime | None = None
    deleted_at: datetime | None = None
    start_date: datetime | None = None
    end_date: datetime | None = None
    canceled_by: CanceledBy | None = None
    cancelation_reason: CancelationReason | None = None
    cancelation_explanation: str | None = None


class Envelope(Struct, frozen=True, gc=False):
    """One published change of one appointment.

    Attributes:
        event_id: the envelope's id, which gives the order of publication and is the idempotency key.
        published_at: the envelope's `createdAt` in UTC. Its clock is not the appointment's: never compare the two.
        snapshot: the whole appointment as it was published.
        text: the envelope's JSON as received, UTF-8.
    """

    event_id: EventId
    published_at: datetime
    snapshot: Snapshot
    text: bytes

    def __repr__(self) -> str:
        return f"Envelope(event_id={self.event_id}, published_at={self.published_at!r}, snapshot={self.snapshot!r})"


@dataclass(frozen=True, slots=True)
class Ignored:
    """An event of another name, which is neither stored nor quarantined."""

    event_name: str
