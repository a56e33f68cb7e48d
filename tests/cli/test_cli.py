"""The command line for programs: what operators do, the help of every command, and where an installation is."""

from __future__ import annotations

import gzip
import json
import shlex
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from projections.cli.app import COMMANDS, run
from tests import DATA
from tests.cli.conftest import HISTORY
from tests.conftest import Ask, Place
from tests.support.builders import APPOINTMENT, COACH, TALENT, as_json, as_lines, envelope

EXAMPLE = DATA / "VCSessionScheduledEvent.v1.example.json"

COMMAND_NAMES = [name for name, _, _ in COMMANDS]
QUARANTINE_NAMES = [f"quarantine {name}" for name in ("list", "show", "retry", "discard")]


def test_an_operator_installs_projects_rebuilds_rolls_back_and_verifies(durable_place: Place, document: Any) -> None:
    assert list(document("init")) == ["installed"]
    durable_place.events().append([as_json(one) for one in HISTORY])
    found = document("status")
    assert found.pop("oldest_unprojected_seconds") >= 0
    assert (found.pop("followers"), found.pop("blocked_at")) == ([], None)
    for name in ("rebuild", "last_verification", "projected_at", "replica_position"):
        assert found.pop(name) is None
    assert found == {
        "events": 7, "position": 0, "lag": 7, "generation": 1, "appointments": 0, "quarantined": 0,
        "unfinished_rebuild": None, "unscrubbed": 0, "set_aside": 0,
    }  # fmt: skip
    assert document("project") == {"position": 7}
    rebuilt = document("rebuild")
    assert (rebuilt["generation"], rebuilt["position"], rebuilt["events"]) == (2, 7, 7)
    assert document("rollback") == {"generation": 1}
    assert document("verify") == {"checked": 5, "set_aside": 0, "differences": []}
    assert document("verify", "--sample", "1") == {"checked": 1, "set_aside": 0, "differences": []}
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
