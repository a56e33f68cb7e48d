"""The one door for outside data: the JSON of an envelope becomes a validated, frozen `Envelope`.

How the publisher's contract is read, and why, is told in the README under "The contract".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Literal, NoReturn

from pydantic import AfterValidator, ConfigDict, Field, PlainValidator, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from domain.errors import AppointmentsError, UsageError
from domain.identifiers import AppointmentId, CoachId, EventId, TalentId

EVENT_NAME: Final = "VCSessionScheduledEvent"
PAYLOAD_VERSION: Final = 1
ID_BYTES_MAX: Final = 512
EVENT_ID_MAX: Final = 2**63 - 1


class Status(StrEnum):
    """Where an appointment is in its life."""

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
    """Why an item could not be accepted; stable, for programs."""

    MALFORMED_JSON = "malformed_json"
    INVALID_ENVELOPE = "invalid_envelope"
    UNSUPPORTED_VERSION = "unsupported_version"
    CONFLICT = "conflict"
    TOO_LARGE = "too_large"


class EnvelopeRefused(AppointmentsError, ValueError):  # noqa: N818 - named after what went wrong
    """An item that the door does not accept.

    Attributes:
        code: why, for programs.
        field: the path of the field in the envelope, such as `eventData.appointment.status`, or None.
        expected: what the contract asks for.
        found: what was there, as JSON, cut to 120 characters; None when nothing was.
        offset: the place in malformed JSON, in bytes from its beginning, or None.
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


_RFC3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-6][0-9](?:\.[0-9]+)?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)


def _moment(value: object) -> datetime:
    """An RFC 3339 text with an offset, in UTC, cut to milliseconds."""
    if not isinstance(value, str) or _RFC3339.fullmatch(value) is None:
        raise PydanticCustomError("moment", "an RFC 3339 time with an offset")
    try:
        return utc_moment(value)
    except (ValueError, OverflowError):
        raise PydanticCustomError(
            "moment", "an RFC 3339 time that exists and is no leap second, inside the years 1 to 9999 in UTC"
        ) from None


def utc_moment(text: str) -> datetime:
    """A time with an offset, in UTC, cut to milliseconds."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = datetime.fromisoformat(text.upper())  # RFC 3339 allows t and z too
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    excess = moment.microsecond % 1000
    return moment.replace(microsecond=moment.microsecond - excess) if excess else moment


def _moment_or_null(value: object) -> datetime | None:
    return None if value is None else _moment(value)


def _identifier(value: str) -> str:
    if not value.strip() or len(value.encode()) > ID_BYTES_MAX:
        raise PydanticCustomError("identifier", f"an id that is not blank, of at most {ID_BYTES_MAX} bytes")
    return value


def check_identifier(text: str) -> None:
    """Raises `UsageError` when a text can be no appointment's, talent's or coach's id."""
    if not text.strip() or len(text) > ID_BYTES_MAX or not _is_storable(text) or len(text.encode()) > ID_BYTES_MAX:
        raise UsageError(f"expected an id that is not blank, of at most {ID_BYTES_MAX} bytes, found {text[:60]!r}")


_Moment = Annotated[datetime, PlainValidator(_moment)]
_OptionalMoment = Annotated[datetime | None, PlainValidator(_moment_or_null)]
_Identifier = AfterValidator(_identifier)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """An appointment as one envelope describes it. Times are UTC with milliseconds; an absent field is None."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, extra="ignore", alias_generator=to_camel)

    id: Annotated[AppointmentId, _Identifier]
    talent_id: Annotated[TalentId, _Identifier]
    coach_id: Annotated[CoachId, _Identifier]
    status: Status
    title: str
    description: str | None
    appointment_type: AppointmentType
    subphase_id: str | None
    talent_block_id: str | None
    created_at: _Moment
    updated_at: _OptionalMoment = None
    deleted_at: _OptionalMoment = None
    start_date: _OptionalMoment = None
    end_date: _OptionalMoment = None
    canceled_by: CanceledBy | None = None
    cancelation_reason: CancelationReason | None = None
    cancelation_explanation: str | None = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """One published change of one appointment.

    Attributes:
        event_id: the envelope's id: the order of publication and the idempotency key.
        published_at: the envelope's `createdAt`, UTC. Never comparable with a time of the appointment.
        snapshot: the whole appointment as it was then.
        text: the envelope's JSON as received, UTF-8.
    """

    event_id: EventId
    published_at: datetime
    snapshot: Snapshot
    text: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Ignored:
    """An event that is not of this product's concern."""

    event_name: str


@dataclass(frozen=True, slots=True)
class _EventData:
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, extra="ignore")

    version: Annotated[int, Field(ge=PAYLOAD_VERSION, le=PAYLOAD_VERSION)]
    appointment: Snapshot


@dataclass(frozen=True, slots=True)
class _ContractEnvelope:
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, extra="ignore")

    id: Annotated[EventId, Field(ge=1, le=EVENT_ID_MAX)]
    createdAt: _Moment  # noqa: N815 - the publisher's spelling
    eventName: Literal["VCSessionScheduledEvent"]  # noqa: N815
    eventData: _EventData  # noqa: N815


_CONTRACT: Final = TypeAdapter(_ContractEnvelope)

# Only these make JSON that the fast parser accepts but the door does not; searching for them costs far less
# than looking at every value. A false alarm is settled by the slow path.
_SUSPICIOUS: Final = (b"\\u0000", b"NaN", b"Infinity")


def read_envelope(content: bytes | str | Mapping[str, Any]) -> Envelope | Ignored:
    """Reads one envelope.

    Args:
        content: JSON as bytes (UTF-8) or text, or the parsed object; surrounding blank space is allowed.

    Raises:
        EnvelopeRefused: names the field, what was expected and what was found.
    """
    text = as_json(content)
    if not any(sign in text for sign in _SUSPICIOUS):
        try:
            return _envelope(_CONTRACT.validate_json(text), text)
        except ValidationError:
            pass
    return _read_carefully(text)


def as_json(content: bytes | str | Mapping[str, Any]) -> bytes:
    """The JSON bytes of an envelope: as received where there was a text, else compact.

    Raises:
        EnvelopeRefused: when JSON cannot express the object.
    """
    if isinstance(content, bytes):
        return content.strip()
    if isinstance(content, str):
        return content.encode("utf-8", "surrogatepass").strip()
    try:
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), default=_object)
    except (TypeError, ValueError, RecursionError) as error:
        raise EnvelopeRefused(
            RefusalCode.MALFORMED_JSON, expected="an object that JSON can express", found=str(error)
        ) from None
    return text.encode("utf-8", "backslashreplace")  # a lone surrogate becomes its JSON escape, for the door to name


def _object(value: object) -> dict[Any, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} is not JSON")


def _envelope(contract: _ContractEnvelope, text: bytes) -> Envelope:
    return Envelope(contract.id, contract.createdAt, contract.eventData.appointment, text)


def _read_carefully(text: bytes) -> Envelope | Ignored:
    """Finds out what is wrong, in the order in which the contract is read."""
    document = _parse(text)
    try:
        if not isinstance(document, dict):
            _refuse(document, expected="an envelope: a JSON object")
        name = document.get("eventName")
        if isinstance(name, str) and name != EVENT_NAME:
            return Ignored(name)
        _check_version(document)
        _check_text(document)
        return _envelope(_CONTRACT.validate_json(text), text)
    except ValidationError as error:
        refused = _refusal_of(error)
    except EnvelopeRefused as error:
        refused = error
    except RecursionError:
        refused = _too_deep()
    refused.event_id, refused.appointment_id = identity_of(document)
    raise refused from None


def identity_of(document: object) -> tuple[int | None, str | None]:
    """The envelope's id and the appointment's id of something that is not quite an envelope."""
    appointment_id: object = document
    for key in ("eventData", "appointment", "id"):
        appointment_id = appointment_id.get(key) if isinstance(appointment_id, dict) else None
    event_id = document.get("id") if isinstance(document, dict) else None
    return (
        event_id if type(event_id) is int and 1 <= event_id <= EVENT_ID_MAX else None,
        appointment_id if isinstance(appointment_id, str) and _is_storable(appointment_id) else None,
    )


def _parse(text: bytes) -> object:
    try:
        decoded = text.decode()
    except UnicodeDecodeError as error:
        raise EnvelopeRefused(
            RefusalCode.MALFORMED_JSON,
            expected="UTF-8",
            found=f"the byte 0x{text[error.start]:02x} at offset {error.start}",
            offset=error.start,
        ) from None
    try:
        return json.loads(decoded, parse_constant=_refuse_constant, parse_int=_integer)
    except json.JSONDecodeError as error:
        raise EnvelopeRefused(
            RefusalCode.MALFORMED_JSON,
            expected="JSON",
            found=f"{error.msg} at line {error.lineno} column {error.colno}",
            offset=len(decoded[: error.pos].encode()),
        ) from None
    except RecursionError:
        raise _too_deep() from None


def _too_deep() -> EnvelopeRefused:
    return EnvelopeRefused(
        RefusalCode.MALFORMED_JSON, expected="JSON nested at most 200 deep", found="deeper nesting"
    )


def _refuse_constant(name: str) -> NoReturn:
    raise EnvelopeRefused(RefusalCode.MALFORMED_JSON, expected="JSON", found=f"the number {name}")


def _integer(digits: str) -> int | Decimal:
    return int(digits) if len(digits) < 4300 else Decimal(digits)


def _check_version(document: dict[str, Any]) -> None:
    data = document.get("eventData")
    version = data.get("version") if isinstance(data, dict) else None
    if type(version) is int and version != PAYLOAD_VERSION:
        raise EnvelopeRefused(
            RefusalCode.UNSUPPORTED_VERSION,
            field="eventData.version",
            expected=f"the payload version {PAYLOAD_VERSION}",
            found=str(version)[:120],
        )


def _check_text(document: object) -> None:
    for path, text in _texts(document, ""):
        if not _is_storable(text):
            _refuse(text, expected="text without U+0000 and without lone surrogates", field=path)


def _texts(value: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, member in value.items():
            yield path, key
            yield from _texts(member, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from _texts(member, f"{path}[{index}]")


def _is_storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _refuse(found: object, *, expected: str, field: str | None = None) -> NoReturn:
    raise EnvelopeRefused(
        RefusalCode.INVALID_ENVELOPE, expected=expected, field=field or None, found=_as_found(found)
    )


def _refusal_of(error: ValidationError) -> EnvelopeRefused:
    """The first complaint of pydantic in this product's words."""
    first = error.errors(include_url=False)[0]
    if first["type"] == "json_invalid":
        return EnvelopeRefused(RefusalCode.MALFORMED_JSON, expected="JSON", found=str(first["ctx"]["error"]))
    missing = first["type"] in ("missing", "missing_argument", "missing_keyword_only_argument")
    return EnvelopeRefused(
        RefusalCode.INVALID_ENVELOPE,
        field=".".join(str(part) for part in first["loc"]),
        expected="a value" if missing else _EXPECTED.get(first["type"], first["msg"]).format(**first.get("ctx", {})),
        found=None if missing else _as_found(first["input"]),
    )


_EXPECTED: Final = {
    "int_type": "an integer",
    "string_type": "a text",
    "greater_than_equal": "an integer of at least {ge}",
    "less_than_equal": "an integer of at most {le}",
    "int_parsing_size": f"an integer of at most {EVENT_ID_MAX}",
    "enum": "{expected}",
    "literal_error": "{expected}",
    "dataclass_type": "an object",
}


def _as_found(value: object) -> str:
    try:
        text = json.dumps(value, ensure_ascii=True)
    except (TypeError, ValueError, RecursionError):
        text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."
