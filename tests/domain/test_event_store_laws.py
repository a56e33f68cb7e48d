"""Property tests of the event store: in any order, repetition and batching each item has one outcome."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count, pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from domain import AppendReport, EventStore
from domain.identifiers import Position
from tests.conftest import Place
from tests.support.builders import as_json, envelope

TITLES = ("one", "two")
DELIVERIES = st.one_of(
    st.tuples(st.integers(1, 5), st.sampled_from(TITLES), st.sampled_from(("a-1", "a-2")), st.booleans()),
    st.sampled_from((b"{", b"[1]", b'{"id":1}', b'{"eventName":"SomethingElse"}')),
)
Delivery = tuple[int, str, str, bool] | bytes


def as_sent(delivery: Delivery, first_id: int) -> bytes | dict[str, Any]:
    """Returns a delivery as bytes, or as an object with other fields around the same `eventData`."""
    if isinstance(delivery, bytes):
        return delivery
    event_id, title, appointment_id, in_other_words = delivery
    sent = envelope(first_id + event_id, title=title, id=appointment_id)
    return dict(reversed(sent.items())) | {"status": "PUBLISHED"} if in_other_words else as_json(sent)


def expected(deliveries: list[Delivery]) -> tuple[dict[int, tuple[str, str]], tuple[int, int, int, int]]:
    """Returns what must be stored, and the expected numbers of each outcome."""
    first: dict[int, tuple[str, str]] = {}
    duplicates = ignored = quarantined = 0
    for delivery in deliveries:
        if isinstance(delivery, bytes):
            ignored += b"eventName" in delivery
            quarantined += b"eventName" not in delivery
        elif delivery[0] not in first:
            first[delivery[0]] = (delivery[1], delivery[2])
        else:
            is_same = first[delivery[0]] == (delivery[1], delivery[2])
            duplicates += is_same
            quarantined += not is_same
    return first, (len(first), duplicates, ignored, quarantined)


def stored_since(events: EventStore, head: Position, first_id: int) -> dict[int, tuple[str, str]]:
    found: dict[int, tuple[str, str]] = {}
    for one in events.recorder.read(after=head, upto=events.head(), limit=100):
        appointment = json.loads(one.text)["eventData"]["appointment"]
        assert one.appointment_id == appointment["id"]
        found[one.event_id - first_id] = (appointment["title"], appointment["id"])
    return found


def quarantined(events: EventStore) -> int:
    return sum(item.count for item in events.quarantine.list())


def batches_of(deliveries: list[Delivery], cuts: list[int]) -> Iterator[list[Delivery]]:
    edges = [0, *sorted(cut for cut in cuts if cut < len(deliveries)), len(deliveries)]
    return (deliveries[start:end] for start, end in pairwise(edges))


FIRST_IDS = count(10, 10)
"""Where the ids of an example begin, so that all examples can go to one store."""


@settings(max_examples=60)
@given(data=st.data(), deliveries=st.lists(DELIVERIES, max_size=14), cuts=st.lists(st.integers(0, 14), max_size=5))
def test_for_any_order_repetition_and_batching_all_that_is_read_has_one_outcome_and_the_first_wins(
    place: Place, data: st.DataObject, deliveries: list[Delivery], cuts: list[int]
) -> None:
    events = place.events()
    events.install()
    for order in (deliveries, data.draw(st.permutations(deliveries))):
        first_id, head, quarantined_before = next(FIRST_IDS), events.head(), quarantined(events)
        reports = [events.append(as_sent(one, first_id) for one in batch) for batch in batches_of(order, cuts)]
        total = sum(reports, AppendReport())
        first, outcomes = expected(order)
        assert (total.appended, total.duplicates, total.ignored, total.quarantined) == outcomes
        assert total.read == len(order) == sum(outcomes)
        assert stored_since(events, head, first_id) == first
        assert first.keys() == {one[0] for one in deliveries if not isinstance(one, bytes)}
        assert quarantined(events) - quarantined_before == total.quarantined
