"""Envelopes are appended lazily, in batches, each of them all or nothing; and what is taken for envelopes."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from itertools import count, pairwise
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

import domain
from domain import AppendReport
from domain.input.batches import BATCH_ITEMS_MAX
from domain.input.items import PAUSE, Pause
from tests.conftest import Place
from tests.support.builders import as_json, envelope
from tests.support.event_stores import ids, outcomes, stored


def endless() -> Iterator[dict[str, Any]]:
    return (envelope(event_id) for event_id in count(1))


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
