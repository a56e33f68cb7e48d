"""What is compared at the end of a campaign: every envelope, schedule, counter and quarantined byte."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from domain import EventStore
from domain.errors import StorageError
from domain.event_store import AppendReport
from domain.identifiers import Position
from domain.input.items import TOO_LARGE_BYTES_KEPT
from projections import Appointments, Schedules
from tests.campaigns.material import Material
from tests.support.readmodels import check_read_models
from tests.support.reference import as_plain, expected_appointment, expected_schedule, histories


@dataclass
class Verdict:
    """Everything that differs, in words, and how much was compared."""

    differences: list[str] = field(default_factory=list)
    compared: Counter[str] = field(default_factory=Counter)

    def equal(self, what: str, expected: object, found: object) -> None:
        if expected != found:
            self.differences.append(f"{what}: expected {str(expected)[:500]}, found {str(found)[:500]}")

    def expect(self, what: str, *, holds: bool) -> None:
        if not holds:
            self.differences.append(f"not so: {what}")


def judge(url: str, schema: str, material: Material) -> Verdict:
    """Compares an installation at rest, into which the whole material was fed, with what must have come of it."""
    verdict = Verdict()
    with Appointments.open(url, schema=schema) as appointments:
        events = appointments.events
        schedules = appointments.schedules
        winners = _judge_events(verdict, events, material)
        envelopes = [json.loads(text) for _, text in sorted(winners.items())]
        _judge_quarantine(verdict, events, material, winners)
        _judge_schedules(verdict, schedules, envelopes)
        stamp = schedules.stamp()
        verdict.equal("the lag", 0, stamp.lag)
        verdict.equal("the position", events.head(), stamp.position)
        verdict.equal("the counter of events", len(winners), events.count())
    try:
        with Appointments.open(url, schema=schema) as appointments:
            verdict.differences += [f"verify: {difference}" for difference in appointments.verify().differences]
        check_read_models(url, schema, envelopes)
    except (StorageError, AssertionError) as error:
        verdict.differences.append(f"the rows of the tables: {str(error)[:2000]}")
    return verdict


def _judge_events(verdict: Verdict, events: EventStore, material: Material) -> dict[int, bytes]:
    """Every envelope is stored once, as one of the contents it was sent with; returns what is stored."""
    stored: dict[int, bytes] = {}
    position = Position(0)
    while batch := events.recorder.read(after=position, upto=events.head(), limit=1000):
        for one in batch:
            verdict.expect(f"{one.position} is after {position}", holds=one.position > position)
            verdict.expect(f"envelope {one.event_id} is stored once", holds=one.event_id not in stored)
            position = one.position
            stored[one.event_id] = one.text
            sent = [text for content in material.contents.get(one.event_id, []) for text in content]
            verdict.expect(f"envelope {one.event_id} is one of those that were sent", holds=one.text in sent)
    verdict.equal("the envelopes", sorted(material.contents), sorted(stored))
    verdict.compared["envelopes"] = len(stored)
    return stored


def expected_quarantine(material: Material, stored: dict[int, bytes]) -> dict[tuple[str, str], bytes]:
    """The bytes that must be kept, by digest and code, when these envelopes were the first to arrive."""
    expected = {(hashlib.sha256(text).hexdigest(), code): text for text, code in material.garbage.items()}
    for event_id, contents in material.contents.items():
        for content in contents:
            if stored.get(event_id) not in content:
                expected |= {(hashlib.sha256(text).hexdigest(), "conflict"): text for text in content}
    return expected


def _judge_quarantine(verdict: Verdict, events: EventStore, material: Material, stored: dict[int, bytes]) -> None:
    expected = expected_quarantine(material, stored)
    found: dict[tuple[str, str], bytes] = {}
    for item in events.quarantine.list():
        key = item.refused.sha256, str(item.refused.code)
        verdict.expect(f"item {item.number} is quarantined once", holds=key not in found)
        found[key] = item.refused.content
        kept = expected.get(key, b"")
        verdict.equal(f"the length of item {item.number}", len(kept), item.refused.length)
    verdict.equal("too many in the quarantine", [], [(key, found[key]) for key in found.keys() - expected.keys()])
    verdict.equal("missing in the quarantine", [], [(key, expected[key]) for key in expected.keys() - found.keys()])
    for key in expected.keys() & found.keys():
        verdict.equal(f"the quarantined bytes of {key}", expected[key][:TOO_LARGE_BYTES_KEPT], found[key])
    verdict.equal("the counter of the quarantine", len(found), len(events.quarantine))
    verdict.compared["quarantined items"] = len(found)


def _judge_schedules(verdict: Verdict, schedules: Schedules, envelopes: list[dict[str, Any]]) -> None:
    streams = histories(envelopes)
    for appointment_id, stream in streams.items():
        found = schedules.appointment(appointment_id)
        verdict.equal(f"appointment {appointment_id}", expected_appointment(stream), as_plain(found))
    verdict.equal("the number of appointments", len(streams), schedules.count())
    verdict.compared["appointments"] = len(streams)
    for side, owners, ask in (
        ("talent", schedules.talents(), schedules.talent),
        ("coach", schedules.coaches(), schedules.coach),
    ):
        by_owner = _by_owner(streams.values(), side)
        listed = set()
        for owner_id, theirs in by_owner.items():
            expected = expected_schedule(theirs, side, owner_id, include_deleted=True)
            found_rows = [as_plain(one) for one in ask(owner_id, include_deleted=True)]
            verdict.equal(f"the schedule of {side} {owner_id}", expected, found_rows)
            verdict.compared["schedules"] += 1
            verdict.compared["rows of schedules"] += len(expected)
            present = Counter(one["status"] for one in expected if one["deleted_at"] is None)
            if present:
                listed.add((owner_id, present["PLANNED"], present["DONE"], present["CANCELED"]))
        verdict.equal(f"the listing of {side}s", sorted(listed), sorted(tuple(one) for one in owners))


def _by_owner(streams: Iterable[list[dict[str, Any]]], side: str) -> dict[str, list[dict[str, Any]]]:
    """The envelopes of all appointments that ever named an owner, by owner."""
    found: dict[str, list[dict[str, Any]]] = {}
    for stream in streams:
        for owner_id in {one["eventData"]["appointment"][f"{side}Id"] for one in stream}:
            found.setdefault(owner_id, []).extend(stream)
    return found


def expected_report(material: Material, stored: dict[int, bytes], writer: str) -> AppendReport:
    """What ingesting all files of a writer once more must answer, position aside."""
    counts = Counter(
        (line.kind if line.kind != "envelope" else _outcome(material, stored, line.event_id, line.text))
        for path in material.files[writer]
        for line in material.lines[path]
    )
    return AppendReport(
        read=counts.total(),
        duplicates=counts["duplicate"],
        ignored=counts["ignored"],
        quarantined=counts["garbage"] + counts["conflict"],
    )


def _outcome(material: Material, stored: dict[int, bytes], event_id: int, text: bytes) -> str:
    [content] = [one for one in material.contents[event_id] if text in one]
    return "duplicate" if stored[event_id] in content else "conflict"


def stored_texts(events: EventStore) -> dict[int, bytes]:
    """Everything that is stored, by envelope id."""
    return {one.event_id: one.text for one in _read_all(events)}


def _read_all(events: EventStore) -> Iterator[Any]:
    position = Position(0)
    while batch := events.recorder.read(after=position, upto=events.head(), limit=1000):
        yield from batch
        position = batch[-1].position
