"""The mask: what stays of an envelope of a forgotten person, and which words of it may name one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import Envelope, read_envelope
from domain.masking import FORGOTTEN, MaskedEnvelope, mask, words_in, words_masked
from domain.person import Side
from tests.support.builders import COACH, TALENT, as_json, envelope

NOTHING = st.none()
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
TIMES = st.datetimes().map(lambda one: one.isoformat() + "+02:00").filter(lambda one: one[:4] not in ("0001", "9999"))
FIELDS = st.fixed_dictionaries(
    {
        "title": TEXTS,
        "status": st.sampled_from(("PLANNED", "DONE", "CANCELED")),
        "description": NOTHING | TEXTS,
        "startDate": NOTHING | TIMES,
        "deletedAt": NOTHING | TIMES,
        "subphaseId": NOTHING | TEXTS,
        "canceledBy": st.sampled_from((None, "COACH", "TALENT", "ADMIN")),
        "notes": TEXTS,
    }
)
SIDES = st.sets(st.sampled_from(Side))


def read(sent: dict[str, Any] | bytes) -> Envelope:
    found = read_envelope(sent)
    assert isinstance(found, Envelope)
    return found


def full() -> dict[str, Any]:
    """An envelope with something in every field, and in fields that the contract does not name."""
    sent = envelope(
        7,
        status="CANCELED",
        title="Ana and Bruno",
        description="about Ana",
        subphaseId="subphase-1",
        talentBlockId="block-1",
        canceledBy="TALENT",
        cancelationReason="OTHER",
        cancelationExplanation="Ana is ill",
        talent={"id": TALENT, "firstName": "Ana"},
    )
    return sent | {"talentId": TALENT, "publisherNodeId": "node-1"}


def test_a_masked_envelope_is_the_allow_list_and_nothing_else() -> None:
    masked = mask(read(full()), [Side.TALENT])
    assert json.loads(masked.text) == {
        "id": 7,
        "createdAt": "2023-07-02T00:00:07.000Z",
        "eventName": "VCSessionScheduledEvent",
        "eventData": {
            "version": 1,
            "appointment": {
                "id": "appointment-1",
                "talentId": FORGOTTEN,
                "coachId": COACH,
                "status": "CANCELED",
                "title": "",
                "description": None,
                "appointmentType": "STANDALONE",
                "subphaseId": None,
                "talentBlockId": None,
                "createdAt": "2023-07-01T12:00:00.000Z",
                "updatedAt": None,
                "deletedAt": None,
                "startDate": "2023-07-10T09:00:00.000Z",
                "endDate": "2023-07-10T10:00:00.000Z",
                "canceledBy": "TALENT",
                "cancelationReason": "OTHER",
                "cancelationExplanation": None,
            },
        },
    }


@pytest.mark.parametrize(
    ("sides", "ids"),
    [
        ([], (TALENT, COACH)),
        ([Side.TALENT], (FORGOTTEN, COACH)),
        ([Side.COACH], (TALENT, FORGOTTEN)),
        ([Side.TALENT, Side.COACH], (FORGOTTEN, FORGOTTEN)),
    ],
)
def test_only_the_id_of_a_forgotten_side_is_replaced(sides: list[Side], ids: tuple[str, str]) -> None:
    masked = mask(read(full()), sides).snapshot
    assert (masked.talent_id, masked.coach_id) == ids


@given(FIELDS, SIDES, SIDES)
def test_masking_twice_is_masking_once_for_both_sides_together(
    fields: dict[str, Any], first: set[Side], second: set[Side]
) -> None:
    one = read(envelope(1, **fields))
    assert mask(mask(one, first), second) == mask(one, first | second)
    assert mask(mask(one, first), first).text == mask(one, first).text


@given(FIELDS, SIDES)
def test_a_masked_envelope_is_a_valid_envelope_that_says_what_it_is_stored_as(
    fields: dict[str, Any], sides: set[Side]
) -> None:
    masked = mask(read(envelope(1, **fields)), sides)
    again = read(masked.text)
    assert MaskedEnvelope(again.event_id, again.published_at, again.snapshot, again.text) == masked


@given(FIELDS, SIDES)
def test_a_masked_envelope_has_no_word_left_that_could_be_masked(fields: dict[str, Any], sides: set[Side]) -> None:
    assert words_masked(mask(read(envelope(1, **fields)), sides).text) <= {""}


@pytest.mark.parametrize(
    "said",
    ["t-1", "see t-1.", "(t-1)", '{"id":"t-1"}', "https://example.org/talents/t-1?x=1", "t-1,t-2", "T:t-1", "_t-1_"],
)
def test_an_id_is_found_between_blanks_and_punctuation(said: str) -> None:
    assert "t-1" in words_masked(as_json(envelope(description=said)))
    assert "t-1" in words_masked(as_json(envelope() | {"note": [{"x": said}]}))


@pytest.mark.parametrize("said", ["t-10", "xt-1", "t-1-2"])
def test_an_id_that_is_part_of_a_longer_one_is_not_found(said: str) -> None:
    assert "t-1" not in words_masked(as_json(envelope(description=said)))


def test_an_id_is_found_whatever_its_spelling_and_wherever_it_stands() -> None:
    sent = as_json(envelope())
    assert "t 1" in words_masked(sent.replace(b'"description":null', b'"description":"\\u0074\\u00201"'))
    assert "t/1" in words_masked(sent.replace(b'"description":null', b'"byTalent":{"t\\/1":1},"description":null'))
    assert "t-1" in words_masked(sent.replace(b'"talentId"', b'"talentId":"t-1","talentId"'))
    assert "a@b.c" in words_masked(sent.replace(b'"description":null', b'"description":"of a@b.c, who"'))


def test_what_masking_keeps_is_no_mention_of_a_person() -> None:
    assert words_masked(as_json(envelope(title="", id="t-1", coachId="t-1"))) <= {""}


def test_words_are_found_in_what_is_no_json() -> None:
    assert "t-1" in words_in(b'{"talentId":"t-1"')
    assert "t-1" in words_in(b"\xff t-1")
    assert "t\u00e9" in words_in(b'["t\\u00e9"]')
