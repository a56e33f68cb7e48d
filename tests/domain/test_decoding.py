"""Decoding of stored envelopes: the same result as their validation, only faster."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings

from domain.contract import read_envelope
from domain.decoding import decode_envelope
from projections.cli.sample import sample_envelopes
from tests import DATA
from tests.support import reference
from tests.support.builders import as_json, envelope
from tests.support.histories import histories

EXAMPLE = DATA / "VCSessionScheduledEvent.v1.example.json"


@settings(max_examples=500)
@given(histories())
def test_it_reads_what_the_door_accepted_as_the_door_did(envelopes: list[dict[str, Any]]) -> None:
    for one in envelopes:
        text = as_json(one)
        assert decode_envelope(text) == read_envelope(text)


def test_it_reads_the_publishers_example_and_a_sample_as_the_door_did() -> None:
    texts = [EXAMPLE.read_bytes().strip(), *(one.encode() for one in sample_envelopes(2000))]
    assert [decode_envelope(text) for text in texts] == [read_envelope(text) for text in texts]


@pytest.mark.parametrize(
    ("key", "keys"),
    [
        (b'"status":"PLANNED"', b'"status":"DONE","status":"CANCELED"'),
        (b'"status":"PLANNED"', b'"status":"LATE","status":"CANCELED"'),
        (b'"id":1', b'"id":"a","id":1'),
        (b'"eventData":', b'"eventData":{"appointment":{"id":5}},"eventData":'),
        (b'"version":1', b'"appointment":null,"n":1e999,"version":1'),
    ],
)
def test_of_duplicate_keys_the_last_wins_here_too_whatever_the_others_say(key: bytes, keys: bytes) -> None:
    text = as_json(envelope(1)).replace(key, keys)
    assert text.count(keys) == 1
    assert decode_envelope(text) == read_envelope(text)


def test_optional_fields_that_are_absent_are_null() -> None:
    one = envelope(1)
    for name in ("startDate", "endDate", "updatedAt", "deletedAt", "canceledBy", "cancelationReason"):
        del one["eventData"]["appointment"][name]
    assert decode_envelope(as_json(one)) == read_envelope(one)


@pytest.mark.parametrize("text", [b"", b"{", b"5", b'{"id":1}', as_json(envelope(1, status="LATE"))])
def test_what_is_no_envelope_is_an_error(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_envelope(text)


def test_a_dict_and_its_json_are_the_same_here() -> None:
    assert json.loads(decode_envelope(as_json(envelope(3))).text) == envelope(3)


@pytest.mark.parametrize(
    "time", ["2023-07-10T09:00:00.999Z", "2023-07-10T09:00:00.9999999Z", "2023-07-10t11:00:00+02:00"]
)
@pytest.mark.parametrize("length", [1, 128, 129, 512])
def test_the_usual_spelling_and_every_other_give_the_same_envelope(time: str, length: int) -> None:
    text = as_json(envelope(1, at=time, id="a" * length, startDate=time, createdAt=time, deletedAt=time))
    decoded = decode_envelope(text)
    assert decoded == read_envelope(text)
    assert decoded.snapshot.id == "a" * length
    assert decoded.published_at == decoded.snapshot.start_date == decoded.snapshot.created_at
    assert decoded.snapshot.start_date == reference.moment(time)
