"""The commands of the quarantine: list, show, retry and discard."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from domain import EventStore
from domain.errors import QuarantinedItemNotFound
from domain.input.items import read_items
from domain.quarantine import RetryReport
from projections.cli.app import run
from tests.conftest import Place
from tests.support.builders import as_json, envelope
from tests.support.damage import damage_stored


@pytest.fixture
def ask(durable_place: Place, capfdbinary: pytest.CaptureFixture[bytes]) -> Callable[..., tuple[int, bytes, str]]:
    """Runs one command; returns its exit status, standard output and standard error."""

    def ask(*arguments: str) -> tuple[int, bytes, str]:
        status = run([*arguments, *durable_place.arguments])
        out, complaints = capfdbinary.readouterr()
        return status, out, complaints.decode()

    return ask


def events_with(place: Place, *contents: bytes | dict[str, Any]) -> EventStore:
    events = place.events()
    events.append(contents)
    return events


def test_malformed_json_is_shown_with_a_caret_under_the_place(durable_place: Place, ask: Any) -> None:
    events_with(durable_place, '{"é": 1, "b": }'.encode())
    status, out, _ = ask("quarantine", "show", "1")
    lines = out.decode().splitlines()
    assert status == 0
    assert "malformed_json" in lines[0]
    assert lines[2:] == ['{"é": 1, "b": }', "              ^"]


def test_an_invalid_envelope_is_shown_with_the_path_of_the_field(durable_place: Place, ask: Any) -> None:
    events_with(durable_place, envelope(1, status="LATE"))
    _, out, _ = ask("quarantine", "show", "1")
    assert "eventData.appointment.status" in out.decode()
    assert '"LATE"' in out.decode()


def test_a_conflict_is_shown_with_both_contents(durable_place: Place, ask: Any) -> None:
    events_with(durable_place, envelope(1, title="first"), envelope(1, title="second"))
    _, out, _ = ask("quarantine", "show", "1")
    assert '-     "title": "first",' in out.decode().splitlines()
    assert '+     "title": "second",' in out.decode().splitlines()


def test_a_conflict_with_a_damaged_envelope_is_shown_with_what_is_stored_as_it_is(
    durable_place: Place, ask: Any
) -> None:
    events = events_with(durable_place, envelope(1, title="first"))
    damage_stored(durable_place, 1, b'{"broken\xff')
    events.append([envelope(1, title="first")])
    status, out, _ = ask("quarantine", "show", "1")
    assert status == 0
    assert "cannot be read" in out.decode().splitlines()[1]
    assert '- {"broken\\xff' in out.decode().splitlines()
    assert '+     "title": "first",' in out.decode().splitlines()


def test_the_bytes_come_back_as_they_came(durable_place: Place, ask: Any) -> None:
    raw = b'{"broken\x1b[31m \xff \xc3\xa9'
    events_with(durable_place, raw)
    assert ask("quarantine", "show", "1", "--raw") == (0, raw, "")
    shown = ask("quarantine", "show", "1")[1]
    assert b"\x1b" not in shown


def test_of_an_item_too_large_its_beginning_length_and_digest_are_shown(durable_place: Place, ask: Any) -> None:
    large = b'{"a":"' + b"x" * 200_000 + b'"}'
    durable_place.events().append(read_items([large], source="big.json", item_bytes_max=1000))
    _, out, _ = ask("quarantine", "show", "1", "--json")
    document = json.loads(out)
    assert (document["code"], document["length"], document["source"]) == ("too_large", 200_008, "big.json")
    assert ask("quarantine", "show", "1", "--raw")[1] == large[: 64 * 1024]
    assert json.loads(ask("quarantine", "retry", "--json")[1]) == {"accepted": 0, "kept": 1}


def test_a_retry_accepts_and_projects_what_is_acceptable_now(durable_place: Place, ask: Any) -> None:
    events = events_with(durable_place, b"5", envelope(2))
    with events.recorder.appending() as append:
        append.replace(1, replace(events.quarantine.show(1).refused, content=as_json(envelope(1))))
    events.append([b"6"])
    assert json.loads(ask("quarantine", "retry", "--json")[1]) == {"accepted": 1, "kept": 1}
    assert [one.event_id for one in events.history("appointment-1")] == [1, 2]
    assert len(durable_place.schedules().talent("talent-1")) == 1
    assert [one.number for one in events.quarantine.list()] != [1]


def test_what_is_refused_again_keeps_its_number_and_gets_its_new_reason(durable_place: Place) -> None:
    events = events_with(durable_place, envelope(1), envelope(1, title="other"))
    assert events.quarantine.show(1).refused.code == "conflict"
    before = events.quarantine.show(1)
    assert events.quarantine.retry([1]).kept == 1
    assert events.quarantine.show(1) == before


def test_a_retry_that_changes_nothing_writes_nothing_and_waits_for_no_writer(durable_place: Place) -> None:
    events = events_with(durable_place, b"5", b"6")
    with durable_place.events().recorder.appending():
        assert events.quarantine.retry() == RetryReport(accepted=0, kept=2)


def test_discarding_asks_first(durable_place: Place, ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    events = events_with(durable_place, b"5", b"6")
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        status, out, _ = ask("quarantine", "discard", "1")
    assert (status != 0, out.strip(), len(events.quarantine)) == (True, b"", 2)
    assert ask("quarantine", "discard", "1", "--yes")[0] == 0
    assert [one.number for one in events.quarantine.list()] == [2]


def test_an_unknown_number_is_said_and_nothing_is_discarded(durable_place: Place, ask: Any) -> None:
    events = events_with(durable_place, b"5")
    for arguments in (["show", "99"], ["retry", "99"], ["discard", "1", "99"]):
        status, out, complaint = ask("quarantine", *arguments)
        assert (status, out) == (1, b"")
        assert complaint.startswith("appointments: no quarantined item has the number 99")
    with pytest.raises(QuarantinedItemNotFound):
        events.quarantine.discard([1, 99])
    assert len(events.quarantine) == 1


def test_the_health_check_fails_when_a_threshold_is_exceeded(durable_place: Place, ask: Any) -> None:
    events_with(durable_place, b"5", envelope(1))
    durable_place.projector()
    assert ask("status", "--check", "--max-quarantined", "1")[0] == 0
    status, _, complaint = ask("status", "--check", "--max-lag", "0")
    assert status == 1
    assert complaint == "appointments: the lag is 1, more than 0; the quarantine is 1, more than 0\n"
    assert json.loads(ask("status", "--json")[1])["quarantined"] == 1
