"""What goes out goes in again: an export, ingested elsewhere, gives an equal installation."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tracemalloc
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from domain.export import on_one_line
from projections.cli.sample import sample_envelopes
from tests import ROOT
from tests.conftest import Ask, Place
from tests.support.builders import as_json, envelope
from tests.support.histories import histories

PRETTY = json.dumps(envelope(3, title="deux\nlignes", description="\u2028"), indent=2, ensure_ascii=False)
LAYOUTS: list[Any] = [
    as_json(envelope(1)),
    envelope(2, id="é"),
    PRETTY,
    PRETTY.replace("\n", "\r\n").replace("3", "4", 1),
]


def lines(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.split("\n")[:-1]]


def test_each_envelope_is_on_one_line_whatever_its_first_layout(durable_place: Place, ask: Ask) -> None:
    durable_place.events().append(LAYOUTS)
    status, out, complaints = ask("export")
    assert (status, complaints) == (0, "")
    assert [one["id"] for one in lines(out)] == [1, 2, 3, 4]
    assert lines(out)[2]["eventData"]["appointment"]["title"] == "deux\nlignes"
    assert out.splitlines(keepends=True)[0] == as_json(envelope(1)).decode() + "\n"


def test_an_export_may_begin_at_a_position_and_after_the_end_there_is_nothing(durable_place: Place, ask: Ask) -> None:
    durable_place.events().append(LAYOUTS)
    assert [one["id"] for one in lines(ask("export", "--from-position", "3")[1])] == [3, 4]
    assert ask("export", "--from-position", "99") == (0, "", "")
    assert ask("export", "--from-position", "0")[:2] == (2, "")
    assert ask("export", "--quarantine", "--from-position", "1")[:2] == (2, "")


def test_an_export_of_no_installation_names_init(ask: Ask) -> None:
    status, out, complaint = ask("export")
    assert (status, out) == (2, "")
    assert complaint.count("\n") == 1
    assert "appointments init" in complaint


def test_quarantined_items_are_printed_with_their_bytes(durable_place: Place, ask: Ask) -> None:
    durable_place.events().append([b'{"id": 1,}', b"\xff\n5", as_json(envelope(1))])
    first, second = lines(ask("export", "--quarantine")[1])
    assert (first["code"], first["content"], b64decode(first["content_base64"])) == (
        "malformed_json", '{"id": 1,}', b'{"id": 1,}',
    )  # fmt: skip
    assert (second["content"], b64decode(second["content_base64"]), second["length"]) == (None, b"\xff\n5", 3)


def check_equal(old: Place, new: Place) -> None:
    before, after = old.schedules(), new.schedules()
    for one in before.talents(limit=20):
        assert list(after.talent(one.owner_id)) == list(before.talent(one.owner_id))
    assert after.talents().owners == before.talents().owners
    assert after.coaches().owners == before.coaches().owners
    assert new.appointments().verify().differences == []


@pytest.fixture
def other_place(place: Place, request: pytest.FixtureRequest) -> Place:
    """A place of another kind."""
    found: Place = request.getfixturevalue("postgres_place" if place.backend == "sqlite" else "sqlite_place")
    return found


def test_what_went_out_gives_an_equal_installation_elsewhere(place: Place, other_place: Place) -> None:
    sample = [one.encode() for one in sample_envelopes(300, seed=3)]
    place.events().append([*sample, *LAYOUTS])
    place.projector().catch_up()
    report = other_place.events().append(place.events().lines())
    assert (report.appended, report.quarantined, report.duplicates) == (304, 0, 0)
    other_place.projector().catch_up()
    check_equal(place, other_place)
    again = other_place.events().append([*sample, *LAYOUTS])
    assert (again.duplicates, again.read) == (304, 304)
    contradiction = envelope(3, title="another")
    assert other_place.events().append([contradiction]).quarantined == 1
    assert list(other_place.events().lines()) == list(place.events().lines())


@settings(max_examples=60)
@given(histories(max_envelopes=4))
def test_one_line_says_what_the_layout_said(envelopes: list[dict[str, Any]]) -> None:
    for one in envelopes:
        line = on_one_line(json.dumps(one, indent=3).encode())
        assert b"\n" not in line
        assert json.loads(line) == one


def test_an_export_holds_a_batch_and_not_the_whole_history(durable_place: Place) -> None:
    explanation = "x" * 100_000
    for first in range(1, 1201, 100):
        numbers = range(first, first + 100)
        durable_place.events().append(
            as_json(envelope(one, cancelationExplanation=explanation, id=f"{one}")) for one in numbers
        )
    exported = durable_place.events().lines()
    tracemalloc.start()
    try:
        size = sum(map(len, exported))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size > 120_000_000
    assert peak < 100_000_000


def test_the_move_in_the_readme_moves_an_installation(
    sqlite_place: Place, postgres_place: Place, tmp_path: Path
) -> None:
    readme = (ROOT / "README.md").read_text()
    [script] = re.findall(r"```sh\n((?:(?!```).)*?appointments export.*?)```", readme, re.DOTALL)
    sqlite_place.events().append([*(one.encode() for one in sample_envelopes(100, seed=1)), *LAYOUTS])
    sqlite_place.projector().catch_up()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("APPOINTMENTS_", "PG"))},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "APPOINTMENTS_SCHEMA": postgres_place.schema or "",
        "NEW": postgres_place.url,
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "104 appended" in done.stdout
    assert "no difference" in done.stdout
    check_equal(sqlite_place, postgres_place)


def test_a_full_disk_is_one_clear_line(sqlite_place: Place) -> None:
    sqlite_place.events().append(one.encode() for one in sample_envelopes(100, seed=1))
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "projections", "export", *sqlite_place.arguments],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.stderr == "appointments: cannot write the output: No space left on device\n"
    assert done.returncode == 75
