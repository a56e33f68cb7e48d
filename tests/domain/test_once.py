"""An envelope is stored once and the first arrival wins: duplicates, conflicts, and what is ignored or refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from domain import AppendReport
from domain.identifiers import EventId
from tests.conftest import Place
from tests.support.builders import as_json, envelope
from tests.support.damage import damage_stored
from tests.support.event_stores import ids, outcomes, stored

FIRST = envelope(1, weight=1, parts=[1, 2], note="é", flags={"a": True, "b": None})


def changed(**fields: Any) -> dict[str, Any]:
    data = FIRST["eventData"]
    return {**FIRST, "eventData": {**data, "appointment": {**data["appointment"], **fields}}}


def key_order_reversed() -> dict[str, Any]:
    data = FIRST["eventData"]
    appointment = dict(reversed(data["appointment"].items()))
    return dict(reversed({**FIRST, "eventData": {"appointment": appointment, "version": 1}}.items()))


SAME = {
    "the same bytes": as_json(FIRST),
    "other blanks and escapes": json.dumps(FIRST, indent=2).encode(),
    "other key order": key_order_reversed(),
    "1.0 for 1": changed(weight=1.0),
    "1e0 for 1": as_json(FIRST).replace(b'"weight":1', b'"weight":1e0'),
    "other delivery": {**FIRST, "status": "PUBLISHED", "processorNodeId": "n", "updatedAt": "x", "talentId": "?"},
    "other time of publication": {**FIRST, "createdAt": "2024-01-01T00:00:00Z"},
    "a key twice": as_json(FIRST).replace(b'"weight":1', b'"weight":2,"weight":1'),
}
OTHER = {
    "other title": changed(title="other"),
    "other appointment": changed(id="appointment-2"),
    "true for 1": changed(weight=True),
    "text for a number": changed(weight="1"),
    "a number a float cannot tell apart": as_json(FIRST).replace(b'"weight":1', b'"weight":1.00000000000000000001'),
    "other order in a list": changed(parts=[2, 1]),
    "longer list": changed(parts=[1, 2, 3]),
    "one key more": changed(more=None),
    "null for a value": changed(note=None),
    "1 for true, deep inside": changed(flags={"a": 1, "b": None}),
}


@pytest.mark.parametrize("again", SAME.values(), ids=SAME.keys())
def test_an_envelope_that_says_the_same_is_a_duplicate(place: Place, again: bytes | dict[str, Any]) -> None:
    events = place.events()
    assert outcomes(events.append([FIRST, again])) == (1, 1, 0, 0)
    assert outcomes(events.append([again])) == (0, 1, 0, 0)
    assert events.stored_text(EventId(1)) == as_json(FIRST)
    assert len(events.quarantine) == 0


@pytest.mark.parametrize("other", OTHER.values(), ids=OTHER.keys())
def test_an_envelope_that_contradicts_is_quarantined_and_the_first_stays(
    place: Place, other: bytes | dict[str, Any]
) -> None:
    events = place.events()
    assert outcomes(events.append([FIRST, other])) == (1, 0, 0, 1)
    assert outcomes(events.append([other])) == (0, 0, 0, 1)
    assert [one.text for one in stored(events)] == [as_json(FIRST)]
    [item] = events.quarantine.list()
    content = other if isinstance(other, bytes) else as_json(other)
    assert (item.refused.code, item.refused.event_id, item.refused.content) == ("conflict", 1, content)
    assert item.count == 2


DAMAGED = [b"", b"\xff\xfe\x00", as_json(FIRST)[:-1], b"[1]", b"{}", b"[" * 100_000]


@pytest.mark.parametrize("text", DAMAGED, ids=["nothing", "no text", "cut", "a list", "no data", "too deep"])
def test_what_repeats_a_damaged_envelope_is_quarantined_and_the_good_ones_beside_it_are_stored(
    place: Place, text: bytes
) -> None:
    events = place.events()
    events.append([FIRST])
    damage_stored(place, 1, text)
    assert outcomes(events.append([envelope(2), FIRST, envelope(3)])) == (2, 0, 0, 1)
    assert ids(stored(events)) == [1, 2, 3]
    assert events.stored_text(EventId(1)) == text, "nothing is overwritten"
    [item] = events.quarantine.list()
    assert (item.refused.code, item.refused.event_id, item.refused.content) == ("conflict", 1, as_json(FIRST))
    assert item.refused.reason == (
        "eventData: expected what envelope 1 said when it first came, "
        "found that the stored envelope is damaged and cannot be read"
    )
    assert events.quarantine.retry().kept == 1
    damage_stored(place, 1, as_json(FIRST))
    assert events.quarantine.retry().accepted == 1


def test_whichever_arrives_first_wins(place: Place) -> None:
    events = place.events()
    assert outcomes(events.append([changed(title="other"), FIRST, changed(title="other")])) == (1, 1, 0, 1)
    assert [one.snapshot.title for one in events.history("appointment-1")] == ["other"]


def test_events_of_other_names_are_ignored_whatever_else_is_wrong_with_them(place: Place) -> None:
    events = place.events()
    report = events.append([{"eventName": "CoachHired"}, {**envelope(1), "eventName": "X", "id": "?"}])
    assert report == AppendReport(read=2, ignored=2)
    assert (events.count(), len(events.quarantine)) == (0, 0)


def test_what_cannot_be_accepted_does_not_keep_the_rest_of_its_batch_out(place: Place) -> None:
    events = place.events()
    report = events.append([b"{", envelope(1), envelope(2, status="LATE"), {"id": 3, "x": float("nan")}, envelope(4)])
    assert outcomes(report) == (2, 0, 0, 3)
    assert ids(stored(events)) == [1, 4]
    assert [one.refused.code for one in events.quarantine.list()] == [
        "malformed_json",
        "invalid_envelope",
        "malformed_json",
    ]
