"""The event store, on every backend: appends each envelope once, keeps it as received, reads after a position."""

from __future__ import annotations

import gzip
import io
import json
import os
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count, pairwise
from pathlib import Path
from random import Random
from types import MappingProxyType, SimpleNamespace
from typing import Any

import psycopg
import pytest
from eventsourcing.persistence import EventStore as LibraryEventStore
from eventsourcing.persistence import InfrastructureFactory, JSONTranscoder
from eventsourcing.utils import Environment
from psycopg.conninfo import conninfo_to_dict

import domain
from domain import AppendReport, Envelope, EventStore, read_envelope
from domain.errors import AppointmentsError, StorageError, UsageError
from domain.identifiers import EventId, Position
from domain.input.batches import BATCH_ITEMS_MAX
from domain.input.items import PAUSE, Pause
from domain.storage.base import Outcomes, StoredEnvelope
from domain.topics import TOPIC
from projections import Appointments
from tests.conftest import Place
from tests.support.builders import as_json, envelope
from tests.support.damage import damage_stored


def stored(events: EventStore, *, after: int = 0, limit: int = 10**6) -> list[StoredEnvelope]:
    return events.recorder.read(after=Position(after), upto=events.head(), limit=limit)


def ids(found: Iterable[StoredEnvelope]) -> list[int]:
    return [one.event_id for one in found]


def outcomes(report: AppendReport) -> tuple[int, int, int, int]:
    return report.appended, report.duplicates, report.ignored, report.quarantined


def endless() -> Iterator[dict[str, Any]]:
    return (envelope(event_id) for event_id in count(1))


# Envelopes are kept as received.


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


# Once, and the first arrival wins.

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


# Lazily, in batches, all or nothing.


def test_an_endless_input_is_consumed_batch_by_batch(place: Place) -> None:
    events, beside = place.events(), place.events()
    pulled = 0
    reports: list[AppendReport] = []

    def published() -> Iterator[dict[str, Any]]:
        nonlocal pulled
        for one in endless():
            pulled += 1
            yield one

    def enough(report: AppendReport) -> None:
        reports.append(report)
        assert report.read == pulled
        assert beside.count() == report.appended == pulled, "a batch is seen by others before the next is read"
        if pulled > 2 * BATCH_ITEMS_MAX:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        events.append(published(), progress=enough)
    assert events.count() == reports[-1].appended == pulled
    assert max(after.read - before.read for before, after in pairwise(reports)) <= 1000


def test_an_input_that_breaks_off_leaves_whole_batches_and_nothing_of_the_next(place: Place) -> None:
    events = place.events()
    everything = [envelope(event_id) for event_id in range(1, 2501)]
    reports = [AppendReport()]

    def broken() -> Iterator[Any]:
        yield from everything[:1500]
        yield b"garbage of the batch that breaks off"
        raise OSError("the network is gone")

    with pytest.raises(OSError, match="the network is gone"):
        events.append(broken(), progress=reports.append)
    kept = events.count()
    assert kept == reports[-1].appended <= 1500
    assert ids(stored(events)) == list(range(1, kept + 1))
    assert len(events.quarantine) == reports[-1].quarantined
    assert outcomes(events.append(everything)) == (2500 - kept, kept, 0, 0)


def test_a_pause_of_the_input_ends_a_batch(place: Place) -> None:
    events = place.events()
    reports: list[AppendReport] = []
    events.append([PAUSE, envelope(1), envelope(2), PAUSE, PAUSE, envelope(3), PAUSE], progress=reports.append)
    assert 2 in [report.read for report in reports]
    assert reports[-1] == AppendReport(read=3, appended=3)


def test_of_a_slow_input_each_envelope_is_stored_before_the_next_is_waited_for(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("domain.input.batches.time", SimpleNamespace(monotonic=lambda: now))
    events, beside = place.events(), place.events()
    events.install()

    def slow() -> Iterator[dict[str, Any]]:
        nonlocal now
        for event_id in (1, 2, 3):
            assert beside.count() == event_id - 1, "what came before is stored"
            now += 0.5
            yield envelope(event_id)

    assert events.append(slow()).appended == 3


def test_what_came_before_a_pause_is_stored_while_an_input_waits(place: Place) -> None:
    events, beside = place.events(), place.events()
    events.install()

    def in_bursts() -> Iterator[dict[str, Any] | Pause]:
        for first in (1, 4, 7):
            yield from (envelope(event_id) for event_id in range(first, first + 3))
            yield domain.PAUSE
            assert beside.count() == first + 2

    assert events.append(in_bursts()).appended == 9


# Several envelopes, not one, and files by a method of their own.


ONE = {
    "text": json.dumps(envelope(1)),
    "bytes": as_json(envelope(1)),
    "a bytearray": bytearray(as_json(envelope(1))),
    "a mapping": MappingProxyType(envelope(1)),
    "a dict": envelope(1),
}


@pytest.mark.parametrize("one", ONE.values(), ids=ONE.keys())
def test_one_envelope_is_not_taken_for_many(place: Place, one: Any) -> None:
    events = place.events()
    with pytest.raises(TypeError, match=r"found one .*; for one envelope: append\(\[envelope\]\)"):
        events.append(one)
    events.install()
    assert (events.count(), len(events.quarantine)) == (0, 0)
    assert events.append([one]).appended == 1


def test_a_file_is_not_taken_for_envelopes(memory_place: Place, tmp_path: Path) -> None:
    events = memory_place.events()
    path = tmp_path / "envelopes.jsonl"
    path.write_bytes(as_json(envelope(1)))
    with path.open("rb") as binary, path.open() as text:
        for file in (path, binary, text, io.BytesIO(), gzip.GzipFile(fileobj=binary)):
            with pytest.raises(TypeError, match=r"found a file .*; use append_file\(file\)"):
                events.append(file)  # type: ignore[arg-type] # that is what is tested
    for nothing in (None, 5, events):
        with pytest.raises(TypeError, match="append takes an iterable of envelopes, found a"):
            events.append(nothing)  # type: ignore[arg-type]
    assert len(events.quarantine) == 0


def test_what_is_no_envelope_among_envelopes_is_quarantined_and_does_not_end_the_batch(place: Place) -> None:
    events = place.events()
    good = [envelope(3), memoryview(as_json(envelope(4)))]
    among: list[Any] = [None, 5, [envelope(2)], {1, 2}, {"at": Path("x")}, *good]
    assert outcomes(events.append(among)) == (2, 0, 0, 5)
    assert [(one.refused.code, one.refused.reason.partition(", found")[0]) for one in events.quarantine.list()] == [
        ("invalid_envelope", "expected an envelope: a JSON object"),
        ("invalid_envelope", "expected an envelope: a JSON object"),
        ("invalid_envelope", "expected an envelope: a JSON object"),
        ("malformed_json", "expected an object that JSON can express"),
        ("malformed_json", "expected an object that JSON can express"),
    ]


def test_an_append_that_breaks_off_tells_what_was_done(memory_place: Place) -> None:
    def broken() -> Iterator[Any]:
        yield from (envelope(event_id) for event_id in range(1, 1001))
        yield PAUSE
        raise OSError("the network is gone")

    with pytest.raises(OSError, match="the network is gone") as caught:
        memory_place.events().append(broken())
    assert caught.value.__notes__ == ["1,000 items were done; running it again completes the work"]


def test_a_batch_ends_also_where_its_texts_are_large(memory_place: Place) -> None:
    reports: list[AppendReport] = []
    large = (envelope(event_id, description="x" * 12 * 1024 * 1024) for event_id in (1, 2, 3, 4))
    memory_place.events().append(large, progress=reports.append)
    assert max(after.read - before.read for before, after in pairwise([AppendReport(), *reports])) <= 3
    assert reports[-1].appended == 4


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


# Where it is kept.


def library_environment(place: Place) -> dict[str, str]:
    common = {"CREATE_TABLE": "no", "ORIGINATOR_ID_TYPE": "text"}
    if place.backend == "sqlite":
        path = place.url.removeprefix("sqlite:///")
        return common | {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": path}
    parameters = conninfo_to_dict(place.url)
    names = ("dbname", "host", "port", "user", "password")
    connection = {f"POSTGRES_{name.upper()}": str(parameters.get(name) or "") for name in names}
    return (
        common | connection | {"PERSISTENCE_MODULE": "eventsourcing.postgres", "POSTGRES_SCHEMA": place.schema or ""}
    )


def test_the_library_alone_reads_what_is_stored(durable_place: Place) -> None:
    events = durable_place.events()
    events.append([envelope(2, status="DONE"), envelope(9, id="other"), envelope(1)])
    with InfrastructureFactory[Any].construct(Environment("", library_environment(durable_place))) as factory:
        recorder = factory.application_recorder()
        library = LibraryEventStore[Any](factory.mapper(JSONTranscoder()), recorder)
        first, second = library.get("appointment-1")
        notifications = recorder.select_notifications(start=None, limit=10)
        assert recorder.max_notification_id() == events.head()
    assert (first.originator_version, second.originator_version) == (1, 2)
    assert vars(second)["eventData"]["appointment"]["status"] == "DONE"
    assert [(one.id, one.originator_version, one.originator_id, one.topic, one.state) for one in notifications] == [
        tuple(one[:5]) for one in stored(events)
    ]


def test_an_envelope_id_is_unique_also_for_who_does_not_look_before_writing(durable_place: Place) -> None:
    events = durable_place.events()
    events.append([envelope(1)])
    for second in (read_envelope(envelope(1)), read_envelope(envelope(1, id="other"))):
        assert isinstance(second, Envelope)
        with pytest.raises(StorageError, match=r"(?i)unique"), events.recorder.appending() as append:
            append.insert([second], TOPIC)
    assert ids(stored(events)) == [1]


def test_nobody_else_may_read_a_database_file(sqlite_place: Place, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        sqlite_place.events().append([envelope(1)])
    finally:
        os.umask(before)
    files = sorted(tmp_path.iterdir())
    assert [file.name.removeprefix("appointments.db") for file in files] == ["", "-shm", "-wal"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_positions_survive_a_vacuum_of_the_file(sqlite_place: Place, tmp_path: Path) -> None:
    events = sqlite_place.events()
    events.append(envelope(event_id) for event_id in (7, 3, 5))
    before = stored(events)
    with closing(sqlite3.connect(tmp_path / "appointments.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchall() == [("wal",)]
        columns = connection.execute("SELECT name, type, pk FROM pragma_table_info('stored_events')").fetchall()
        assert ("rowid", "INTEGER", 1) in columns
        connection.execute("VACUUM")
    assert stored(events) == before
    assert events.append([envelope(4)]).position > before[-1].position
    assert ids(stored(events, after=before[1].position)) == [5, 4]


@pytest.mark.parametrize("switched_on", ["y", "yes", "true", "on", "1"])
def test_the_setting_that_loses_events_for_readers_is_refused(
    postgres_place: Place, monkeypatch: pytest.MonkeyPatch, switched_on: str
) -> None:
    monkeypatch.setenv("POSTGRES_ENABLE_DB_FUNCTIONS", switched_on)
    with pytest.raises(StorageError, match=r"POSTGRES_ENABLE_DB_FUNCTIONS is on.*unset it"):
        Appointments.open(postgres_place.url, schema=postgres_place.schema)
    monkeypatch.setenv("POSTGRES_ENABLE_DB_FUNCTIONS", "no")
    postgres_place.events()


def test_psql_can_read_history(postgres_place: Place) -> None:
    postgres_place.events().append([envelope(1, title="Séance 🙏")])
    question = f"SELECT convert_from(state, 'UTF8')::jsonb FROM {postgres_place.schema}.stored_events"
    with psycopg.connect(postgres_place.url) as connection:
        assert connection.execute(question).fetchall() == [(envelope(1, title="Séance 🙏"),)]


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
