"""The event store, on every backend: keeps each envelope as received, and reads streams and positions."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from domain import AppendReport, EventStore
from domain.errors import AppointmentsError, StorageError, UsageError
from domain.identifiers import EventId, Position
from domain.storage.base import Outcomes, StoredEnvelope
from projections import Appointments
from tests.conftest import Place
from tests.support.builders import as_json, envelope
from tests.support.event_stores import ids, outcomes, stored


def test_a_stream_is_in_the_publishers_order_whatever_the_order_of_arrival(place: Place) -> None:
    events = place.events()
    events.append([envelope(3), envelope(8, id="appointment-2"), envelope(1)])
    events.append([envelope(2)])
    assert ids(events.stream("appointment-1")) == [1, 2, 3]
    assert [one.event_id for one in events.history("appointment-1")] == [1, 2, 3]
    assert ids(stored(events)) == [3, 8, 1, 2]


def test_history_is_the_accepted_envelopes_of_one_appointment(place: Place) -> None:
    events = place.events()
    events.append([envelope(1, status="PLANNED"), envelope(2, status="DONE"), envelope(3, id="other")])
    assert [one.snapshot.status for one in events.history("appointment-1")] == ["PLANNED", "DONE"]
    assert [one.text for one in events.history("other")] == [as_json(envelope(3, id="other"))]
    assert events.history("nobody's") == []


def test_ids_that_differ_in_case_or_in_blanks_are_different_appointments(place: Place) -> None:
    events = place.events()
    events.append([envelope(1, id="a"), envelope(2, id="A"), envelope(3, id="a "), envelope(4, id="é" * 256)])
    assert [ids(events.stream(one)) for one in ("a", "A", "a ", "é" * 256)] == [[1], [2], [3], [4]]


def test_the_largest_envelope_id_is_stored_and_found(place: Place) -> None:
    events = place.events()
    events.append([envelope(2**63 - 1), envelope(2**53 + 1), envelope(2**53)])
    assert ids(events.stream("appointment-1")) == [2**53, 2**53 + 1, 2**63 - 1]
    assert outcomes(events.append([envelope(2**63 - 1)])) == (0, 1, 0, 0)


AS_RECEIVED = (
    '{"unknown": {"to": ["us", 1.50]},  "eventName":"VCSessionScheduledEvent", "createdAt":"2023-07-02T00:00:01Z",\n'
    '\t"id":1,"eventData":' + json.dumps(envelope(1, title="S\u00e9ance \U0001f64f")["eventData"]) + ', "id": 7}'
)


@pytest.mark.parametrize("received", [AS_RECEIVED, AS_RECEIVED.encode()], ids=["str", "bytes"])
def test_the_state_is_the_text_as_received(place: Place, received: str | bytes) -> None:
    events = place.events()
    events.append([received])
    assert events.stored_text(EventId(7)) == AS_RECEIVED.encode()
    assert events.stored_text(EventId(1)) is None


def test_the_state_of_an_object_is_compact_json_in_plain_utf8(place: Place) -> None:
    events = place.events()
    events.append([{**envelope(1, title="Séance 🙏", room="b 12"), "processorNodeId": None}])
    text = events.stored_text(EventId(1))
    assert text is not None
    assert text.startswith(b'{"id":1,"createdAt":"2023-07-02T00:00:01.000Z","eventName":')
    assert '"title":"Séance 🙏"'.encode() in text
    assert b'"room":"b 12"' in text
    assert text.endswith(b',"processorNodeId":null}')


def test_the_topic_is_a_stable_name(place: Place) -> None:
    events = place.events()
    events.append([envelope(1)])
    assert [one.topic for one in stored(events)] == ["VCSessionScheduledEvent.v1"]


def test_an_append_of_nothing_creates_an_empty_store_at_position_0(place: Place) -> None:
    events = place.events()
    assert events.append([]) == AppendReport()
    assert (events.head(), events.count(), stored(events), events.history("appointment-1")) == (0, 0, [], [])


def test_positions_rise_and_reading_goes_on_after_any_of_them(place: Place) -> None:
    events = place.events()
    reports = [events.append([envelope(event_id)]) for event_id in (5, 9, 2, 7)]
    positions = [report.position for report in reports]
    assert positions == sorted(set(positions))
    assert positions[0] > 0
    assert [one.position for one in stored(events)] == positions
    assert ids(stored(events, after=positions[1])) == [2, 7]
    assert ids(stored(events, limit=3)) == [5, 9, 2]
    assert ids(events.recorder.read(after=Position(0), upto=positions[2], limit=10)) == [5, 9, 2]
    assert stored(events, after=positions[-1]) == []


def test_a_report_of_nothing_new_has_the_head_of_the_store(place: Place) -> None:
    events = place.events()
    head = events.append([envelope(1), envelope(2)]).position
    assert events.append([envelope(1)]).position == head
    assert events.append([b"{"]).position == head == events.head()


def test_one_store_may_be_used_by_several_threads(place: Place) -> None:
    events = place.events()
    events.install()
    everything = [as_json(envelope(event_id, id=f"a-{event_id % 7}")) for event_id in range(1, 401)]

    def append_some(seed: int) -> AppendReport:
        rng = Random(seed)
        some = rng.sample(everything, 300)
        return sum((events.append(some[start : start + 50]) for start in range(0, 300, 50)), AppendReport())

    over = threading.Event()

    def tail() -> list[int]:
        seen: list[StoredEnvelope] = []
        while not over.is_set():
            seen += stored(events, after=seen[-1].position if seen else 0, limit=20)
        return ids(seen + stored(events, after=seen[-1].position if seen else 0))

    with ThreadPoolExecutor(6) as threads:
        tailing = threads.submit(tail)
        try:
            total = sum(threads.map(append_some, range(5)), AppendReport())
        finally:
            over.set()
    assert total.read == 1500 == total.appended + total.duplicates
    assert total.appended == events.count()
    assert tailing.result() == ids(stored(events))
    assert len(set(tailing.result())) == events.count()


CLOSED: dict[str, Callable[[EventStore], object]] = {
    "install": lambda events: events.recorder.check(),
    "create": lambda events: events.recorder.create(),
    "append": lambda events: events.append([envelope(2)]),
    "head": EventStore.head,
    "count": EventStore.count,
    "history": lambda events: events.history("a"),
    "text": lambda events: events.stored_text(EventId(1)),
    "read": lambda events: ids(stored(events)),
    "wait": lambda events: events.recorder.waiter().__enter__(),
    "quarantine": lambda events: list(events.quarantine.list()),
    "quarantine's length": lambda events: len(events.quarantine),
    "quarantined item": lambda events: events.quarantine.show(1),
}


@pytest.mark.parametrize("use", CLOSED)
def test_a_closed_store_says_so_and_others_go_on(place: Place, use: str) -> None:
    appointments, another = place.appointments(), place.events()
    events = appointments.events
    events.append([envelope(1), "{"])
    appointments.close()
    with pytest.raises(StorageError, match="closed here; open"):
        CLOSED[use](events)
    appointments.close()
    CLOSED[use](another)
    assert another.append([envelope(2)]).read == 1


def test_a_quarantine_that_is_read_by_half_holds_no_append_up(place: Place) -> None:
    events = place.events()
    events.append([b"{", b"}"])
    items = events.quarantine.list()
    assert next(items).number == 1
    with ThreadPoolExecutor(1) as executor:
        assert executor.submit(events.append, [envelope(1)]).result(10).appended == 1
    assert [one.number for one in items] == [2]


def test_a_store_that_is_no_database_is_a_clear_error() -> None:
    with pytest.raises(UsageError, match="expected a database URL"):
        Appointments.open("mysql://root@host/appointments")
    with (
        pytest.raises(AppointmentsError, match="cannot create the database"),
        Appointments.open("sqlite:////nowhere/at/all.db") as appointments,
    ):
        appointments.events.append([envelope(1)])


def test_what_became_of_every_item_is_counted_for_good(place: Place) -> None:
    events = place.events()
    items = [as_json(envelope(1, id="a")), as_json(envelope(1, id="a")), b"5", b'{"eventName": "CoachHired"}']
    events.append(items)
    events.append([b'{"eventName": "CoachHired"}'])
    events.append([as_json(envelope(1, id="a")), as_json(envelope(2, id="b"))])
    assert place.events().outcomes() == Outcomes(appended=2, duplicates=2, ignored=2, quarantined=1)


def test_a_batch_that_is_not_committed_is_not_counted(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    events = place.events()
    events.install()
    monkeypatch.setattr("domain.event_store.decide", None)
    with pytest.raises(TypeError):
        events.append([as_json(envelope(1))])
    assert (events.outcomes(), events.count()) == (Outcomes(), 0)
