"""Validation: how the publisher's contract is read, row by row of the reading table in the README."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from domain.arguments import identifier
from domain.contract import read_envelope
from domain.decision import has_same_event_data
from domain.envelope import (
    AppointmentType,
    CancelationReason,
    CanceledBy,
    Envelope,
    EnvelopeRefused,
    Ignored,
    RefusalCode,
    Status,
)
from domain.errors import AppointmentsError, UsageError
from tests import DATA
from tests.support.builders import as_json, envelope

EXAMPLE: Final = (DATA / "VCSessionScheduledEvent.v1.example.json").read_bytes()

Json = dict[str, Any]


def accepted(content: bytes | str | Json) -> Envelope:
    outcome = read_envelope(content)
    assert isinstance(outcome, Envelope)
    return outcome


def refused(content: bytes | str | Json) -> EnvelopeRefused:
    with pytest.raises(EnvelopeRefused) as caught:
        read_envelope(content)
    return caught.value


def assert_invalid(content: bytes | str | Json, field: str) -> EnvelopeRefused:
    error = refused(content)
    assert (error.code, error.field) == (RefusalCode.INVALID_ENVELOPE, field)
    return error


def without(name: str, of: Json) -> Json:
    return {key: value for key, value in of.items() if key != name}


def without_field(name: str) -> Json:
    one = envelope(7)
    del one["eventData"]["appointment"][name]
    return one


def with_version(version: object, **fields: Any) -> Json:
    one = envelope(7, **fields)
    one["eventData"]["version"] = version
    return one


# The publisher's example


def test_the_publishers_example_is_accepted_byte_for_byte() -> None:
    outcome = accepted(b"\r\n  " + EXAMPLE + b" \t\n")
    assert outcome.text == EXAMPLE.strip()
    assert outcome.event_id == 6105029
    assert outcome.published_at == datetime(2023, 7, 10, 3, 2, 47, 972000, tzinfo=UTC)
    snapshot = outcome.snapshot
    assert snapshot.id == "cc62fba4-ac9a-4b71-b5b8-5ac030a5c145"
    assert snapshot.talent_id == "06e6f647-6ed0-43c9-b323-85d8f3384f31"
    assert snapshot.coach_id == "50ad7fff-687a-4498-8a3a-662fda294ba1"
    assert snapshot.title == snapshot.description == "Séance Découverte"
    assert snapshot.status is Status.PLANNED
    assert snapshot.appointment_type is AppointmentType.STANDALONE
    assert snapshot.start_date == datetime(2023, 7, 10, 7, 0, 0, 643000, tzinfo=UTC)
    assert snapshot.end_date == datetime(2023, 7, 10, 7, 30, 0, 188000, tzinfo=UTC)
    assert snapshot.subphase_id == "1b9bf5c9-829f-4958-8739-d52dd6fec14a"
    assert snapshot.talent_block_id is None
    assert (snapshot.canceled_by, snapshot.cancelation_reason, snapshot.cancelation_explanation) == (None, None, None)
    assert snapshot.created_at == snapshot.updated_at == datetime(2023, 7, 10, 7, 2, 47, 900000, tzinfo=UTC)
    assert snapshot.deleted_at is None


# Expanded relations


@pytest.mark.parametrize("name", ["coach", "talent", "talentBlock", "subphase", "updateDetails", "updateDetailsIds"])
@pytest.mark.parametrize("value", [None, 5, "text", [], {"id": 5, "nested": [{}]}])
def test_expanded_relations_and_update_details_are_optional_and_not_validated(name: str, value: Any) -> None:
    assert accepted(envelope(7, **{name: value})).snapshot == accepted(envelope(7)).snapshot


# The envelope's fields


def test_another_event_name_is_ignored() -> None:
    outcome = read_envelope(envelope(7) | {"eventName": "TalentCreatedEvent"})
    assert outcome == Ignored("TalentCreatedEvent")


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "not a number"},
        {"id": None},
        {"createdAt": 5},
        {"eventData": None},
        {"eventData": {"version": 99, "appointment": []}},
        {"eventData": {"version": 1, "appointment": {"id": " ", "title": "\0"}}},
        {"any": "\0"},
        {"any\0": 1},
        {"any": "\ud800"},
    ],
)
def test_another_event_name_is_ignored_whatever_else_is_wrong(wrong: Json) -> None:
    one = {"eventName": "Other"} | wrong
    assert read_envelope(json.dumps(one)) == Ignored("Other")
    assert read_envelope(one) == Ignored("Other")


def test_an_event_name_differs_by_case_and_blanks() -> None:
    for name in ("vcsessionscheduledevent", "VCSessionScheduledEvent ", ""):
        assert read_envelope(envelope(7) | {"eventName": name}) == Ignored(name)


@pytest.mark.parametrize("value", [None, 5, True, [], {}, ["VCSessionScheduledEvent"]])
def test_an_event_name_that_is_no_text_is_refused(value: object) -> None:
    assert_invalid(envelope(7) | {"eventName": value}, "eventName")


@pytest.mark.parametrize("name", ["id", "createdAt", "eventName", "eventData"])
def test_the_envelopes_own_fields_are_required(name: str) -> None:
    error = assert_invalid(without(name, envelope(7)), name)
    assert error.found is None
    assert str(error) == f"{name}: expected a value, found nothing"
    assert_invalid(envelope(7) | {name: None}, name)


@pytest.mark.parametrize("name", ["version", "appointment"])
def test_version_and_appointment_of_the_event_data_are_required(name: str) -> None:
    one = envelope(7)
    del one["eventData"][name]
    error = assert_invalid(one, f"eventData.{name}")
    assert error.event_id == 7
    one["eventData"][name] = None
    assert_invalid(one, f"eventData.{name}")


@pytest.mark.parametrize("value", [None, 5, "text", []])
def test_event_data_and_appointment_are_objects(value: object) -> None:
    assert_invalid(envelope(7) | {"eventData": value}, "eventData")
    assert_invalid(envelope(7) | {"eventData": {"version": 1, "appointment": value}}, "eventData.appointment")


@pytest.mark.parametrize(
    "name", ["updatedAt", "status", "keyId", "version", "userId", "talentId", "publisherNodeId", "processorNodeId"]
)
@pytest.mark.parametrize("value", [None, 5, "text", [], {}])
def test_other_fields_of_the_envelope_are_optional_nullable_and_not_validated(name: str, value: object) -> None:
    assert accepted(envelope(7) | {name: value}).snapshot == accepted(envelope(7)).snapshot


def test_other_fields_of_the_event_data_are_optional_and_not_validated() -> None:
    one = envelope(7)
    one["eventData"] |= {"name": 5, "type": None, "keyId": []}
    assert accepted(one).event_id == 7


def test_the_envelopes_status_is_never_a_lifecycle_status() -> None:
    one = envelope(7, status="DONE") | {"status": "CANCELED"}
    assert accepted(one).snapshot.status is Status.DONE


def test_the_clocks_of_envelope_and_appointment_are_not_compared() -> None:
    earlier = accepted(envelope(7, at="2001-01-01T00:00:00Z", createdAt="2023-07-10T07:02:47.900Z"))
    assert earlier.published_at < earlier.snapshot.created_at
    later = accepted(envelope(7, at="2030-01-01T00:00:00Z", createdAt="2023-07-10T07:02:47.900Z"))
    assert later.published_at > later.snapshot.created_at


def test_the_talent_of_the_appointment_is_the_fact_and_the_envelopes_is_routing() -> None:
    one = envelope(7, talentId="fact") | {"talentId": "routing"}
    assert accepted(one).snapshot.talent_id == "fact"


def test_the_version_of_the_event_data_counts_and_not_the_envelopes() -> None:
    assert accepted(envelope(7) | {"version": 99}).event_id == 7


@pytest.mark.parametrize("version", [2, 0, -1, 10**30])
def test_another_payload_version_is_unsupported(version: int) -> None:
    error = refused(with_version(version))
    assert (error.code, error.field) == (RefusalCode.UNSUPPORTED_VERSION, "eventData.version")
    assert (error.event_id, error.appointment_id) == (7, "appointment-1")
    assert str(version) in str(error)


def test_of_another_payload_version_nothing_else_is_complained_about() -> None:
    assert refused(with_version(2, status="NEW", title=5)).code is RefusalCode.UNSUPPORTED_VERSION


@pytest.mark.parametrize("version", [True, "1", 1.0, None, [1]])
def test_a_payload_version_that_is_no_integer_is_invalid(version: object) -> None:
    assert_invalid(with_version(version), "eventData.version")


# Ids


@pytest.mark.parametrize("event_id", [1, 2, 2**31, 2**53 + 1, 2**63 - 1])
def test_an_envelope_id_is_an_integer_of_the_outbox(event_id: int) -> None:
    assert accepted(envelope(event_id, at="2023-07-02T00:00:00Z")).event_id == event_id


@pytest.mark.parametrize("value", ["6105029", "", 1.0, 1e3, True, False, None, [1], {}, 0, -1, 2**63, 10**30])
def test_no_other_envelope_id_is_accepted(value: object) -> None:
    error = assert_invalid(envelope(7) | {"id": value}, "id")
    assert (error.event_id, error.appointment_id) == (None, "appointment-1")


@pytest.mark.parametrize("name", ["id", "talentId", "coachId"])
@pytest.mark.parametrize(
    "value", ["ABC", "abc", "not-a-uuid", " padded ", "é", "e\u0301", "0", "null", "x" * 512, "é" * 256, "🙏" * 128]
)
def test_ids_are_opaque_text_kept_as_they_are(name: str, value: str) -> None:
    snapshot = accepted(as_json(envelope(7, **{name: value}))).snapshot
    assert {"id": snapshot.id, "talentId": snapshot.talent_id, "coachId": snapshot.coach_id}[name] == value


@pytest.mark.parametrize("name", ["id", "talentId", "coachId"])
@pytest.mark.parametrize("value", ["", " ", "\t\n", "\u00a0\u2003", "x" * 513, "é" * 256 + "x", "🙏" * 128 + "x"])
def test_blank_ids_and_ids_over_512_bytes_are_refused(name: str, value: str) -> None:
    error = assert_invalid(envelope(7, **{name: value}), f"eventData.appointment.{name}")
    assert "512 bytes" in error.expected


@pytest.mark.parametrize("name", ["subphaseId", "talentBlockId"])
@pytest.mark.parametrize("value", ["", " ", "x" * 2000, None])
def test_ids_that_nothing_is_looked_up_by_are_any_text_or_null(name: str, value: str | None) -> None:
    assert accepted(envelope(7, **{name: value})).event_id == 7


def test_an_id_in_a_question_is_checked_like_one_in_an_envelope() -> None:
    assert identifier("talent_id", "é" * 256) == "é" * 256
    for text in ("", " ", "é" * 256 + "x", "a\0b", "\ud800"):
        with pytest.raises(UsageError, match="talent_id: expected an id"):
            identifier("talent_id", text)


# The appointment's fields


@pytest.mark.parametrize("name", ["status", "appointmentType"])
def test_a_default_of_the_schema_fills_nothing(name: str) -> None:
    assert_invalid(without_field(name), f"eventData.appointment.{name}")


@pytest.mark.parametrize(
    "name", ["id", "talentId", "coachId", "title", "description", "subphaseId", "talentBlockId", "createdAt"]
)
def test_what_the_schema_requires_is_required(name: str) -> None:
    error = assert_invalid(without_field(name), f"eventData.appointment.{name}")
    assert (error.event_id, error.found) == (7, None)


@pytest.mark.parametrize(
    "name",
    [
        "startDate",
        "endDate",
        "updatedAt",
        "deletedAt",
        "canceledBy",
        "cancelationReason",
        "cancelationExplanation",
    ],
)
def test_an_absent_optional_field_is_null(name: str) -> None:
    assert accepted(without_field(name)).snapshot == accepted(envelope(7, **{name: None})).snapshot


def test_an_appointment_may_lack_both_dates() -> None:
    snapshot = accepted(envelope(7, startDate=None, endDate=None)).snapshot
    assert (snapshot.start_date, snapshot.end_date) == (None, None)


def test_a_soft_deletion_is_a_time() -> None:
    deleted = accepted(envelope(7, deletedAt="2023-07-03T00:00:00Z")).snapshot
    assert deleted.deleted_at == datetime(2023, 7, 3, tzinfo=UTC)
    assert_invalid(envelope(7, deletedAt=True), "eventData.appointment.deletedAt")


@pytest.mark.parametrize("reason", list(CancelationReason))
def test_the_publishers_spelling_of_reasons_is_kept(reason: str) -> None:
    snapshot = accepted(envelope(7, status="CANCELED", cancelationReason=reason, canceledBy="ADMIN")).snapshot
    assert snapshot.cancelation_reason == reason
    assert snapshot.canceled_by is CanceledBy.ADMIN


def test_a_corrected_spelling_is_refused() -> None:
    error = assert_invalid(
        envelope(7, cancelationReason="TALENT_HAS_PROFESSIONAL_ENGAGEMENT"),
        "eventData.appointment.cancelationReason",
    )
    assert "TALENT_HAS_PROFESSIONAL_ENGAGMENT" in error.expected
    assert accepted(envelope(7, cancellationReason="of nobody", cancelledBy=5)).snapshot.canceled_by is None


def test_a_field_under_its_python_name_is_unknown() -> None:
    one = without_field("talentId")
    one["eventData"]["appointment"]["talent_id"] = "talent-1"
    assert_invalid(one, "eventData.appointment.talentId")


@pytest.mark.parametrize("status", list(Status))
def test_the_event_called_scheduled_carries_every_status(status: Status) -> None:
    assert accepted(envelope(7, status=status.value)).snapshot.status is status


@pytest.mark.parametrize("status", ["planned", "ACKNOWLEDGED", "CANCELLED", "", None, 0])
def test_no_other_status_is_accepted(status: object) -> None:
    error = assert_invalid(envelope(7, status=status), "eventData.appointment.status")
    assert error.expected == "'PLANNED', 'DONE' or 'CANCELED'"
    assert error.found == json.dumps(status)


def test_unknown_properties_are_kept_in_the_text_and_invisible() -> None:
    one = envelope(7, revision=99, eventId=5, mood="good") | {"trace": {"deep": [1]}}
    one["eventData"]["extra"] = "too"
    outcome = accepted(as_json(one))
    assert outcome.text == as_json(one)
    assert outcome.snapshot == accepted(envelope(7)).snapshot


# Identity


def raw(value: str) -> bytes:
    return b'{"eventData":{"x":%s}}' % value.encode()


def test_delivery_bookkeeping_is_not_part_of_an_envelopes_identity() -> None:
    again = json.loads(EXAMPLE)
    again |= {"updatedAt": None, "status": "FAILED", "processorNodeId": 1, "publisherNodeId": "other", "version": 2}
    again["createdAt"] = "2023-07-10T03:02:47.973Z"
    assert has_same_event_data(EXAMPLE, as_json(again))
    again["eventData"]["unknown"] = None
    assert not has_same_event_data(EXAMPLE, as_json(again))


def test_event_data_is_the_same_in_another_key_order_and_another_spelling() -> None:
    assert has_same_event_data(raw('{"a":1,"b":[2]}'), raw('{ "b" : [2.0], "a": 1e0 }'))
    assert has_same_event_data(raw('"\\u00e9"'), raw('"é"'))
    assert has_same_event_data(raw('{"a":1,"a":2}'), raw('{"a":2}'))


@pytest.mark.parametrize(("one", "other"), [("1", "1.0"), ("100", "1e2"), ("0", "-0"), ("0.5", "5E-1")])
def test_equal_numbers_are_the_same_event_data(one: str, other: str) -> None:
    assert has_same_event_data(raw(one), raw(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("true", "1"),
        ("false", "0"),
        ("null", "0"),
        ('"1"', "1"),
        ("[]", "{}"),
        ("[1,2]", "[2,1]"),
        ("[1]", "[1,1]"),
        ('{"a":null}', "{}"),
        ("[true]", "[1]"),
        ("9007199254740993", "9007199254740992"),
        ("0.1", "0.1000000000000000055511151231257827"),
        ("1e400", "1e401"),
        ("1e999999999999999999999", "2e999999999999999999999"),
        ('"é"', '"e\u0301"'),
    ],
)
def test_different_values_are_different_event_data(one: str, other: str) -> None:
    assert not has_same_event_data(raw(one), raw(other))
    assert has_same_event_data(raw(other), raw(f" {other} "))


# The refusal


def test_a_refusal_says_which_field_what_was_expected_and_what_was_found() -> None:
    error = assert_invalid(envelope(7, title=["x"]), "eventData.appointment.title")
    assert str(error) == 'eventData.appointment.title: expected a text, found ["x"]'
    assert (error.event_id, error.appointment_id, error.offset) == (7, "appointment-1", None)
    assert isinstance(error, AppointmentsError)
    assert isinstance(error, ValueError)


def test_what_was_found_is_cut_to_120_characters() -> None:
    error = assert_invalid(envelope(7, status="x" * 500), "eventData.appointment.status")
    assert error.found is not None
    assert len(error.found) == 120
    assert error.found.endswith("...")
