"""`events`: a stored event by its position, set aside or replaced where it cannot be folded."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Final

import pytest

from domain.topics import TOPIC
from projections.cli.app import run
from tests.conftest import Ask, Place
from tests.projections.test_projector import store_unchecked
from tests.support.builders import as_json, as_lines, envelope
from tests.support.generations import python


def test_a_poison_event_is_shown_with_the_reason_and_its_bytes(durable_place: Place, ask: Ask) -> None:
    durable_place.projector()
    position = store_unchecked(durable_place, 50, "a-50", TOPIC, b"{}")
    status, out, complaint = ask("events", "show", str(position), "--json")
    shown = json.loads(out)
    assert (status, complaint) == (0, "")
    assert (shown["position"], shown["event_id"], shown["appointment_id"], shown["topic"], shown["text"]) == (
        position, 50, "a-50", TOPIC, "{}",
    )  # fmt: skip
    assert shown["poison"]
    assert ask("events", "show", str(position), "--raw") == (0, "{}", "")
    assert f"poison: {shown['poison']}" in ask("events", "show", str(position))[1]


def test_an_event_that_is_not_poison_is_shown_as_such(durable_place: Place, ask: Ask) -> None:
    durable_place.projector()
    durable_place.events().append([as_json(envelope(7))])
    status, out, _ = ask("events", "show", "1", "--json")
    assert (status, json.loads(out)["poison"], json.loads(out)["event_id"]) == (0, None, 7)
    assert "poison: no, it can be folded" in ask("events", "show", "1")[1]


def test_an_unknown_position_is_one_line(durable_place: Place, ask: Ask) -> None:
    durable_place.projector()
    for position in ("5", "99999999999999999999999"):
        assert ask("events", "show", position) == (
            1,
            "",
            f"appointments: no stored event has the position {position}\n",
        )
    assert ask("events", "show", "0")[0] == 2
    assert ask("events", "show", "1", "--raw", "--json")[0] == 2


def poisoned(place: Place) -> None:
    """Position 2 cannot be folded."""
    place.projector()
    place.events().append([as_json(envelope(1))])
    store_unchecked(place, 2, "appointment-1", TOPIC, b'{"damaged"')
    place.events().append([as_json(envelope(3))])


def test_setting_an_event_aside_projects_on_and_leaves_a_record(durable_place: Place, ask: Ask) -> None:
    poisoned(durable_place)
    assert ask("project")[0] == 1
    command = ("events", "set-aside", "2", "--reason", "the disk", "--by", "alice")
    assert ask(*command) == (0, "the event at position 2 is set aside by alice\n", "")
    document = json.loads(ask("status", "--json")[1])
    assert (document["position"], document["lag"], document["set_aside"], document["quarantined"]) == (4, 0, 1, 1)
    assert ask("status")[1].count("set aside") == 1
    shown = ask("events", "show", "2")[1]
    assert "topic: VCSessionScheduledEvent.v1.set-aside" in shown
    assert "set aside by alice at " in shown
    assert "it is a marker: set aside by alice: the disk" in ask("events", "show", "4")[1]
    assert json.loads(ask("verify", "--json")[1]) == {"checked": 1, "differences": [], "set_aside": 1}
    assert "1 event is set aside" in ask("verify")[1]
    assert "set_aside" in ask("quarantine", "list")[1]
    assert ask("quarantine", "show", "1", "--raw")[1] == '{"damaged"'
    assert [json.loads(line)["id"] for line in ask("export")[1].splitlines()] == [1, 3]
    status, out, complaint = ask(*command)
    assert (status, out, complaint.count("\n")) == (1, "", 1)
    assert "position 2 stays as it is: it was set aside by alice on" in complaint


def test_setting_aside_tells_of_the_next_event_that_cannot_be_folded(durable_place: Place, ask: Ask) -> None:
    poisoned(durable_place)
    position = store_unchecked(durable_place, 9, "c", TOPIC, b"{}")
    status, out, complaint = ask("events", "set-aside", "2", "--reason", "the disk", "--by", "alice", "--json")
    assert (status, complaint.count("\n")) == (1, 1)
    assert f"position {position} " in complaint
    record = json.loads(out)
    assert (record["position"], record["by"], record["reason"], record["at"][-1]) == (2, "alice", "the disk", "Z")
    assert ask("events", "set-aside", str(position), "--reason", "the disk", "--no-project")[0] == 0
    assert json.loads(ask("status", "--json")[1])["position"] == position - 1
    assert ask("project")[0] == 0


def test_an_event_is_replaced_by_a_file(durable_place: Place, ask: Ask, tmp_path: Path) -> None:
    poisoned(durable_place)
    path = tmp_path / "envelope.json"
    path.write_text(json.dumps(envelope(2, title="second"), indent=2))
    assert ask("events", "replace", "2", str(path)) == (0, "the event at position 2 is replaced\n", "")
    assert json.loads(ask("status", "--json")[1])["lag"] == 0
    assert ask("verify")[0] == 0
    assert json.loads(ask("appointment", "appointment-1", "--json")[1])["revision"] == 3
    status, out, complaint = ask("events", "replace", "2", str(path), "--json")
    assert (status, out, complaint) == (
        1, "", "appointments: the event at position 2 stays as it is: it can be folded\n",
    )  # fmt: skip


WRONG_FILES = {
    "no envelope": (b"{}", 2, "id: expected a value, found nothing"),
    "no JSON": (b"{", 2, "expected"),
    "another id": (as_json(envelope(7)), 2, "id: expected 2, as in the event it is to replace, found 7"),
    "another appointment": (as_json(envelope(2, id="c")), 2, "eventData.appointment.id: expected 'appointment-1'"),
    "several envelopes": (as_lines([envelope(2), envelope(3)]), 2, "expected one envelope, found more"),
    "nothing": (b"", 2, "expected one envelope, found none"),
    "no file": (None, 2, "cannot read"),
}


@pytest.mark.parametrize("kind", WRONG_FILES)
def test_a_file_that_cannot_replace_an_event_is_one_line_and_changes_nothing(
    sqlite_place: Place, capfd: pytest.CaptureFixture[str], tmp_path: Path, kind: str
) -> None:
    content, expected, said = WRONG_FILES[kind]
    path = tmp_path / "envelope.json"
    if content is not None:
        path.write_bytes(content)
    poisoned(sqlite_place)
    status = run(["events", "replace", "2", str(path), *sqlite_place.arguments])
    out, complaint = capfd.readouterr()
    assert (status, out, complaint.count("\n")) == (expected, "", 1)
    assert said in complaint
    assert sqlite_place.events().head() == 3
    assert sqlite_place.events().quarantine.numbers() == []


def test_wrong_positions_and_reasons_are_one_line(durable_place: Place, ask: Ask) -> None:
    poisoned(durable_place)
    for arguments, expected, said in (
        (("1", "--reason", "r"), 1, "the event at position 1 stays as it is: it can be folded"),
        (("99", "--reason", "r"), 1, "no stored event has the position 99"),
        (("2", "--reason", " "), 2, "reason: expected text, found ' '"),
        (("2",), 2, "reason"),
        (("two", "--reason", "r"), 2, "POSITION"),
    ):
        status, out, complaint = ask("events", "set-aside", *arguments)
        assert (status, out, complaint.count("\n")) == (expected, "", 1)
        assert said in complaint
    assert durable_place.events().head() == 3


_KILLED: Final = """
import os, signal, sys
from projections import Appointments
from domain.storage.postgres.append import PostgresAppend
from domain.storage.sqlite.append import SQLiteAppend
for kind in (PostgresAppend, SQLiteAppend):
    kind.mark = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # all but the marker is written
with Appointments.open(sys.argv[1], schema=sys.argv[2] or None) as appointments:
    appointments.events.set_aside(2, reason="the disk")
"""


def test_a_process_that_is_killed_on_the_way_has_changed_nothing(durable_place: Place, ask: Ask) -> None:
    poisoned(durable_place)
    before = durable_place.events().stream("appointment-1")
    with python(_KILLED, durable_place.url, durable_place.schema or "") as process:
        assert process.wait(timeout=60) == -signal.SIGKILL
    assert durable_place.events().stream("appointment-1") == before
    assert durable_place.events().quarantine.numbers() == []
    assert ask("events", "set-aside", "2", "--reason", "the disk")[0] == 0
