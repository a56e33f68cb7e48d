"""`appointments generations` and `generations retire`: what they print, ask and refuse."""

from __future__ import annotations

import io
import json
import sys

import pytest

from domain.identifiers import Position
from projections.following import sign_of_life
from tests.conftest import Ask, Place
from tests.support.builders import envelope
from tests.support.generations import states
from tests.support.newer_fold import NEWER_VERSION
from tests.support.rebuilding import newer_code, project, rebuilt, upgrade

OLD_VERSION = NEWER_VERSION - 1
OLD = f"{OLD_VERSION}"


@pytest.fixture
def upgraded(durable_place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A generation of an old version and one of a newer version, seen by code of the newer."""
    project(durable_place, envelope(1))
    upgrade(monkeypatch)
    rebuilt(durable_place)
    return durable_place


def test_the_list_is_for_people_and_for_programs(upgraded: Place, ask: Ask) -> None:
    upgraded.store().sign(sign_of_life(Position(1)))
    status, out, complaints = ask("generations", "--json")
    assert (status, complaints) == (0, "")
    first, second = json.loads(out)["generations"]
    assert first.pop("bytes") > 0
    assert first == {
        "number": 1, "fold_version": OLD_VERSION, "state": "ready", "serving": True, "position": 1, "lag": 0,
        "follower_seen_at": None,
    }  # fmt: skip
    assert second["follower_seen_at"].endswith("Z")
    lines = ask("generations")[1].splitlines()
    assert lines[0].split() == ["fold", "generation", "state", "position", "lag", "bytes", "follower", "seen"]
    assert [line.split()[:5] for line in lines[1:]] == [
        [OLD, "1", "serves", "1", "0"],
        [f"{NEWER_VERSION}", "2", "serves", "1", "0"],
    ]


def test_retiring_asks_first(upgraded: Place, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    question = f"Drop generation 1, all of version {OLD} of the fold? [y/N] "
    assert ask("generations", "retire", OLD) == (1, "", f"{question}appointments: nothing was dropped\n")
    status, out, complaint = ask("generations", "retire", OLD)
    assert (status, out) == (2, "")
    assert complaint.endswith("appointments: no answer; use --yes to go on without a question\n")
    assert states(upgraded) == {1: "ready", 2: "ready"}
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert ask("generations", "retire", OLD) == (0, "1 dropped, 0 kept\n", question)


def test_retiring_without_a_question_prints_json(upgraded: Place, ask: Ask) -> None:
    status, out, complaints = ask("generations", "retire", OLD, "--yes", "--json")
    assert (status, json.loads(out), complaints) == (0, {"dropped": [1], "kept": []}, "")
    assert states(upgraded) == {1: "dropped", 2: "ready"}


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (["77"], 1, "there is no generation of version 77 of the fold"),
        ([f"{NEWER_VERSION}"], 2, f"version {NEWER_VERSION} of the fold stays: it serves this code"),
        (["one"], 2, "Invalid value for 'VERSION'"),
        ([], 2, "Missing argument 'VERSION'; see: appointments generations retire --help"),
    ],
)  # fmt: skip
def test_what_cannot_be_retired_is_refused_before_the_question_with_one_line(
    upgraded: Place, ask: Ask, arguments: list[str], status: int, complaint: str
) -> None:
    found = ask("generations", "retire", *arguments)
    assert found[:2] == (status, "")
    assert found[2].startswith(f"appointments: {complaint}")
    assert found[2].count("\n") == 1
    assert states(upgraded) == {1: "ready", 2: "ready"}


def test_options_before_the_command_are_refused_and_not_left_out(ask: Ask) -> None:
    refused = (2, "", "appointments: options stand after the command: generations retire ...\n")
    assert ask("generations", "--json", "retire", OLD, "--yes") == refused


def test_without_an_installation_there_is_nothing_to_list_or_retire(ask: Ask) -> None:
    for arguments in (["generations"], ["generations", "retire", OLD, "--yes"]):
        status, out, complaint = ask(*arguments)
        assert (status, out, complaint.count("\n")) == (2, "", 1)
        assert "appointments init" in complaint


def test_new_code_that_was_not_rebuilt_for_says_so_with_75_and_lists(durable_place: Place, ask: Ask) -> None:
    project(durable_place, envelope(1))
    with newer_code():
        status, out, complaint = ask("talent", "talent-1")
        assert (status, out, complaint.count("\n")) == (75, "", 1)
        assert complaint.endswith(f"knows version {NEWER_VERSION}; run: appointments rebuild\n")
        assert ask("generations")[0] == 0
