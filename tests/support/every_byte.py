"""What holds for any input whatever: each item is appended, known already, ignored, or kept as it came.

The properties of `tests/domain/test_every_byte.py` and the fuzzer of `tests/campaigns/fuzz.py` share it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

from domain import EventStore
from domain.appointment import appointment_of, fold
from domain.contract import read_envelope
from domain.envelope import EnvelopeRefused, Ignored
from domain.event_store import AppendReport
from domain.identifiers import Position
from domain.input.items import ITEM_BYTES_MAX, TOO_LARGE_BYTES_KEPT, Item, Pause, read_items
from domain.storage.base import QuarantinedItem, StoredEnvelope
from projections.cli.explanation import explain
from tests.support.referee import Accepted, verdict

Key = tuple[str, str]


def items_of(content: bytes, *, item_bytes_max: int = ITEM_BYTES_MAX, chunk_bytes: int = 65_536) -> list[Item]:
    chunks = (content[start : start + chunk_bytes] for start in range(0, len(content), chunk_bytes))
    found = read_items(chunks, source="input", item_bytes_max=item_bytes_max)
    return [one for one in found if not isinstance(one, Pause)]


@dataclass(frozen=True)
class Held:
    """All that an event store holds: envelopes by id, quarantined items by digest and code."""

    envelopes: dict[int, StoredEnvelope]
    quarantined: dict[Key, QuarantinedItem]

    @classmethod
    def by(cls, events: EventStore) -> Self:
        events.install()
        stored = events.recorder.read(after=Position(0), upto=events.head(), limit=1_000_000)
        kept = list(events.quarantine.list())
        quarantined = {(one.refused.sha256, one.refused.code.value): one for one in kept}
        assert len(quarantined) == len(kept) == len(events.quarantine)
        assert len(stored) == events.count()
        return cls({one.event_id: one for one in stored}, quarantined)

    def counts(self) -> Counter[Key]:
        return Counter({key: one.count for key, one in self.quarantined.items()})


@dataclass(frozen=True)
class Expected:
    """What must become of items one after the other: counts, texts to be stored, items to be quarantined."""

    counts: Counter[str]
    new: dict[int, bytes]
    quarantined: Counter[Key]

    @classmethod
    def of(cls, items: Iterable[Item], held: Held) -> Self | None:
        """None where the referee has no opinion on one of them."""
        expected = cls(Counter(), {}, Counter())
        known: dict[int, object] = {one.event_id: verdict(one.text) for one in held.envelopes.values()}
        if None in known.values():
            return None
        for item in items:
            outcome = "too_large" if item.too_large else verdict(item.content)
            if outcome is None:
                return None
            if isinstance(outcome, Accepted):
                expected._arrives(outcome, item, known.setdefault(outcome.event_id, outcome))
            elif outcome == "ignored":
                expected.counts["ignored"] += 1
            else:
                expected._is_refused(item, outcome)
        return expected

    def _arrives(self, envelope: Accepted, item: Item, first: object) -> None:
        if first is envelope:
            self.counts["appended"] += 1
            self.new[envelope.event_id] = item.content
        elif first == envelope:
            self.counts["duplicates"] += 1
        else:
            self._is_refused(item, "conflict")

    def _is_refused(self, item: Item, code: str) -> None:
        self.counts["quarantined"] += 1
        self.quarantined[digest_of(item), code] += 1


def digest_of(item: Item) -> str:
    return item.sha256 or hashlib.sha256(item.content).hexdigest()


def check_items(events: EventStore, items: Sequence[Item], content: bytes) -> AppendReport:
    """Appends items that were cut out of `content`, and asserts what must have become of each."""
    before = Held.by(events)
    expected = Expected.of(items, before)
    report = events.append(items)
    after = Held.by(events)
    assert report.read == len(items)
    assert report.read == report.appended + report.duplicates + report.ignored + report.quarantined
    assert report.position == events.head()
    new = {event_id: one.text for event_id, one in after.envelopes.items() if event_id not in before.envelopes}
    assert {event_id: after.envelopes[event_id] for event_id in before.envelopes} == before.envelopes
    assert len(new) == report.appended
    assert set(new.values()) <= {item.content for item in items}
    grown = after.counts() - before.counts()
    assert grown.total() == report.quarantined
    for key in grown:
        check_kept(after.quarantined[key], items, content)
        assert all(isinstance(line, str) for line in explain(after.quarantined[key], events))
    if expected is not None:
        counts = {name: getattr(report, name) for name in ("appended", "duplicates", "ignored", "quarantined")}
        assert counts == {name: expected.counts[name] for name in counts}
        assert new == expected.new
        assert grown == expected.quarantined
    return report


def check_kept(kept: QuarantinedItem, items: Iterable[Item], content: bytes) -> None:
    """An item in the quarantine is one that came, as it came; of one too large there is the beginning."""
    refused = kept.refused
    assert refused.sha256 in {digest_of(item) for item in items}
    if refused.code == "too_large":
        assert any(
            hashlib.sha256(content[start : start + refused.length]).hexdigest() == refused.sha256
            for start in _places(refused.content, content)
        )
        assert len(refused.content) == min(refused.length, TOO_LARGE_BYTES_KEPT)
    else:
        assert refused.content in content
        assert refused.length == len(refused.content)
        assert hashlib.sha256(refused.content).hexdigest() == refused.sha256


def _places(part: bytes, whole: bytes) -> Iterator[int]:
    start = whole.find(part)
    while start >= 0:
        yield start
        start = whole.find(part, start + 1)


def check_again(events: EventStore, items: Sequence[Item], content: bytes, first: AppendReport) -> None:
    """The same once more changes nothing but counts; so do the bytes out of the quarantine, and a retry."""
    before = Held.by(events)
    again = check_items(events, items, content)
    assert (again.appended, again.duplicates) == (0, first.appended + first.duplicates)
    assert (again.ignored, again.quarantined) == (first.ignored, first.quarantined)
    after = Held.by(events)
    assert after.quarantined.keys() == before.quarantined.keys()
    whole = {key: one for key, one in after.quarantined.items() if one.refused.code != "too_large"}
    assert events.append([one.refused.content for one in whole.values()]).quarantined == len(whole)
    assert Held.by(events).counts() == after.counts() + Counter(dict.fromkeys(whole, 1))
    retried = events.quarantine.retry()
    assert (retried.accepted, retried.kept) == (0, len(after.quarantined))
    assert Held.by(events).quarantined.keys() == before.quarantined.keys()
    assert Held.by(events).envelopes == before.envelopes


def check_bytes(events: EventStore, content: bytes, *, item_bytes_max: int, chunk_bytes: int) -> AppendReport:
    """Everything that must hold when an input is read in chunks and appended, twice."""
    items = items_of(content, item_bytes_max=item_bytes_max, chunk_bytes=chunk_bytes)
    assert items == items_of(content, item_bytes_max=item_bytes_max)
    report = check_items(events, items, content)
    check_again(events, items, content, report)
    return report


def check_door(content: bytes) -> None:
    """An item has one verdict, be it bytes, text or an object; which of two equal keys came first no object tells."""
    first = said_of(content)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        assert first == "malformed_json"
        return
    assert said_of(text) == first
    repeated: list[object] = []
    try:
        document = json.loads(text, object_pairs_hook=lambda pairs: _last_wins(pairs, repeated))
    except (ValueError, RecursionError):
        return
    if isinstance(document, dict) and _is_finite(document) and not repeated:
        assert said_of(document) == first


def _last_wins(pairs: list[tuple[str, object]], repeated: list[object]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        repeated.append(pairs)
    return found


def said_of(content: bytes | str | dict[str, Any]) -> object:
    """What validation makes of an envelope, its text aside."""
    try:
        read = read_envelope(content)
    except EnvelopeRefused as error:
        return error.code.value
    return read.event_name if isinstance(read, Ignored) else (read.event_id, read.published_at, read.snapshot)


def _is_finite(value: object) -> bool:
    """Whether Python's own JSON keeps the value: 1e999 becomes infinite, which is no JSON."""
    members = [*value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return not (isinstance(value, float) and not math.isfinite(value)) and all(map(_is_finite, members))


def check_fold(events: EventStore) -> None:
    """History is what validation made of it, and an appointment the same from any order, repetition and grouping."""
    stored = Held.by(events).envelopes
    for appointment_id in {one.appointment_id for one in stored.values()}:
        stream = events.history(appointment_id)
        assert stream == [read_envelope(stored[one.event_id].text) for one in stream]
        folded = fold(None, stream)
        by_arrival = fold(fold(None, stream[::-2]), [*stream[::2], *stream])
        assert by_arrival == folded
        assert appointment_of(fold(None, reversed(stream))) == appointment_of(folded)
