"""Validates JSON from outside against the publisher's contract: `read_envelope` is the only way in.

The README's section "How the contract is read" gives the rules and their reasons.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final, NoReturn

from pydantic_core import SchemaValidator, ValidationError, core_schema

from domain.decoding import decode_envelope, decode_usual
from domain.envelope import (
    EVENT_ID_MAX,
    EVENT_NAME,
    PAYLOAD_VERSION,
    Envelope,
    EnvelopeRefused,
    Ignored,
    RefusalCode,
    is_storable,
)
from domain.syntax import SCANNED_BYTES_MAX, first_mistake

_BYTES: Final = (bytes, bytearray, memoryview)
_BLANK: Final = b" \t\r\n"  # JSON's whitespace; bytes.strip() without arguments removes more

_STORABLE: Final = "text without U+0000 and without lone surrogates"

_DEPTH_MAX: Final = 200
_SHALLOW: Final = f"JSON nested at most {_DEPTH_MAX} deep"

# Checks only that the text is a well-formed JSON object, including the fields that are not decoded.
_WELL_FORMED: Final = SchemaValidator(core_schema.typed_dict_schema({}))


def read_envelope(content: bytes | str | Mapping[str, Any]) -> Envelope | Ignored:
    """Validates one envelope; an event of another name is `Ignored`.

    Args:
        content: JSON as UTF-8 bytes or str, or the parsed object. Surrounding whitespace is allowed.

    Raises:
        EnvelopeRefused: it breaks the contract; the error names the field, what was expected and what was found.
    """
    text = as_json(content)
    if not (b"\\" in text and b"\\u0000" in text):
        try:
            _WELL_FORMED.validate_json(text)
            return decode_usual(text)
        except ValueError:
            pass
    return _read_carefully(text)


def as_json(content: object) -> bytes:
    """Returns the JSON of an envelope as bytes: text as received, a parsed object in compact form.

    Raises:
        EnvelopeRefused: JSON cannot express the object.
    """
    if isinstance(content, _BYTES):
        return bytes(content).strip(_BLANK)
    if isinstance(content, str):
        return content.encode("utf-8", "surrogatepass").strip(_BLANK)
    try:
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), default=_object)
    except (TypeError, ValueError, RecursionError) as error:
        raise EnvelopeRefused(
            RefusalCode.MALFORMED_JSON, expected="an object that JSON can express", found=str(error)
        ) from None
    # A lone surrogate becomes its JSON escape, so that validation can name it.
    return text.encode("utf-8", "backslashreplace")


def _object(value: object) -> dict[Any, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} is not JSON")


def _read_carefully(text: bytes) -> Envelope | Ignored:
    """Validates step by step, so that the refusal names the first broken rule in the order of the README's table."""
    from domain.contract_types import CONTRACT  # here, since pydantic takes a sixth of the start of every command

    document = _parse(text)
    try:
        if not isinstance(document, dict):
            _refuse(document, expected="an envelope: a JSON object")
        name = document.get("eventName")
        if isinstance(name, str) and name != EVENT_NAME:
            return Ignored(name)
        _check_version(document)
        _check_text(document)
        _check_overruled_text(text)
        CONTRACT.validate_json(text)
        return decode_envelope(text)
    except ValidationError as error:
        refused = _refusal_of(error, document)
    except EnvelopeRefused as error:
        refused = error
    except RecursionError:
        refused = _too_deep()
    refused.event_id, refused.appointment_id = identity_of(document)
    raise refused from None


def identity_of(document: object) -> tuple[int | None, str | None]:
    """Returns the envelope's id and the appointment's id, each None where a refused document has no valid one."""
    appointment_id: object = document
    for key in ("eventData", "appointment", "id"):
        appointment_id = appointment_id.get(key) if isinstance(appointment_id, dict) else None
    event_id = document.get("id") if isinstance(document, dict) else None
    return (
        event_id if type(event_id) is int and 1 <= event_id <= EVENT_ID_MAX else None,
        appointment_id if isinstance(appointment_id, str) and is_storable(appointment_id) else None,
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
        raise _malformed(text, error) from None
    except RecursionError:
        raise _too_deep() from None


def _malformed(text: bytes, error: json.JSONDecodeError) -> EnvelopeRefused:
    """Describes the first syntax error; not with Python's message, which differs from version to version.

    Only the place of an error after the first 256 KiB is Python's, since that scan would take too long.
    """
    offset, expected = first_mistake(text[:SCANNED_BYTES_MAX])
    expected = f"JSON: {expected}"
    if offset == SCANNED_BYTES_MAX < len(text):
        offset, expected = len(error.doc[: error.pos].encode()), "JSON"
    before, after = text[:offset].decode(), text[offset : offset + 4].decode(errors="ignore")
    found = repr(after[0]) if after else "the end"
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return EnvelopeRefused(
        RefusalCode.MALFORMED_JSON,
        expected=expected,
        found=f"{found} at line {line} column {column}",
        offset=offset,
    )


def _too_deep() -> EnvelopeRefused:
    return EnvelopeRefused(RefusalCode.MALFORMED_JSON, expected=_SHALLOW, found="deeper nesting")


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
        if not is_storable(text):
            _refuse(text, expected=_STORABLE, field=path)


def _check_overruled_text(text: bytes) -> None:
    """Checks the values of duplicate keys too: only the last is decoded, but all of them would be stored."""
    if b"\\u" in text:
        for _, one in _texts(json.loads(text, parse_int=str, object_pairs_hook=_members), ""):
            if not is_storable(one):
                _refuse(one, expected=_STORABLE)


def _members(pairs: list[tuple[str, Any]]) -> list[Any]:
    return [member for pair in pairs for member in pair]


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


def _refuse(found: object, *, expected: str, field: str | None = None) -> NoReturn:
    raise EnvelopeRefused(
        RefusalCode.INVALID_ENVELOPE, expected=expected, field=field or None, found=_as_found(found)
    )


def _refusal_of(error: ValidationError, document: object) -> EnvelopeRefused:
    """Translates pydantic's first error."""
    first = error.errors(include_url=False)[0]
    if first["type"] == "json_invalid":  # json.loads has parsed it: it exceeds a limit of pydantic's parser
        if _depth(document) > _DEPTH_MAX:
            return _too_deep()
        return EnvelopeRefused(
            RefusalCode.MALFORMED_JSON, expected="numbers of at most 4,300 digits", found=str(first["ctx"]["error"])
        )
    missing = first["type"] in ("missing", "missing_argument", "missing_keyword_only_argument")
    return EnvelopeRefused(
        RefusalCode.INVALID_ENVELOPE,
        field=".".join(str(part) for part in first["loc"]),
        expected="a value" if missing else _EXPECTED.get(first["type"], first["msg"]).format(**first.get("ctx", {})),
        found=None if missing else _as_found(first["input"]),
    )


def _depth(document: object) -> int:
    """Returns how deep lists and objects are nested."""
    level, depth = [document], 0
    while level := [one for one in level if isinstance(one, dict | list)]:
        depth += 1
        level = [member for one in level for member in (one.values() if isinstance(one, dict) else one)]
    return depth


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
