"""`appointments forget`, `forgotten list` and `scrub`: what they ask, print and refuse."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Ask, Place
from tests.support.builders import COACH, TALENT, as_json, envelope

RECEIPT = {
    "number", "at", "side", "reference", "digest", "key", "envelopes", "streams", "places", "verified", "scrubbed_at",
    "lifted_at", "out_of_scope",
}  # fmt: skip


@pytest.fixture
def filled(durable_place: Place) -> Place:
    appointments = durable_place.appointments()
    appointments.events.append([as_json(envelope(1)), as_json(envelope(2, id="b", talentId="talent-2"))])
    appointments.projector.catch_up()
    return durable_place


def answers(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def document(ask: Ask, *arguments: str) -> Any:
    status, out, complaints = ask(*arguments, "--json")
    assert status == 0, complaints
    return json.loads(out)


@pytest.mark.usefixtures("filled")
def test_a_person_is_forgotten_after_a_confirmation(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, "n\n")
    assert ask("forget", "--talent", TALENT)[0] == 1
    assert document(ask, "forgotten", "list") == {"forgotten": []}
    answers(monkeypatch, "y\n")
    status, out, complaints = ask("forget", "--talent", TALENT, "--reference", "ticket 7")
    assert status == 0
    assert "receipt 1, a talent: 1 envelopes of 1 appointments masked" in out
    assert "appointments scrub" in complaints
    assert TALENT not in out + complaints
    status, out, complaints = ask("talent", TALENT, "--json")
    assert (status, out) == (1, "")
    assert "this talent was forgotten" in complaints
    assert ask("calendar-link", "--talent", TALENT)[0] == 1
    assert document(ask, "coach", COACH)["appointments"][0]["talent_id"] == "forgotten"


@pytest.mark.usefixtures("filled")
def test_without_an_answer_nobody_is_forgotten(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, "")
    status, _, complaints = ask("forget", "--talent", TALENT)
    assert status == 2
    assert "--yes" in complaints


@pytest.mark.usefixtures("filled")
def test_the_document_is_the_receipt(ask: Ask) -> None:
    receipt = document(ask, "forget", "--coach", COACH, "--yes", "--reference", "r")
    assert set(receipt) == RECEIPT
    assert (receipt["side"], receipt["reference"], receipt["envelopes"], receipt["verified"]) == (
        "coach",
        "r",
        2,
        True,
    )
    assert document(ask, "forgotten", "list") == {"forgotten": [receipt]}
    assert document(ask, "status")["unscrubbed"] == 1
    assert document(ask, "scrub") == {"left": [], "unscrubbed": 0}


@pytest.mark.usefixtures("filled")
def test_the_second_time_is_said_and_is_no_failure(ask: Ask) -> None:
    first = document(ask, "forget", "--talent", TALENT, "--yes")
    status, out, complaints = ask("forget", "--talent", TALENT, "--yes", "--json")
    assert (status, json.loads(out)) == (0, first)
    assert "already forgotten" in complaints


@pytest.mark.usefixtures("filled")
def test_a_dry_run_changes_nothing(ask: Ask) -> None:
    preview = document(ask, "forget", "--talent", TALENT, "--dry-run")
    assert (preview["number"], preview["envelopes"]) == (0, 1)
    assert len(document(ask, "talent", TALENT)["appointments"]) == 1
    assert "would be masked" in ask("forget", "--talent", TALENT, "--dry-run")[1]


@pytest.mark.usefixtures("filled")
def test_ids_come_from_standard_input_so_that_no_shell_keeps_them(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, f"{TALENT}\ncoach {COACH}\n")
    receipts = document(ask, "forget", "-", "--yes")["forgotten"]
    assert [one["side"] for one in receipts] == ["talent", "coach"]
    answers(monkeypatch, "talent-2\n")
    assert document(ask, "forget", "--talent", "-", "--yes")["number"] == 3
    answers(monkeypatch, f"{TALENT}\n")  # forgotten already, which is no mistake
    assert document(ask, "forget", "-", "--yes")["number"] == 1
    answers(monkeypatch, "nobody\n")
    status, _, complaints = ask("forget", "-", "--yes")
    assert status == 2
    assert "talent ID" in complaints
    assert document(ask, "talents")["talents"] == []


@pytest.mark.usefixtures("filled")
def test_who_returns_can_be_stored_again(ask: Ask) -> None:
    document(ask, "forget", "--talent", TALENT, "--yes")
    assert document(ask, "forget", "--talent", TALENT, "--lift")["lifted_at"]
    assert document(ask, "talent", TALENT)["appointments"] == []
    status, _, complaints = ask("forget", "--talent", TALENT, "--lift")
    assert (status, complaints.strip()) == (1, "appointments: 1 person not forgotten")


def test_after_a_restore_the_receipts_forget_the_same_persons_again(
    sqlite_place: Place, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from projections.cli.app import run

    path = Path(sqlite_place.url.removeprefix("sqlite:///"))
    with sqlite_place.appointments() as appointments:
        appointments.events.append([as_json(envelope(1)), as_json(envelope(2, id="b", talentId="talent-2"))])
        appointments.projector.catch_up()
    backup = path.read_bytes()
    for arguments in (["forget", "--talent", TALENT, "--yes"], ["forget", "--talent", "nobody-yet", "--yes"]):
        assert run([*arguments, *sqlite_place.arguments]) == 0
    capfd.readouterr()
    assert run(["forgotten", "list", "--json", *sqlite_place.arguments]) == 0
    (tmp_path / "receipts.json").write_text(capfd.readouterr().out)
    for old in path.parent.glob(f"{path.name}-*"):
        old.unlink()
    path.write_bytes(backup)
    again = ["forget", "--again", str(tmp_path / "receipts.json"), "--yes", "--json", *sqlite_place.arguments]
    assert run(again) == 0
    receipts = json.loads(capfd.readouterr().out)["forgotten"]
    assert [one["envelopes"] for one in receipts] == [1, 0]
    assert run(["talent", TALENT, *sqlite_place.arguments]) == 1
    assert run(["talent", "nobody-yet", *sqlite_place.arguments]) == 1
    assert run(["talent", "talent-2", *sqlite_place.arguments]) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "expected one of"),
        (["--talent", TALENT, "--coach", COACH], "expected one of"),
        (["--talent", " "], "talent_id"),
        (["--talent", "forgotten"], "stands for everybody"),
        ([TALENT], "expected --talent ID"),
        (["--talent", TALENT, "--dry-run", "--lift"], "exclude each other"),
        (["--talent", TALENT, "--reference", "r" * 201], "at most 200"),
        (["--again", "missing.json"], "cannot read missing.json"),
        (["--again", "missing.json", "--talent", TALENT], "leave the other options out"),
    ],
)
@pytest.mark.usefixtures("filled")
def test_a_misuse_is_one_line_and_nobody_is_forgotten(ask: Ask, arguments: list[str], said: str) -> None:
    status, out, complaints = ask("forget", *arguments, "--yes")
    assert (status, out) == (2, "")
    assert said in complaints
    assert complaints.count("\n") == 1
    assert document(ask, "forgotten", "list") == {"forgotten": []}


@pytest.mark.usefixtures("filled")
def test_receipts_of_another_installation_are_refused(ask: Ask, tmp_path: Path) -> None:
    receipt = document(ask, "forget", "--talent", TALENT, "--yes")
    path = tmp_path / "receipts.jsonl"
    path.write_text(json.dumps(receipt | {"key": "0" * 16}))
    status, _, complaints = ask("forget", "--again", str(path), "--yes")
    assert status == 2
    assert "another installation" in complaints
    path.write_text("[1]")
    status, _, complaints = ask("forget", "--again", str(path), "--yes")
    assert status == 2
    assert "expected receipts" in complaints


@pytest.mark.usefixtures("filled")
def test_ingest_counts_what_it_masked(ask: Ask, tmp_path: Path) -> None:
    document(ask, "forget", "--talent", TALENT, "--yes")
    path = tmp_path / "more.json"
    path.write_bytes(as_json(envelope(3)))
    assert document(ask, "ingest", str(path))["masked"] == 1
    path.write_bytes(as_json(envelope(4, talentId="talent-2", id="c")))
    assert "masked" not in document(ask, "ingest", str(path))
