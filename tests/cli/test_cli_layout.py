"""The layout at every width: time zones are named, and ids and reasons are never broken by a line end."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from projections.cli.app import COMMANDS, run
from projections.queries.times import zone_label, zone_named
from tests.conftest import Ask, Place
from tests.support.builders import as_json, envelope

IDS = [f"50ad7fff-687a-4498-8a3a-662fda29400{digit}" for digit in range(6)]
TALENT, COACH, MOVED_TO, *APPOINTMENTS = IDS
REASON = "TALENT_NOT_AVAILABLE_MORE_THAN_24H"
EXPLANATION = "The talent is ill and asks for another appointment in the next week"
LONG_ID = "an-id-of-one-word-" * 20

CANCELATION = {
    "status": "CANCELED",
    "canceledBy": "TALENT",
    "cancelationReason": REASON,
    "cancelationExplanation": EXPLANATION,
}


@pytest.fixture
def lived(sqlite_place: Place) -> Place:
    """A schedule with two that overlap, one that moved to another coach, one canceled and one with a long id."""
    of = {"talentId": TALENT, "coachId": COACH}
    sqlite_place.events().append(
        [
            as_json(envelope(1, id=APPOINTMENTS[0], **of)),
            as_json(envelope(2, id=APPOINTMENTS[1], **of)),
            as_json(envelope(3, id=APPOINTMENTS[2], **of)),
            as_json(envelope(4, id=APPOINTMENTS[2], **of | {"coachId": MOVED_TO} | CANCELATION)),
            as_json(envelope(5, id=LONG_ID, **of, startDate=None)),
        ]
    )
    sqlite_place.projector().catch_up()
    return sqlite_place


@pytest.fixture
def shown(lived: Place, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Returns what a command prints at a width."""

    def shown(width: int, *arguments: str) -> str:
        monkeypatch.setenv("COLUMNS", str(width))
        capfd.readouterr()
        assert run([*arguments, *lived.arguments]) == 0
        return capfd.readouterr().out

    return shown


@contextmanager
def clocks_of(zone: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine is in this zone."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize("width", [60, 80, 100, 139, 140, 160, 200])
def test_ids_and_reasons_stand_whole_on_a_line_at_every_width(shown: Callable[..., str], width: int) -> None:
    for line, expected in (
        (["talent", TALENT], [TALENT, COACH, *APPOINTMENTS, REASON, LONG_ID]),
        (["coach", MOVED_TO], [MOVED_TO, TALENT, APPOINTMENTS[2], REASON]),
        (["talents"], [TALENT]),
        (["appointment", APPOINTMENTS[2]], [APPOINTMENTS[2], TALENT, MOVED_TO, REASON]),
        (["history", APPOINTMENTS[2]], [COACH, MOVED_TO, REASON]),
        (["changes", "--talent", TALENT], [*APPOINTMENTS, LONG_ID]),
        (["conflicts", "--talent", TALENT], APPOINTMENTS[:2]),
    ):
        lines = shown(width, *line).splitlines()
        for one in expected:
            assert any(one in part for part in lines), (line, one)


@pytest.mark.parametrize("width", [60, 80, 160])
def test_a_canceled_appointment_says_by_whom_why_and_in_whose_words(shown: Callable[..., str], width: int) -> None:
    out = shown(width, "coach", MOVED_TO)
    assert EXPLANATION in re.sub(r"\s+", " ", out)
    assert max(len(line) for line in out.splitlines()) <= width
    if width == 160:
        assert f"(by TALENT, {REASON})" in out
        assert f"talent {TALENT}  {APPOINTMENTS[2]}\n" in out


@pytest.mark.parametrize(
    ("zone", "label"),
    [
        ("Europe/Paris", "Europe/Paris"),
        (":Europe/Paris", "Europe/Paris"),
        ("/usr/share/zoneinfo/Asia/Tokyo", "Asia/Tokyo"),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "CET-1CEST,M3.5.0,M10.5.0/3"),
        ("<+0530>-5:30", "<+0530>-5:30"),
        ("", "UTC"),
    ],
)
def test_a_schedule_names_the_zone_of_its_times(
    shown: Callable[..., str], monkeypatch: pytest.MonkeyPatch, zone: str, label: str
) -> None:
    with clocks_of(zone, monkeypatch):
        assert f"\nTimes in {label}\n" in shown(80, "talent", TALENT)
        assert f"\nTimes in {label}.\n" in shown(80, "conflicts", "--talent", TALENT)
        assert "\nTimes in America/Lima\n" in shown(80, "talent", "nobody", "--tz", "America/Lima")


def test_without_a_variable_the_machines_zone_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TZ", raising=False)
    assert zone_label(zone_named(None))


@pytest.mark.parametrize("zone", ["Europe/Nowhere", ":nowhere", "../etc/passwd", "é"])
def test_an_unknown_zone_in_the_environment_is_an_error_and_not_utc(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    monkeypatch.setenv("TZ", zone)
    status, out, complaint = ask("talent", TALENT)
    assert (status, out, complaint.count("\n")) == (2, "", 1)
    assert "expected a time zone in $TZ" in complaint


def test_help_says_of_every_command_its_whole_first_sentence(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run(["-h"]) == 0
    out = re.sub(r"\s+", " ", capfd.readouterr().out)
    for name, function, _ in COMMANDS:
        summary = " ".join((function.__doc__ or "").split())
        assert f" {name} {summary}" in out
    assert run(["quarantine", "-h"]) == 0
    assert "..." not in capfd.readouterr().out.split("Commands:")[1]


def test_the_version_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert re.fullmatch(r"appointments \d+\.\d+\.\d+\n", capfd.readouterr().out)


def test_a_shell_is_told_the_commands_that_begin_so(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_APPOINTMENTS_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "appointments con")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert run([]) == 0
    assert capfd.readouterr().out == "conflicts\n"
