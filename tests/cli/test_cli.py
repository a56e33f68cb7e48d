"""The command line for programs: every command, its JSON, its exit status, and what an ingestion reads."""

from __future__ import annotations

import gzip
import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from projections.cli.app import COMMANDS, run
from tests import DATA
from tests.conftest import Ask, Place
from tests.support.builders import APPOINTMENT, COACH, TALENT, as_json, as_lines, envelope

EXAMPLE = DATA / "VCSessionScheduledEvent.v1.example.json"


FIELDS = [
    "id", "talent_id", "coach_id", "status", "title", "description", "start_date", "end_date", "appointment_type",
    "subphase_id", "talent_block_id", "canceled_by", "cancelation_reason", "cancelation_explanation", "created_at",
    "updated_at", "deleted_at", "event_id", "revision", "reschedules", "irregular",
]  # fmt: skip

STAMP = ["position", "lag", "generation"]

COMMAND_NAMES = [name for name, _, _ in COMMANDS]
QUARANTINE_NAMES = [f"quarantine {name}" for name in ("list", "show", "retry", "discard")]

HISTORY = [
    envelope(1),
    envelope(2, id="appointment-2", startDate="2023-07-10T09:30:00Z", endDate="2023-07-10T10:30:00Z"),
    envelope(3, id="appointment-3", startDate="2023-07-12T09:00:00Z", endDate="2023-07-12T10:00:00Z"),
    envelope(
        4,
        id="appointment-3",
        status="CANCELED",
        canceledBy="COACH",
        cancelationReason="TALENT_NO_SHOW",
        startDate="2023-07-13T09:00:00Z",
        endDate="2023-07-13T10:00:00Z",
    ),
    envelope(5, id="appointment-4", startDate=None, endDate=None, coachId="coach-2"),
    envelope(6, id="appointment-5", status="DONE", appointmentType="PART_ONE", subphaseId="subphase-1"),
    envelope(7, id="appointment-5", status="DONE", deletedAt="2023-07-03T00:00:00Z"),
]


@pytest.fixture
def document(ask: Ask) -> Callable[..., Any]:
    """Returns the JSON document of a command that succeeds and prints nothing on standard error."""

    def document(*arguments: str) -> Any:
        status, out, complaints = ask(*arguments, "--json")
        assert (status, complaints) == (0, "")
        return json.loads(out)

    return document


@pytest.fixture
def filled(durable_place: Place) -> Place:
    durable_place.events().append([as_json(one) for one in HISTORY])
    durable_place.projector().catch_up()
    return durable_place


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[bytes], None]]:
    """Sets the standard input of commands."""
    with ExitStack() as stack:

        def give(content: bytes) -> None:
            path = tmp_path / "stdin"
            path.write_bytes(content)
            monkeypatch.setattr("sys.stdin", stack.enter_context(path.open()))

        yield give


def ids(schedule: Any) -> list[str]:
    return [one["id"].removeprefix("appointment-") for one in schedule["appointments"]]


def test_ingest_counts_what_it_read_and_the_schedules_show_it_at_once(document: Any, tmp_path: Path) -> None:
    path = tmp_path / "envelopes.jsonl"
    path.write_bytes(as_lines([*HISTORY, HISTORY[0], {"eventName": "other"}]))
    report = document("ingest", str(path))
    assert list(report) == ["read", "appended", "duplicates", "ignored", "quarantined", "position"]
    assert [report[name] for name in list(report)[:5]] == [9, 7, 1, 1, 0]
    assert document("status")["position"] == report["position"]


@pytest.mark.parametrize(("option", "name"), [("talent", TALENT), ("coach", COACH)])
def test_a_schedule_has_its_stamp_and_every_field_of_its_appointments(
    filled: Place, document: Any, option: str, name: str
) -> None:
    del filled
    schedule = document(option, name)
    assert list(schedule) == [f"{option}_id", *STAMP, "as_of", "known_at", "appointments", "next"]
    assert (schedule[f"{option}_id"], schedule["lag"], schedule["generation"]) == (name, 0, 1)
    assert (schedule["as_of"], schedule["next"]) == (None, None)
    assert [list(one) for one in schedule["appointments"]] == [FIELDS] * len(schedule["appointments"])
    assert schedule["appointments"][0]["start_date"] == "2023-07-10T09:00:00.000Z"


OPTIONS = [
    ("", "1 2 3 4"),
    ("--status PLANNED", "1 2 4"),
    ("--status CANCELED --status DONE", "3"),
    ("--from 2023-07-10T10:00:00Z", "2 3"),
    ("--to 2023-07-10T09:30:00Z", "1"),
    ("--from 2023-07-11 --to 2023-07-14 --tz UTC", "3"),
    ("--from 2023-07-10T12:00 --to 2023-07-10T12:01 --tz Europe/Paris", "2"),
    ("--upcoming --now 2023-07-10T10:15:00Z", "2 3"),
    ("--past --now 2023-07-10T10:15:00Z", "1"),
    ("--include-deleted", "1 5 2 3 4"),
    ("--include-deleted --type PART_ONE", ""),
    ("--include-deleted --type STANDALONE --status DONE", "5"),
    ("--subphase subphase-1", ""),
    ("--as-of 2023-07-02T00:00:06Z --appointment-type PART_ONE --subphase-id subphase-1", "5"),
    ("--coach coach-2", "4"),
    ("--desc", "3 2 1 4"),
    ("--limit 2", "1 2"),
    ("--as-of 2023-07-02T00:00:02Z", "1 2"),
    ("--as-of 2023-07-02T00:00:06Z --type PART_ONE --subphase subphase-1", "5"),
    ("--at-least 7 --timeout 0", "1 2 3 4"),
]


def test_every_option_of_a_schedule_narrows_or_orders_it(filled: Place, document: Any) -> None:
    del filled
    for options, expected in OPTIONS:
        assert ids(document("talent", TALENT, *options.split())) == expected.split(), options


def test_a_coach_is_asked_as_a_talent_is_and_a_talent_narrows_it(filled: Place, document: Any) -> None:
    del filled
    assert ids(document("coach", COACH, "--talent", TALENT, "--status", "PLANNED")) == ["1", "2"]
    assert ids(document("coach", COACH, "--talent", "somebody else")) == []


@pytest.mark.parametrize("arguments", [["talent", TALENT], ["talent", TALENT, "--desc"], ["talents"], ["coaches"]])
def test_pages_put_together_are_the_whole(filled: Place, document: Any, arguments: list[str]) -> None:
    del filled
    name = {"talent": "appointments"}.get(arguments[0], arguments[0])
    whole = document(*arguments)[name]
    page = document(*arguments, "--limit", "1")
    pages = page[name]
    while page["next"]:
        page = document(*arguments, "--limit", "1", "--after", page["next"])
        pages += page[name]
    assert pages == whole


def test_a_schedule_as_of_a_time_says_so(filled: Place, document: Any) -> None:
    del filled
    assert document("talent", TALENT, "--as-of", "2023-07-02T02:00:03+02:00")["as_of"] == "2023-07-02T00:00:03.000Z"


def test_talents_and_coaches_are_listed_with_counts_by_status(filled: Place, document: Any) -> None:
    del filled
    talents = document("talents")
    assert list(talents) == ["talents", *STAMP, "next"]
    assert talents["talents"] == [{"talent_id": TALENT, "PLANNED": 3, "DONE": 0, "CANCELED": 1}]
    assert [one["coach_id"] for one in document("coaches")["coaches"]] == [COACH, "coach-2"]


def test_an_appointment_is_the_object_itself_with_its_lifecycle_and_the_stamp(filled: Place, document: Any) -> None:
    del filled
    one = document("appointment", "appointment-3")
    assert list(one) == [*FIELDS, "lifecycle", *STAMP]
    assert (one["revision"], one["reschedules"], one["irregular"]) == (2, 1, False)
    assert one["lifecycle"] == [
        {
            "status": "PLANNED",
            "event_id": 3,
            "at": "2023-07-02T00:00:03.000Z",
            "canceled_by": None,
            "cancelation_reason": None,
        },
        {
            "status": "CANCELED",
            "event_id": 4,
            "at": "2023-07-02T00:00:04.000Z",
            "canceled_by": "COACH",
            "cancelation_reason": "TALENT_NO_SHOW",
        },
    ]


def test_history_lists_each_revision_with_what_it_changed(filled: Place, document: Any) -> None:
    filled.events().append([as_json(envelope(9, title="second")), as_json(envelope(8, title="first"))])
    history = document("history", APPOINTMENT)
    assert (list(history), history["id"]) == (["id", "revisions"], APPOINTMENT)
    first, late, last = history["revisions"]
    assert list(first) == ["event_id", "at", "arrived_at", "position", "late", "changes"]
    assert {"field": "status", "old": None, "new": "PLANNED"} in first["changes"]
    assert (late["event_id"], late["late"], last["late"]) == (8, True, False)
    assert last["changes"] == [{"field": "title", "old": "first", "new": "second"}]


def test_changes_are_what_to_put_in_and_take_out_since_a_token(filled: Place, document: Any) -> None:
    first = document("changes", "--talent", TALENT)
    assert set(first) >= {"changes", "token"}
    assert [list(one) for one in first["changes"]] == [["id", "removed", "appointment"]] * 4
    assert list(first["changes"][0]["appointment"]) == FIELDS
    filled.events().append([as_json(envelope(20, talentId="somebody else"))])
    assert document("project") == {"position": 8}
    since = document("changes", "--talent", TALENT, "--since", first["token"])
    assert since["changes"] == [{"id": APPOINTMENT, "removed": True, "appointment": None}]
    assert document("changes", "--talent", TALENT, "--since", since["token"])["changes"] == []


def test_conflicts_are_pairs_with_the_time_that_both_take(filled: Place, document: Any) -> None:
    del filled
    [conflict] = document("conflicts", "--coach", COACH)["conflicts"]
    assert list(conflict) == ["first", "second", "start", "end"]
    assert (conflict["start"], conflict["end"]) == ("2023-07-10T09:30:00.000Z", "2023-07-10T10:00:00.000Z")
    assert (conflict["first"]["id"], conflict["second"]["id"]) == (APPOINTMENT, "appointment-2")
    assert document("conflicts", "--coach", COACH, "--from", "2023-07-11")["conflicts"] == []


def test_figures_count_by_status_reason_and_who_and_add_up_hours(filled: Place, document: Any) -> None:
    del filled
    figures = document("figures", "--talent", TALENT)
    assert (figures["by_status"], figures["hours_planned"]) == ({"PLANNED": 3, "DONE": 0, "CANCELED": 1}, 2.0)
    assert (figures["canceled_by"], figures["cancelation_reasons"]) == ({"COACH": 1}, {"TALENT_NO_SHOW": 1})
    assert document("figures", "--talent", TALENT, "--to", "2023-07-10T09:10:00Z")["appointments"] == 1


FIGURES_OPTIONS = [
    ("--as-of 2023-07-02T00:00:02Z", 2),
    ("--as-of 2023-07-02T00:00:06Z --appointment-type PART_ONE --subphase-id subphase-1", 1),
    ("--upcoming --now 2023-07-10T10:15:00Z", 2),
    ("--past --now 2023-07-10T10:15:00Z", 1),
    ("--status CANCELED --status DONE", 1),
]


def test_figures_and_conflicts_take_the_options_of_a_schedule(filled: Place, document: Any) -> None:
    del filled
    for options, expected in FIGURES_OPTIONS:
        assert document("figures", "--talent", TALENT, *options.split())["appointments"] == expected, options
    for options, expected in (
        ("--as-of 2023-07-02T00:00:01Z", 0),
        ("--as-of 2023-07-02T00:00:02Z", 1),
        ("--past --now 2023-07-10T10:15:00Z", 0),
        ("--appointment-type PART_ONE", 0),
    ):
        assert len(document("conflicts", "--coach", COACH, *options.split())["conflicts"]) == expected, options


def test_an_operator_installs_projects_rebuilds_rolls_back_and_verifies(durable_place: Place, document: Any) -> None:
    assert list(document("init")) == ["installed"]
    durable_place.events().append([as_json(one) for one in HISTORY])
    found = document("status")
    assert found.pop("oldest_unprojected_seconds") >= 0
    assert (found.pop("followers"), found.pop("blocked_at")) == ([], None)
    assert found == {
        "events": 7, "position": 0, "lag": 7, "generation": 1, "appointments": 0, "quarantined": 0,
        "unfinished_rebuild": None,
    }  # fmt: skip
    assert document("project") == {"position": 7}
    rebuilt = document("rebuild")
    assert (rebuilt["generation"], rebuilt["position"], rebuilt["events"]) == (2, 7, 7)
    assert document("rollback") == {"generation": 1}
    assert document("verify") == {"checked": 5, "differences": []}
    assert document("verify", "--sample", "1") == {"checked": 1, "differences": []}
    assert (document("status")["lag"], document("status")["appointments"]) == (0, 5)


def test_init_prints_the_sql_that_would_install_and_does_nothing(ask: Ask, document: Any) -> None:
    status, sql, _ = ask("init", "--print")
    assert (status, "CREATE TABLE" in sql) == (0, True)
    assert document("init", "--print") == {"sql": sql.removesuffix("\n")}
    assert ask("status")[0] == 2


def test_the_health_check_passes_within_its_thresholds_and_fails_beyond_them(filled: Place, ask: Ask) -> None:
    assert ask("status", "--check", "--max-lag", "0")[0] == 0
    filled.events().append([b"5", as_json(envelope(20))])
    status, out, complaint = ask("status", "--check", "--max-lag", "0", "--json")
    assert (status, json.loads(out)["lag"], json.loads(out)["quarantined"]) == (1, 1, 1)
    assert complaint == "appointments: the lag is 1, more than 0; the quarantine is 1, more than 0\n"


def test_the_same_seed_gives_the_same_sample(capfd: pytest.CaptureFixture[str]) -> None:
    samples = []
    for seed in ("7", "7", "8"):
        assert run(["sample", "--events", "20", "--seed", seed]) == 0
        samples.append(capfd.readouterr().out)
    assert samples[0] == samples[1] != samples[2]
    assert len({json.loads(line)["id"] for line in samples[0].splitlines()}) == 20


def test_an_appointment_that_is_not_there_is_exit_1(filled: Place, ask: Ask) -> None:
    del filled
    for command in ("appointment", "history"):
        assert ask(command, "nowhere", "--json") == (1, "", "appointments: no appointment has the id 'nowhere'\n")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("lines.jsonl", as_lines(HISTORY)),
        ("windows.jsonl", b"\xef\xbb\xbf" + as_lines(HISTORY).replace(b"\n", b"\r\n\r\n")),
        ("array.json", json.dumps(HISTORY).encode()),
        ("pretty.json", json.dumps(HISTORY, indent=4).encode()),
        ("lines.jsonl.gz", gzip.compress(as_lines(HISTORY))),
        ("array.json.gz", gzip.compress(json.dumps(HISTORY).encode())),
        ("members.gz", gzip.compress(as_lines(HISTORY[:3])) + gzip.compress(as_lines(HISTORY[3:]))),
    ],
)
def test_every_format_of_file_is_read(document: Any, tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert document("ingest", str(path))["appended"] == len(HISTORY)


def test_the_publishers_own_example_is_read(document: Any) -> None:
    assert document("ingest", str(EXAMPLE))["appended"] == 1
    [shown] = document("talent", "06e6f647-6ed0-43c9-b323-85d8f3384f31")["appointments"]
    assert (shown["title"], shown["event_id"]) == ("Séance Découverte", 6105029)


def test_several_files_and_standard_input_are_read_in_one_run(
    document: Any, stdin: Callable[[bytes], None], tmp_path: Path
) -> None:
    path = tmp_path / "pretty.json"
    path.write_text(json.dumps(HISTORY[0], indent=2))
    stdin(as_lines(HISTORY[1:4]))
    assert document("ingest", str(path), "-")["appended"] == 4
    stdin(as_lines(HISTORY))
    report = document("ingest")
    assert (report["duplicates"], report["appended"]) == (4, 3)


def test_without_projecting_the_envelopes_wait_for_a_projector(document: Any, stdin: Callable[[bytes], None]) -> None:
    document("init")
    stdin(as_lines(HISTORY))
    assert document("ingest", "--no-project")["position"] == 7
    assert (document("status")["position"], document("status")["lag"]) == (0, 7)
    assert document("talent", TALENT)["lag"] == 7


def test_a_strict_ingestion_is_exit_1_when_anything_was_quarantined(ask: Ask, stdin: Callable[[bytes], None]) -> None:
    for strict, expected in (([], 0), (["--strict"], 1)):
        stdin(as_lines(HISTORY) + b"5\n")
        status, out, complaint = ask("ingest", "--json", *strict)
        assert (status, json.loads(out)["quarantined"]) == (expected, 1)
        assert complaint == "appointments: 1 item was quarantined; see: appointments quarantine list\n"


@pytest.mark.parametrize("command", [*COMMAND_NAMES, *QUARANTINE_NAMES])
def test_the_help_of_every_command_shows_one_example(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run([*command.split(), "--help"]) == 0
    out, _ = capfd.readouterr()
    assert [line for line in out.splitlines() if f"  Example: appointments {command}" in line] == [
        out.splitlines()[-1]
    ]
    assert all((f"  {option} " in out) == (command != "sample") for option in ("--db", "--schema"))
    assert ("--json" in out) == (command not in ("export", "sample"))


def test_the_examples_of_the_help_do_what_they_say(
    durable_place: Place, capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("APPOINTMENTS_DB", durable_place.url)
    monkeypatch.setenv("APPOINTMENTS_SCHEMA", durable_place.schema or "")
    Path("envelopes.jsonl").write_bytes(as_lines(HISTORY))
    Path("more.json.gz").write_bytes(gzip.compress(EXAMPLE.read_bytes()))
    run(["init", *durable_place.arguments])
    for name in [*COMMAND_NAMES, *QUARANTINE_NAMES]:
        capfd.readouterr()
        run([*name.split(), "--help"])
        [example] = [line for line in capfd.readouterr().out.splitlines() if "Example:" in line]
        arguments = shlex.split(example.split(": appointments ")[1].split(" > ")[0])
        if name == "quarantine list":
            durable_place.events().append([b"5", b"6", b"7"])
        if name in ("serve", "pull"):
            continue  # one stays, the other needs another database; tests/web and tests/system/test_pull.py run them
        assert run([one for one in arguments if one != "--follow"]) == 0, capfd.readouterr().err


def test_a_follower_projects_what_is_appended_until_it_is_stopped(durable_place: Place) -> None:
    durable_place.projector()
    schedules = durable_place.schedules()
    follow = [sys.executable, "-m", "projections", "project", "--follow", "--json", *durable_place.arguments]
    with ExitStack() as stack:
        process = stack.enter_context(subprocess.Popen(follow, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        stack.callback(process.kill)
        assert process.stdout
        assert process.stderr
        assert process.stderr.readline() == b"appointments: following; end with Ctrl-C\n"
        durable_place.events().append([as_json(one) for one in HISTORY])
        assert len(schedules.talent(TALENT, at_least=7)) == 4
        process.send_signal(signal.SIGINT)
        assert json.loads(process.stdout.read()) == {"position": 7}
        assert process.wait() == 0
        assert b" INFO stopped position=7 " in process.stderr.read()


QUESTIONS = (
    ["talent", TALENT], ["coach", COACH], ["talents"], ["coaches"], ["appointment", APPOINTMENT],
    ["history", APPOINTMENT], ["changes", "--talent", TALENT], ["conflicts", "--talent", TALENT],
    ["figures", "--coach", COACH], ["status"], ["verify"], ["rollback"], ["quarantine", "list"],
    ["talent", TALENT, "--as-of", "2023-07-10"], ["talent", TALENT, "--ical"], ["quarantine", "show", "1"],
)  # fmt: skip


def test_a_question_to_an_installation_that_is_not_there_names_init_and_creates_nothing(
    ask: Ask, tmp_path: Path
) -> None:
    for arguments in QUESTIONS:
        status, out, complaint = ask(*arguments)
        assert (status, out) == (2, ""), arguments
        assert complaint.count("\n") == 1
        assert "appointments init" in complaint
    assert ask("talents")[0] == 2
    assert list(tmp_path.iterdir()) == []


def test_the_environment_names_the_place_and_options_come_first(
    filled: Place, capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APPOINTMENTS_DB", filled.url)
    monkeypatch.setenv("APPOINTMENTS_SCHEMA", filled.schema or "")
    assert run(["status", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["events"] == 7
    assert run(["status", "--json", "--db", f"sqlite:///{tmp_path}/elsewhere.db"]) == 2
    monkeypatch.setenv("APPOINTMENTS_SCHEMA", "elsewhere")
    assert run(["status", "--json"]) == (2 if filled.schema else 0)
    assert run(["status", "--json", *filled.arguments]) == 0


def test_without_any_word_the_place_is_a_file_in_the_working_directory(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("APPOINTMENTS_DB", raising=False)
    assert run(["ingest", str(EXAMPLE), "--json"]) == 0
    assert (tmp_path / "appointments.db").is_file()
    assert json.loads(capfd.readouterr().out)["position"] == 1
