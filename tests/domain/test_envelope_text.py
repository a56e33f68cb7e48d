"""Validation: JSON that is malformed, extreme or cannot be stored; times; the forms an envelope may come in."""

from __future__ import annotations

import json
from collections import UserDict
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

import pytest

from domain.contract import read_envelope
from domain.envelope import Envelope, EnvelopeRefused, Ignored, RefusalCode
from tests.support.builders import as_json, envelope

Json = dict[str, Any]

TEXT: Final = as_json(envelope(7)).decode()


def accepted(content: bytes | str | Json) -> Envelope:
    outcome = read_envelope(content)
    assert isinstance(outcome, Envelope)
    return outcome


def refused(content: bytes | str | Json) -> EnvelopeRefused:
    with pytest.raises(EnvelopeRefused) as caught:
        read_envelope(content)
    return caught.value


def with_unknown(value: str) -> str:
    """An envelope with an unknown field of this JSON."""
    return f'{TEXT[:-1]},"unknown":{value}}}'


# Times


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2023-07-10T09:00:00Z", datetime(2023, 7, 10, 9, tzinfo=UTC)),
        ("2023-07-10T09:00:00.1Z", datetime(2023, 7, 10, 9, 0, 0, 100_000, tzinfo=UTC)),
        ("2023-07-10T09:00:00.123456Z", datetime(2023, 7, 10, 9, 0, 0, 123_000, tzinfo=UTC)),
        ("2023-07-10T23:59:59.9999999Z", datetime(2023, 7, 10, 23, 59, 59, 999_000, tzinfo=UTC)),
        ("2023-07-10T09:00:00." + "9" * 5000 + "Z", datetime(2023, 7, 10, 9, 0, 0, 999_000, tzinfo=UTC)),
        ("1969-12-31T23:59:59.9999Z", datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)),
        ("2023-07-10t09:00:00.000Z", datetime(2023, 7, 10, 9, tzinfo=UTC)),
        ("2023-07-10 09:00:00.000Z", datetime(2023, 7, 10, 9, tzinfo=UTC)),
        ("2023-07-10T09:00:00.000z", datetime(2023, 7, 10, 9, tzinfo=UTC)),
        ("2023-07-10t09:00:00z", datetime(2023, 7, 10, 9, tzinfo=UTC)),
        ("2023-07-10 09:00:00Z", datetime(2023, 7, 10, 9, tzinfo=UTC)),
        ("2023-07-10T09:00:00+02:00", datetime(2023, 7, 10, 7, tzinfo=UTC)),
        ("2023-07-10T09:00:00-05:30", datetime(2023, 7, 10, 14, 30, tzinfo=UTC)),
        ("2023-07-10T09:00:00-00:00", datetime(2023, 7, 10, 9, tzinfo=UTC)),
        ("2023-12-31T23:00:00.0006-23:59", datetime(2024, 1, 1, 22, 59, tzinfo=UTC)),
        ("2024-02-29T00:00:00Z", datetime(2024, 2, 29, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("0001-01-01T01:00:00+01:00", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59.999Z", datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)),
    ],
)
def test_a_time_is_rfc_3339_brought_to_utc_and_cut_to_milliseconds(text: str, expected: datetime) -> None:
    outcome = accepted(envelope(7, at=text, startDate=text, createdAt=text))
    for moment in (outcome.published_at, outcome.snapshot.start_date, outcome.snapshot.created_at):
        assert moment is not None
        assert moment == expected
        assert moment.tzinfo is UTC


@pytest.mark.parametrize("name", ["startDate", "endDate", "createdAt", "updatedAt", "deletedAt"])
@pytest.mark.parametrize(
    "value",
    [
        "2023-07-10T09:00:00",
        "2023-07-10T09:00:00.000",
        "2023-07-10",
        "2023-07-10T09:00Z",
        "2023-07-10T09:00:00+02",
        "2023-07-10T09:00:00+0200",
        "2023-07-10T09:00:00+24:00",
        "2023-07-10T09:00:00+02:60",
        "2023-07-10T09:00:00+02:00:30",
        "2023-07-10T09:00:00 Z",
        "2023-07-10T09:00:00,5Z",
        "2023-07-10T09:00:00.Z",
        "2023-07-10T09:00:00Z\n",
        " 2023-07-10T09:00:00Z",
        "2023-07-10T09:00:00Z[Europe/Paris]",
        "2023-07-10T24:00:00Z",
        "2023-07-10T09:60:00Z",
        "2023-02-29T00:00:00Z",
        "2023-13-01T00:00:00Z",
        "2023-W28-1T00:00:00Z",
        "20230710T090000Z",
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "\uff12023-07-10T09:00:00Z",
        # as long as the usual spelling
        "2023-07-10T24:00:00.000Z",
        "2023-07-10T09:00:60.000Z",
        "2023-02-30T09:00:00.000Z",
        "0000-01-01T00:00:00.000Z",
        "2023-07-10X09:00:00.000Z",
        "2023-07-10T09:00:00,000Z",
        "2023-W28-1T09:00:00.000Z",
        "20230710T090000.0000000Z",
        "2023-07-10T09:00:00-0200",
        "2023-07-10T09:00:00+0000",
        "2023-07-10T09:00:00.0+02",
        "2023-07-10T09:00:00.0000",
        "2023-07-10T09:00:00.+00Z",
        "\uff12023-07-10T09:00:00.000Z",
        "",
        "now",
        "1688958167",
        1688958167,
        1688958167.5,
        0,
        True,
        [],
        {},
    ],
)
def test_anything_else_is_no_time(name: str, value: Any) -> None:
    error = refused(envelope(7, **{name: value}))
    assert (error.code, error.field) == (RefusalCode.INVALID_ENVELOPE, f"eventData.appointment.{name}")
    assert error.expected.startswith("an RFC 3339 time")


@pytest.mark.parametrize("value", [1688958167, "1688958167", "2023-07-10T03:02:47", None, True])
def test_the_envelopes_time_is_read_as_strictly(value: object) -> None:
    error = refused(envelope(7) | {"createdAt": value})
    assert (error.code, error.field, error.event_id) == (RefusalCode.INVALID_ENVELOPE, "createdAt", 7)


def test_a_time_without_an_offset_is_never_guessed() -> None:
    assert "with an offset" in refused(envelope(7, startDate="2023-07-10T09:00:00")).expected


def test_a_leap_second_is_refused_in_clear_words() -> None:
    error = refused(envelope(7, endDate="2016-12-31T23:59:60Z"))
    assert "no leap second" in error.expected
    assert error.found == '"2016-12-31T23:59:60Z"'


# What cannot be stored


@pytest.mark.parametrize(
    "bad", ["\\u0000", "a\\u0000b", "\\ud800", "\\udfff", "\\ud800x", "\\ude00\\ud83d", "\\ud83d\\n"]
)
@pytest.mark.parametrize(
    ("template", "field"),
    [
        ('"{}"', "unknown"),
        ('{{"{}":1}}', "unknown"),
        ('[1,{{"deep":["{}"]}}]', "unknown[1].deep[0]"),
        ('[{{"deep":{{"x{}":[]}}}}]', "unknown[0].deep"),
    ],
)
def test_u0000_and_lone_surrogates_are_refused_anywhere(bad: str, template: str, field: str) -> None:
    error = refused(with_unknown(template.format(bad)))
    assert (error.code, error.field) == (RefusalCode.INVALID_ENVELOPE, field)
    assert "U+0000" in error.expected
    assert (error.event_id, error.appointment_id) == (7, "appointment-1")
    assert str(error).isascii(), "a message can always be printed"


@pytest.mark.parametrize("bad", ["\0", "\ud800", "\udfff tail"])
@pytest.mark.parametrize("name", ["id", "talentId", "coachId", "title", "description", "talentBlockId"])
def test_u0000_and_lone_surrogates_are_refused_in_known_fields(bad: str, name: str) -> None:
    for content in (envelope(7, **{name: bad}), json.dumps(envelope(7, **{name: bad}))):
        error = refused(content)
        assert (error.code, error.field) == (RefusalCode.INVALID_ENVELOPE, f"eventData.appointment.{name}")


@pytest.mark.parametrize("bad", ["\\u0000", "\\ud800"])
def test_u0000_and_lone_surrogates_are_refused_where_a_later_key_overrules_them_too(bad: str) -> None:
    error = refused(as_json(envelope(7)).replace(b'"title":', b'"title":["%s"],"title":' % bad.encode()))
    assert error.code == RefusalCode.INVALID_ENVELOPE
    assert (error.event_id, error.appointment_id) == (7, "appointment-1")


def test_an_appointment_id_that_cannot_be_stored_is_not_reported_as_one() -> None:
    assert refused(envelope(7, id="a\0b")).appointment_id is None


@pytest.mark.parametrize(
    ("escaped", "title"),
    [
        ("\\ud83d\\ude4f", "🙏"),
        ("\\\\u0000", "\\u0000"),
        ("\\\\ud800", "\\ud800"),
        ("NaN and Infinity", "NaN and Infinity"),
        ("\\u0001\\uffff\\u007f", "\x01\uffff\x7f"),
        ("null", "null"),
    ],
)
def test_text_that_only_looks_forbidden_is_accepted(escaped: str, title: str) -> None:
    text = TEXT.replace('"Séance Découverte"', f'"{escaped}"')
    outcome = accepted(text)
    assert outcome.snapshot.title == title
    assert outcome.text == text.encode()


# Malformed JSON


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_nan_and_infinity_are_malformed(constant: str) -> None:
    error = refused(with_unknown(f"[{constant}]"))
    assert (error.code, error.found) == (RefusalCode.MALFORMED_JSON, f"the number {constant}")
    assert refused(TEXT.replace(":7,", f":{constant},")).code is RefusalCode.MALFORMED_JSON


@pytest.mark.parametrize(
    ("content", "offset"),
    [
        ("", 0),
        (" \n\t ", 0),
        ("{", 1),
        ('{"id":', 6),
        ('{"é":}', 6),
        ('{"id":1,}', 8),
        ("{'id':1}", 1),
        ('{"id":01}', 7),
        ('{"id":1} {}', 9),
        ('{"id":"\t"}', 7),
        ('{"id":"\\x"}', 7),
        ("nothing", 0),
    ],
)
def test_malformed_json_is_refused_with_its_place_in_bytes(content: str, offset: int) -> None:
    for form in (content, content.encode()):
        error = refused(form)
        assert (error.code, error.offset, error.field) == (RefusalCode.MALFORMED_JSON, offset, None)


@pytest.mark.parametrize("length", range(0, len(TEXT.encode()), 40))
def test_an_envelope_that_was_cut_off_is_malformed(length: int) -> None:
    error = refused(TEXT.encode()[:length])
    assert error.code is RefusalCode.MALFORMED_JSON
    assert error.offset is not None
    assert 0 <= error.offset <= length


@pytest.mark.parametrize("bad", [b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", "é".encode("latin-1")])
def test_what_is_not_utf_8_is_malformed(bad: bytes) -> None:
    for content in (b'"' + bad + b'"', b'{"' + bad + b'":1}'):
        text = with_unknown("?").encode().replace(b"?", content)
        error = refused(text)
        assert (error.code, error.expected) == (RefusalCode.MALFORMED_JSON, "UTF-8")
        assert error.offset == text.index(bad)
        assert f"0x{bad[0]:02x}" in str(error)


def test_a_text_with_lone_surrogates_is_no_utf_8() -> None:
    assert refused(with_unknown('"\ud800"')).code is RefusalCode.MALFORMED_JSON


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_other_encodings_are_malformed(encoding: str) -> None:
    assert refused(TEXT.encode(encoding)).code is RefusalCode.MALFORMED_JSON


def test_a_byte_order_mark_is_not_the_doors_business() -> None:
    error = refused(b"\xef\xbb\xbf" + TEXT.encode())
    assert (error.code, error.offset) == (RefusalCode.MALFORMED_JSON, 0)


@pytest.mark.parametrize("content", ["5", "-1.5e3", "null", "true", '"text"', "[]", f"[{TEXT}]"])
def test_json_that_is_no_object_is_no_envelope(content: str) -> None:
    error = refused(content)
    assert (error.code, error.field) == (RefusalCode.INVALID_ENVELOPE, None)
    assert error.expected == "an envelope: a JSON object"
    assert (error.event_id, error.appointment_id) == (None, None)


def test_of_duplicate_keys_the_last_wins() -> None:
    assert accepted('{"id":"bad",' + TEXT[1:]).event_id == 7
    assert refused(TEXT[:-1] + ',"id":"bad"}').field == "id"
    assert accepted(TEXT.replace('"title":', '"title":5,"title":')).snapshot.title == "Séance Découverte"
    assert accepted('{"eventData":null,"eventName":"Other",' + TEXT[1:]).event_id == 7
    assert read_envelope(TEXT[:-1] + ',"eventName":"Other"}') == Ignored("Other")
    assert refused(TEXT[:-1] + ',"eventData":{"version":2}}').code is RefusalCode.UNSUPPORTED_VERSION


# Extremes


@pytest.mark.parametrize("depth", [199, 300, 900, 950, 980, 990, 1000, 5000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_deep_nesting_is_refused_and_nothing_worse(depth: int, opening: str, closing: str) -> None:
    nested = opening * depth + ("1" if opening != "[" else "") + closing * depth
    for content in (with_unknown(nested), TEXT.replace('"PLANNED"', nested), nested, opening * depth):
        if depth < 200 and content == with_unknown(nested):
            assert accepted(content).event_id == 7
        else:
            assert refused(content).code in (RefusalCode.MALFORMED_JSON, RefusalCode.INVALID_ENVELOPE)


def test_a_number_of_ten_thousand_digits_is_refused_and_nothing_worse() -> None:
    digits = "9" * 10_000
    for content in (
        with_unknown(digits),
        with_unknown(f"-{digits}"),
        TEXT.replace(":7,", f":{digits},"),
        TEXT.replace('"version":1', f'"version":{digits}'),
        TEXT.replace('"PLANNED"', digits),
        digits,
    ):
        error = refused(content)
        assert error.code in (RefusalCode.MALFORMED_JSON, RefusalCode.INVALID_ENVELOPE)
        assert len(str(error)) < 300


def test_numbers_that_fit_no_float_are_kept_as_text() -> None:
    for number in ("1e400", "-1e-400", "0." + "1" * 10_000, "9" * 4000):
        assert accepted(with_unknown(number)).text == with_unknown(number).encode()


def test_a_text_of_a_megabyte_is_accepted() -> None:
    assert accepted(envelope(7, title="é" * 500_000)).snapshot.title == "é" * 500_000


# The forms


def test_text_bytes_and_object_are_equal_forms() -> None:
    one = envelope(7, title="Séance 🙏", unknown=[1, {"é": None}])
    assert accepted(as_json(one)) == accepted(as_json(one).decode()) == accepted(one)


def test_a_text_is_kept_as_received_without_surrounding_blanks() -> None:
    pretty = json.dumps(envelope(7), indent=2)
    assert accepted(f" \r\n{pretty}\n\t").text == pretty.encode()
    assert accepted(f" \r\n{pretty}\n\t".encode()).text == pretty.encode()


def test_any_mapping_is_an_object() -> None:
    inside: Json = envelope(7) | {"unknown": UserDict({"a": 1})}
    expected = accepted(envelope(7) | {"unknown": {"a": 1}})
    assert (
        read_envelope(inside)
        == read_envelope(MappingProxyType(inside))
        == read_envelope(UserDict(inside))
        == expected
    )


def circular() -> Json:
    one = envelope(7)
    one["unknown"] = [one]
    return one


def bottomless() -> Json:
    one = innermost = envelope(7)
    for _ in range(100_000):
        innermost["unknown"] = innermost = {}
    return one


@pytest.mark.parametrize(
    "one",
    [
        envelope(7) | {"unknown": {1, 2}},
        envelope(7) | {"unknown": b"bytes"},
        envelope(7) | {"unknown": float("nan")},
        envelope(7) | {"unknown": float("-inf")},
        envelope(7, startDate=datetime(2023, 7, 10, tzinfo=UTC)),
        envelope(7) | {"unknown": {(1, 2): "key"}},
    ],
)
def test_an_object_that_json_cannot_express_is_malformed(one: Json) -> None:
    assert refused(one).code is RefusalCode.MALFORMED_JSON


def test_an_object_without_an_end_is_malformed() -> None:
    assert refused(circular()).code is RefusalCode.MALFORMED_JSON
    assert refused(bottomless()).code is RefusalCode.MALFORMED_JSON
