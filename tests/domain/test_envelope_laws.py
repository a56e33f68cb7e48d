"""Validation of generated input: the publisher's schema, the same with one field broken, and any bytes at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis_jsonschema import from_schema

from domain.contract import _read_carefully, read_envelope
from domain.envelope import Envelope, EnvelopeRefused, Ignored, RefusalCode
from tests import DATA
from tests.support import reference
from tests.support.builders import as_json, envelope

SCHEMA: Final = json.loads((DATA / "VCSessionScheduledEvent.v1.schema.json").read_text(encoding="utf-8"))
EXAMPLE: Final = (DATA / "VCSessionScheduledEvent.v1.example.json").read_bytes()

Json = dict[str, Any]


class Refusal(NamedTuple):
    """What a refusal says, in a form that can be compared."""

    code: RefusalCode
    field: str | None
    expected: str
    found: str | None
    offset: int | None
    event_id: int | None
    appointment_id: str | None


def read(text: bytes, reader: Callable[[bytes], Envelope | Ignored] = read_envelope) -> Envelope | Ignored | Refusal:
    """What validation says. It raises nothing but refusals."""
    try:
        return reader(text)
    except EnvelopeRefused as error:
        return Refusal(*(getattr(error, name) for name in Refusal._fields))


OFFSETS: Final = ("Z", "z", "+00:00", "-00:00", "+02:00", "-11:30", "+14:00")


@st.composite
def moments(draw: st.DrawFn) -> str:
    """RFC 3339 texts that are inside the years 1 to 9999 in UTC whatever their offset."""
    date = f"{draw(st.integers(2, 9998)):04}-{draw(st.integers(1, 12)):02}-{draw(st.integers(1, 28)):02}"
    hours, minutes, seconds = draw(st.integers(0, 23)), draw(st.integers(0, 59)), draw(st.integers(0, 59))
    fraction = draw(st.from_regex(r"(\.[0-9]{1,9})?", fullmatch=True))
    separator, offset = draw(st.sampled_from("Tt ")), draw(st.sampled_from(OFFSETS))
    return f"{date}{separator}{hours:02}:{minutes:02}:{seconds:02}{fraction}{offset}"


FORMATS: Final = {"datetime": moments()}

payloads: Final = from_schema(SCHEMA, custom_formats=FORMATS)


def wrapped(payload: Json) -> Json:
    return envelope(7) | {"eventData": payload | {"version": 1}}


def is_storable(value: object) -> bool:
    if isinstance(value, dict):
        return all(is_storable(key) and is_storable(member) for key, member in value.items())
    if isinstance(value, list):
        return all(map(is_storable, value))
    return not isinstance(value, str) or "\0" not in value


@settings(max_examples=100)
@given(payloads)
def test_what_the_publishers_schema_allows_is_accepted_unless_the_reading_refuses_it(payload: Json) -> None:
    one = wrapped(payload)
    appointment = payload["appointment"]
    bad_ids = [
        name
        for name in ("id", "talentId", "coachId")
        if not appointment[name].strip() or len(appointment[name].encode()) > 512
    ]
    outcome = read(as_json(one))
    if isinstance(outcome, Envelope):
        assert is_storable(one)
        assert not bad_ids
        assert_reads(outcome, appointment)
    else:
        assert isinstance(outcome, Refusal)
        assert (outcome.code, outcome.event_id) == (RefusalCode.INVALID_ENVELOPE, 7)
        if is_storable(one):
            assert outcome.field in [f"eventData.appointment.{name}" for name in bad_ids]
        else:
            assert "U+0000" in outcome.expected


def assert_reads(outcome: Envelope, appointment: Json) -> None:
    snapshot = outcome.snapshot
    for name, value in {
        "id": snapshot.id,
        "talentId": snapshot.talent_id,
        "coachId": snapshot.coach_id,
        "status": snapshot.status,
        "title": snapshot.title,
        "description": snapshot.description,
        "appointmentType": snapshot.appointment_type,
        "subphaseId": snapshot.subphase_id,
        "talentBlockId": snapshot.talent_block_id,
        "canceledBy": snapshot.canceled_by,
        "cancelationReason": snapshot.cancelation_reason,
        "cancelationExplanation": snapshot.cancelation_explanation,
    }.items():
        assert value == appointment.get(name)
    for name, moment in {
        "startDate": snapshot.start_date,
        "endDate": snapshot.end_date,
        "createdAt": snapshot.created_at,
        "updatedAt": snapshot.updated_at,
        "deletedAt": snapshot.deleted_at,
    }.items():
        assert moment == reference.moment(appointment.get(name))


def repaired(value: Any) -> Any:
    """The same without U+0000."""
    if isinstance(value, dict):
        return {repaired(key): repaired(member) for key, member in value.items()}
    if isinstance(value, list):
        return [repaired(member) for member in value]
    return value.replace("\0", "0") if isinstance(value, str) else value


def with_ids(payload: Json) -> Json:
    return payload | {"appointment": payload["appointment"] | {"id": "a", "talentId": "t", "coachId": "c"}}


accepted_payloads: Final = payloads.map(repaired).map(with_ids)

NOT_TEXT: Final[tuple[object, ...]] = (5, 1.5, True, [], {}, ["text"])
NOT_A_MOMENT: Final[tuple[object, ...]] = (
    *NOT_TEXT,
    "",
    "1688958167",
    "2023-07-10",
    "2023-07-10T09:00:00",
    "2023-02-30T09:00:00Z",
    "2023-07-10T09:00:60Z",
)
NOT_A_CONSTANT: Final[tuple[object, ...]] = (*NOT_TEXT, "", "planned", " DONE", "ENGAGEMENT", "other")

WRONG: Final[dict[str, tuple[object, ...]]] = {
    "id": (*NOT_TEXT, None, "", " \n", "x" * 513),
    "talentId": (*NOT_TEXT, None, "", " \n", "é" * 257),
    "coachId": (*NOT_TEXT, None, "", " \n", "🙏" * 129),
    "title": (*NOT_TEXT, None, "\0"),
    "description": (*NOT_TEXT, "\ud800"),
    "status": (*NOT_A_CONSTANT, None),
    "appointmentType": (*NOT_A_CONSTANT, None),
    "subphaseId": NOT_TEXT,
    "talentBlockId": NOT_TEXT,
    "canceledBy": NOT_A_CONSTANT,
    "cancelationReason": NOT_A_CONSTANT,
    "cancelationExplanation": NOT_TEXT,
    "createdAt": (*NOT_A_MOMENT, None),
    "startDate": NOT_A_MOMENT,
    "endDate": NOT_A_MOMENT,
    "updatedAt": NOT_A_MOMENT,
    "deletedAt": NOT_A_MOMENT,
}
RELATIONS: Final = {"coach", "talent", "updateDetailsIds"}
REQUIRED: Final = sorted(set(SCHEMA["properties"]["appointment"]["required"]) - RELATIONS)


def test_the_fields_that_are_broken_here_are_those_of_the_schema() -> None:
    expanded = RELATIONS | {"talentBlock", "subphase", "updateDetails"}
    assert set(WRONG) == set(SCHEMA["properties"]["appointment"]["properties"]) - expanded


@settings(max_examples=40)
@given(accepted_payloads, st.data())
def test_a_payload_with_one_wrong_field_is_refused_naming_that_field(payload: Json, data: st.DataObject) -> None:
    assert isinstance(read_envelope(wrapped(payload)), Envelope)
    for name, values in WRONG.items():
        value = data.draw(st.sampled_from(values), label=name)
        assert_names(payload["appointment"] | {name: value}, name)


@settings(max_examples=20)
@given(accepted_payloads)
def test_a_payload_without_a_required_field_is_refused_naming_that_field(payload: Json) -> None:
    appointment = payload["appointment"]
    for name in REQUIRED:
        assert_names({key: value for key, value in appointment.items() if key != name}, name)


def assert_names(appointment: Json, name: str) -> None:
    with pytest.raises(EnvelopeRefused) as caught:
        read_envelope(wrapped({"appointment": appointment}))
    error = caught.value
    assert (error.code, error.field) == (RefusalCode.INVALID_ENVELOPE, f"eventData.appointment.{name}")
    assert error.event_id == 7
    assert error.appointment_id == ("a" if name != "id" else error.appointment_id)


def test_every_wrong_value_of_every_field_is_refused_naming_that_field() -> None:
    appointment = envelope(7, id="a")["eventData"]["appointment"]
    for name, values in WRONG.items():
        for value in values:
            assert_names(appointment | {name: value}, name)


# Any bytes

FRAGMENTS: Final = (
    b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"null", b"true", b"1", b"-0", b"1e999", b"NaN", b"Infinity",
    b'"id":1,', b'"eventName":"Other",', b'"version":2,', b"\\u0000", b"\\ud83d", b"\\ude4f", b"\0", b"\xff",
    b"\xed\xa0\x80", "é".encode(), "\ufeff".encode(), b" ", b"\n", b"9" * 5000, b"[" * 300, b'"\\u0000":0,',
)  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """The publisher's example with a few places cut out, doubled or replaced."""
    text = EXAMPLE
    for _ in range(draw(st.integers(1, 3))):
        begin = draw(st.integers(0, len(text)))
        end = min(len(text), begin + draw(st.sampled_from((0, 0, 1, 2, 10, 100))))
        inserted = draw(st.sampled_from((b"", text[begin:end] * 2, *FRAGMENTS)) | st.binary(max_size=4))
        text = text[:begin] + inserted + text[end:]
    return text


@settings(max_examples=500)
@given(damaged() | st.binary(max_size=60) | st.lists(st.sampled_from(FRAGMENTS), max_size=12).map(b"".join))
def test_any_bytes_are_read_or_refused_and_nothing_else_happens(text: bytes) -> None:
    outcome = read(text)
    if isinstance(outcome, Envelope):
        assert outcome.text == text.strip(b" \t\r\n")
        document = json.loads(outcome.text)
        assert document["id"] == outcome.event_id
        assert is_storable(document)


@settings(max_examples=500)
@given(damaged())
def test_the_fast_way_through_the_door_says_what_the_careful_way_says(text: bytes) -> None:
    assert read(text) == read(text.strip(b" \t\r\n"), _read_carefully)


JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200)
@given(JSON)
def test_any_value_in_the_place_of_an_object_is_refused(value: object) -> None:
    name = "VCSessionScheduledEvent"
    for document in (value, {"eventName": name, "eventData": value}, wrapped({"appointment": value})):
        assert not isinstance(read(json.dumps(document).encode()), Envelope)
