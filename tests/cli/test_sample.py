"""The sample: deterministic, lazy, valid by the contract, and with everything that can happen to an appointment."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import datetime
from itertools import islice, pairwise
from typing import Any, Final

import pytest

from projections.cli.sample import sample_envelopes
from tests import DATA
from tests.conftest import Place

FIRST_TALENT: Final = "7a1e0000-0000-4000-8000-000000000000"

Json = dict[str, Any]


@pytest.fixture(scope="module")
def envelopes() -> list[Json]:
    return [json.loads(text) for text in sample_envelopes(20_000)]


@pytest.fixture(scope="module")
def revisions(envelopes: list[Json]) -> dict[str, list[Json]]:
    """What every envelope says of each appointment, in order."""
    by_id: dict[str, list[Json]] = defaultdict(list)
    for envelope in envelopes:
        appointment = envelope["eventData"]["appointment"]
        by_id[appointment["id"]].append(appointment)
    return by_id


def shape(value: object) -> object:
    """The keys at every depth, in order; nothing of the values."""
    return [(key, shape(item)) for key, item in value.items()] if isinstance(value, dict) else None


def allowed_values(field: str) -> set[str]:
    """The constants that the publisher's schema names for a field of the appointment."""
    schema = json.loads((DATA / "VCSessionScheduledEvent.v1.schema.json").read_text(encoding="utf-8"))

    def constants(node: Json) -> set[str]:
        inner = {value for choice in node.get("anyOf", []) for value in constants(choice)}
        return inner | ({node["const"]} if "const" in node else set())

    return constants(schema["properties"]["appointment"]["properties"][field])


def changes(revisions: dict[str, list[Json]], field: str) -> Counter[tuple[object, object]]:
    """How often a field went from one value to another."""
    return Counter(
        (before[field], after[field])
        for history in revisions.values()
        for before, after in pairwise(history)
        if before[field] != after[field]
    )


def test_the_same_seed_gives_the_same_sample() -> None:
    assert list(sample_envelopes(500, seed=7)) == list(sample_envelopes(500, seed=7))
    assert list(sample_envelopes(500, seed=7)) != list(sample_envelopes(500, seed=8))


def test_samples_of_other_seeds_are_appended_beside_each_other(memory_place: Place) -> None:
    events = memory_place.events()
    for seed in range(6):
        assert events.append(sample_envelopes(1_000, seed=seed)).appended == 1_000
    assert len(events.quarantine) == 0


@pytest.mark.parametrize("seed", [-1, 2**31, 2**53, 2**64 - 1, -(2**100), 10**30])
def test_every_seed_gives_ids_that_an_envelope_may_have(memory_place: Place, seed: int) -> None:
    events = memory_place.events()
    events.append(sample_envelopes(100))
    assert events.append(sample_envelopes(100, seed=seed)).appended == 100


def test_a_shorter_sample_is_the_beginning_of_a_longer_one() -> None:
    assert list(sample_envelopes(300)) == list(sample_envelopes(3_000))[:300]


def test_a_sample_has_as_many_envelopes_as_asked_for() -> None:
    assert [len(list(sample_envelopes(events))) for events in (0, 1, 1_234)] == [0, 1, 1_234]
    assert len(list(sample_envelopes())) == 1_000


def test_a_negative_number_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="found -1"):
        sample_envelopes(-1)


def test_a_long_sample_is_made_while_it_is_read() -> None:
    assert list(islice(sample_envelopes(5_000_000), 3)) == list(sample_envelopes(3))


def test_every_text_is_one_line_of_compact_json() -> None:
    for text in sample_envelopes(500):
        assert text == json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
        assert len(text.splitlines()) == 1


def test_every_envelope_has_exactly_the_keys_of_the_example(envelopes: list[Json]) -> None:
    example = json.loads((DATA / "VCSessionScheduledEvent.v1.example.json").read_text(encoding="utf-8"))
    expected = shape(example)
    assert all(shape(envelope) == expected for envelope in envelopes)
    assert envelopes[0]["id"] > example["id"]


def test_the_constants_of_an_envelope_are_those_of_the_example(envelopes: list[Json]) -> None:
    for envelope in envelopes:
        data = envelope["eventData"]
        assert (envelope["eventName"], data["name"], data["type"]) == ("VCSessionScheduledEvent",) * 2 + ("event",)
        assert (envelope["version"], data["version"], envelope["userId"]) == (1, 1, None)
        assert envelope["status"] == "ACKNOWLEDGED"
        assert envelope["keyId"] == data["keyId"]
        assert envelope["talentId"] == data["appointment"]["talentId"]
    assert len({envelope["keyId"] for envelope in envelopes}) == len(envelopes)


@pytest.mark.parametrize("field", ["status", "appointmentType", "canceledBy", "cancelationReason"])
def test_all_values_of_the_schema_occur_and_no_others(revisions: dict[str, list[Json]], field: str) -> None:
    used = {appointment[field] for history in revisions.values() for appointment in history}
    assert used - {None} == allowed_values(field)


def test_who_and_why_are_given_when_canceled_and_only_then(revisions: dict[str, list[Json]]) -> None:
    for appointment in (revision for history in revisions.values() for revision in history):
        canceled = appointment["status"] == "CANCELED"
        assert (appointment["canceledBy"] is not None) is canceled
        assert (appointment["cancelationReason"] is not None) is canceled
        assert canceled or appointment["cancelationExplanation"] is None


def test_ids_ascend_with_small_gaps_and_times_rise(envelopes: list[Json]) -> None:
    gaps = {after["id"] - before["id"] for before, after in pairwise(envelopes)}
    assert gaps == {1, 2, 3, 4, 5}
    assert all(before["createdAt"] < after["createdAt"] for before, after in pairwise(envelopes))
    assert all(envelope["createdAt"] < envelope["updatedAt"] for envelope in envelopes)


def test_the_clocks_of_envelope_and_appointment_are_four_hours_apart(envelopes: list[Json]) -> None:
    for envelope in envelopes[:2_000]:
        published = datetime.fromisoformat(envelope["createdAt"])
        updated = datetime.fromisoformat(envelope["eventData"]["appointment"]["updatedAt"])
        assert 3.99 < (updated - published).total_seconds() / 3_600 < 4


def test_done_is_said_after_the_end(envelopes: list[Json]) -> None:
    done = set()
    for envelope in envelopes:
        appointment = envelope["eventData"]["appointment"]
        if appointment["status"] == "DONE" and appointment["id"] not in done:
            done.add(appointment["id"])
            assert envelope["createdAt"] > appointment["endDate"] > appointment["startDate"]
    assert len(done) > 4_000


def test_every_turn_of_a_life_occurs(revisions: dict[str, list[Json]]) -> None:
    status = changes(revisions, "status")
    assert {("PLANNED", "DONE"), ("PLANNED", "CANCELED"), ("DONE", "PLANNED"), ("CANCELED", "PLANNED")} == set(status)
    first = Counter(history[0]["status"] for history in revisions.values())
    assert first["PLANNED"] > 100 * first["CANCELED"] > 0
    assert len(changes(revisions, "coachId")) > 100
    assert len(changes(revisions, "talentId")) > 20
    assert changes(revisions, "description")
    starts = changes(revisions, "startDate")
    assert sum(before is None for before, _ in starts) > 100  # made without a date
    assert sum(before is not None and after is not None for before, after in starts) > 1_000  # moved in time
    deletions = changes(revisions, "deletedAt")
    assert sum(before is None for before, _ in deletions) > sum(after is None for _, after in deletions) > 20


def test_the_optional_ids_are_sometimes_null(revisions: dict[str, list[Json]]) -> None:
    for field in ("subphaseId", "talentBlockId", "description", "cancelationExplanation"):
        assert len({history[-1][field] is None for history in revisions.values()}) == 2


def test_the_averages_are_those_of_a_real_platform(revisions: dict[str, list[Json]]) -> None:
    newest = [history[-1] for history in revisions.values()]
    per_talent = Counter(appointment["talentId"] for appointment in newest)
    per_coach = Counter(appointment["coachId"] for appointment in newest)
    assert 2 < 20_000 / len(newest) < 3.2
    assert 8 < len(newest) / len(per_talent) < 20
    assert 12 < len(per_talent) / len(per_coach) < 28
    assert max(per_talent.values()) < 121
    assert max(per_coach.values()) < 1_000


def test_the_first_talent_of_the_default_sample_has_a_small_schedule_of_every_status() -> None:
    appointments = [json.loads(text)["eventData"]["appointment"] for text in sample_envelopes()]
    assert appointments[0]["talentId"] == FIRST_TALENT
    schedule = {each["id"]: each["status"] for each in appointments if each["talentId"] == FIRST_TALENT}
    assert set(schedule.values()) == {"PLANNED", "DONE", "CANCELED"}
    assert 5 < len(schedule) < 20
