"""The command line for people: in a terminal, in pipes, in other encodings, and on Ctrl-C."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import shlex
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from rich.cells import cell_len

from domain import EventStore
from projections.cli.app import run
from projections.cli.sample import sample_envelopes
from tests.conftest import Place
from tests.support.builders import COACH, TALENT, as_json, as_lines, envelope

UUIDS = [f"50ad7fff-687a-4498-8a3a-662fda29400{digit}" for digit in range(4)]
FRENCH = "Séance « l’été » d’Anaïs à l’Œuvre…"
HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp\x7f\r"

ESCAPE = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07)")
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]")

# Runs several commands of the command line, one after the other, in one process.
COMMANDS = """
import shlex, sys
from projections.cli.app import run
sys.exit(max(run(shlex.split(line)) for line in sys.argv[1:]))
"""

QUESTIONS = (
    f"talent {UUIDS[0]} --tz UTC",
    f"coach {UUIDS[1]} --tz Europe/Paris --include-deleted",
    f"talent {UUIDS[0]} --limit 1",
    "talents",
    "coaches",
    f"appointment {UUIDS[2]}",
    f"history {UUIDS[2]}",
    f"changes --talent {UUIDS[0]}",
    f"conflicts --talent {UUIDS[0]}",
    f"figures --talent {UUIDS[0]}",
    "status",
    "quarantine list",
    "verify",
)


def environment(**changes: str) -> dict[str, str]:
    """Returns the environment without the variables that configure a terminal."""
    left_out = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "LC_ALL", "LANG", "PYTHONIOENCODING", "PYTHONUTF8")
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return {**kept, "TERM": "xterm-256color", "PYTHONUTF8": "1", **changes}


def commands(*lines: str, place: Place | None = None) -> list[str]:
    """A process that runs these commands at a place."""
    there = "" if place is None else f" {shlex.join(place.arguments)}"
    return [sys.executable, "-W", "error", "-c", COMMANDS, *(f"{line}{there}" for line in lines)]


def on_terminal(command: list[str], *, columns: int = 80, output: int | None = None) -> tuple[int, str]:
    """Returns the exit status of a process and what it wrote to its terminal, so without what went to `output`."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    written = theirs if output is None else output
    with subprocess.Popen(command, stdin=theirs, stdout=written, stderr=theirs, env=environment()) as process:
        os.close(theirs)
        with closing(os.fdopen(ours, "rb", buffering=0)) as terminal:
            sent = b"".join(iter(lambda: read_some(terminal.fileno()), b""))
    return process.returncode, sent.decode().replace("\r\n", "\n")


def read_some(terminal: int) -> bytes:
    """Reads from a terminal; returns nothing when its last process has ended, which Linux reports as an error."""
    try:
        return os.read(terminal, 65_536)
    except OSError:
        return b""


def in_a_pipe(*lines: str, place: Place, **changes: str) -> tuple[int, bytes, bytes]:
    """Returns the exit status, standard output and standard error of commands run without a terminal."""
    command = commands(*lines, place=place)
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, env=environment(**changes))  # noqa: PLW1510
    return done.returncode, done.stdout, done.stderr


def lived(place: Place) -> Place:
    """A place with appointments of every status, some of which overlap, and a quarantined item."""
    talent, coach, *ids = UUIDS
    fields = {"talentId": talent, "coachId": coach, "description": "déplacer " * 40}
    place.events().append(
        [
            as_json(envelope(1, id=ids[0], title=FRENCH, **fields)),
            as_json(envelope(2, id=ids[0], title=FRENCH * 5, endDate="2023-07-10T11:00:00Z", **fields)),
            as_json(envelope(3, id=ids[1], **fields)),
            as_json(envelope(4, id="canceled", status="CANCELED", cancelationReason="TALENT_NO_SHOW", **fields)),
            as_json(envelope(5, id="done", status="DONE", startDate=None, **fields)),
            b'{"id": 1, "eventName": "VCSessionScheduledEvent", ' + b"x" * 300,
        ]
    )
    place.projector().catch_up()
    return place


@pytest.mark.parametrize("columns", [80, 200])
def test_every_answer_fits_the_terminal_and_shows_ids_whole(sqlite_place: Place, columns: int) -> None:
    status, sent = on_terminal(commands(*QUESTIONS, place=lived(sqlite_place)), columns=columns)
    lines = [ESCAPE.sub("", line) for line in re.split(r"\n|\r|\x1b\[2K", sent)]
    assert status == 0
    assert [line for line in lines if cell_len(line) > columns and "--after" not in line] == []
    assert all(any(one in line for line in lines) for one in UUIDS)
    assert max(cell_len(line) for line in lines) > columns * 3 / 4


def test_in_a_terminal_each_status_has_its_colour(sqlite_place: Place) -> None:
    _, sent = on_terminal(commands(f"talent {UUIDS[0]}", place=lived(sqlite_place)))
    for status, colour in (("PLANNED", 36), ("DONE", 32), ("CANCELED", 31)):
        assert f"\x1b[{colour}m{status}" in sent


def test_in_a_pipe_there_are_no_escape_codes_and_no_progress(sqlite_place: Place, tmp_path: Path) -> None:
    sample = tmp_path / "sample.jsonl"
    sample.write_text("\n".join(sample_envelopes(2000)))
    status, out, complaints = in_a_pipe(*QUESTIONS[:-1], place=lived(sqlite_place))
    assert (status, complaints) == (0, b"")
    assert "Séance".encode() in out
    assert CONTROLS.findall(out.decode()) == []
    status, out, complaints = in_a_pipe(f"ingest {sample}", "project", "rebuild", "verify", place=sqlite_place)
    assert (status, complaints) == (0, b"")
    assert CONTROLS.findall(out.decode()) == []


def test_work_that_takes_long_shows_its_progress_with_rate_and_remaining_time(
    sqlite_place: Place, tmp_path: Path
) -> None:
    sample = tmp_path / "sample.jsonl"
    sample.write_text("\n".join(sample_envelopes(8000)))
    lines = (f"ingest --no-project {sample}", "project", "rebuild", "verify")
    status, sent = on_terminal(commands(*lines, place=sqlite_place))
    assert status == 0
    frames = [ESCAPE.sub("", frame) for frame in re.split(r"[\r\n]|\x1b\[2K", sent)]
    for phase in (
        "append .* [kM]B/s",
        "project .* envelopes/s",
        "(fold|load|verify) .* envelopes/s",
        "verify .* appointments/s",
    ):
        assert any(re.search(rf"{phase} +\d:\d\d:\d\d", frame) for frame in frames), (phase, frames)
    assert all(phase in sent for phase in ("read and fold", "load", "index", "catch up", "verify", "switch"))
    assert "read 8,000: 8,000 appended" in sent


def test_progress_goes_to_the_terminal_while_the_answer_goes_into_a_pipe(sqlite_place: Place, tmp_path: Path) -> None:
    sample = tmp_path / "sample.jsonl"
    sample.write_text("\n".join(sample_envelopes(2000)))
    with (tmp_path / "answer.json").open("wb") as answer:
        status, sent = on_terminal(commands(f"ingest {sample} --json", place=sqlite_place), output=answer.fileno())
    assert (status, "append" in sent, "project" in sent, "read" in sent) == (0, True, True, False)
    assert json.loads((tmp_path / "answer.json").read_text())["appended"] == 2000


@pytest.fixture
def shown(sqlite_place: Place, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What a command prints after these envelopes."""

    def shown(*arguments: str, after: list[bytes]) -> str:
        sqlite_place.events().append(after)
        sqlite_place.projector().catch_up()
        assert run([*arguments, *sqlite_place.arguments]) == 0
        return capfd.readouterr().out

    return shown


@pytest.mark.parametrize(
    ("zone", "start", "end", "day", "hours"),
    [
        ("UTC", "07-10T09:00", "07-10T10:30", "Monday 2023-07-10", "09:00-10:30    90 min"),
        ("Europe/Paris", "07-10T09:00", "07-10T10:00", "Monday 2023-07-10", "11:00-12:00    60 min"),
        ("Europe/Paris", "07-10T21:30", "07-10T22:45", "Monday 2023-07-10", "23:30-00:45+1  75 min"),
        ("Asia/Tokyo", "07-10T21:30", "07-10T22:45", "Tuesday 2023-07-11", "06:30-07:45    75 min"),
        ("Europe/Paris", "10-28T23:30", "10-29T01:30", "Sunday 2023-10-29", "01:30-02:30    120 min"),
        ("Europe/Paris", "03-26T00:30", "03-26T01:30", "Sunday 2023-03-26", "01:30-03:30    60 min"),
        ("America/St_Johns", "07-10T00:00", "07-12T02:29", "Sunday 2023-07-09", "21:30-23:59+2  50 h"),
    ],
)
def test_an_appointment_stands_under_its_day_at_its_hours_by_the_clocks_of_the_zone(
    shown: Callable[..., str], zone: str, start: str, end: str, day: str, hours: str
) -> None:
    only = envelope(1, startDate=f"2023-{start}:00Z", endDate=f"2023-{end}:00Z")
    lines = shown("talent", TALENT, "--tz", zone, after=[as_json(only)])
    at = lines.splitlines().index(day)
    assert lines.splitlines()[at + 1].startswith(f"  {hours}")


def test_without_a_zone_the_clocks_are_the_machines(
    shown: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert "18:00-19:00" in shown("talent", TALENT, after=[as_json(envelope(1))])
    finally:
        monkeypatch.undo()
        time.tzset()


def test_an_empty_answer_is_said_in_words(shown: Callable[..., str]) -> None:
    assert shown("talent", "nobody", "--tz", "UTC", after=[]) == (
        "Talent nobody\nTimes in UTC\nNo appointments.\n\nPosition 0, generation 1.\n"
    )
    assert "No appointments were known then." in shown("coach", COACH, "--as-of", "2001-01-01", after=[])
    assert shown("talents", after=[]) == "No talent has an appointment.\n"
    assert shown("conflicts", "--talent", TALENT, after=[]) == "No conflicts.\n"
    assert shown("changes", "--talent", TALENT, after=[]).startswith("Nothing changed.\n")
    assert shown("quarantine", "list", after=[]) == "Nothing is quarantined.\n"


@pytest.mark.parametrize(
    ("encoding", "locale", "expected"),
    [
        ("latin-1", {"PYTHONIOENCODING": "latin-1"}, "Séance « l'été » d'Anaïs à l'OEuvre..."),
        (
            "ascii",
            {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
            r"S\xe9ance \xab l'\xe9t\xe9 \xbb d'Ana\xefs \xe0 l'OEuvre...",
        ),
    ],
)
def test_french_is_printed_in_the_characters_that_the_output_has(
    sqlite_place: Place, encoding: str, locale: dict[str, str], expected: str
) -> None:
    lived(sqlite_place)
    in_json = f"appointment {UUIDS[2]} --json"
    status, out, complaints = in_a_pipe(*QUESTIONS, f"appointment {UUIDS[3]}", place=sqlite_place, **locale)
    assert (status, complaints) == (0, b"")
    assert expected in out.decode(encoding)
    status, out, _ = in_a_pipe(in_json, place=sqlite_place, **locale)
    assert (status, json.loads(out)["title"]) == (0, FRENCH * 5)


def test_no_title_and_no_id_can_command_the_terminal(
    sqlite_place: Place, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    fields = {"talentId": f"t{HOSTILE}", "coachId": f"c{HOSTILE}", "title": HOSTILE, "description": HOSTILE}
    lines = as_lines([envelope(1, id=f"a{HOSTILE}", **fields), envelope(2, id=f"b{HOSTILE}", **fields)])
    file = tmp_path / f"file{HOSTILE}"
    file.write_bytes(lines + b'{"id": \x1b[31m}\n')
    asked = [
        ["talent", f"t{HOSTILE}"], ["coach", f"c{HOSTILE}"], ["talents"], ["coaches"],
        ["appointment", f"a{HOSTILE}"], ["history", f"a{HOSTILE}"], ["changes", "--talent", f"t{HOSTILE}"],
        ["conflicts", "--talent", f"t{HOSTILE}"], ["quarantine", "list"], ["quarantine", "show", "1"], ["verify"],
    ]  # fmt: skip
    complaining = [["ingest", f"{file}?"], ["appointment", HOSTILE], ["talent", "x", "--tz", HOSTILE], [HOSTILE]]
    assert run(["ingest", str(file), *sqlite_place.arguments]) == 0
    for command in [*asked, *([*one, "--json"] for one in asked)]:
        assert run([*command, *sqlite_place.arguments]) == 0
    for command in complaining:
        assert run([*command, *sqlite_place.arguments]) != 0
    out, complaints = capfd.readouterr()
    assert CONTROLS.findall(out.replace("\r\n", "\n")) == []
    assert CONTROLS.findall(complaints) == []
    assert r"\x1b]0;owned\x07" in out
    assert run(["talent", f"t{HOSTILE}", "--ical", *sqlite_place.arguments]) == 0
    assert CONTROLS.findall(capfd.readouterr().out.replace("\r\n", "\n").replace("\u202e", "")) == []


def test_where_json_breaks_the_line_around_it_fits_a_terminal_and_a_caret_points_there(
    shown: Callable[..., str],
) -> None:
    *_, line, caret = shown(
        "quarantine", "show", "1", after=[b'{"first": "' + b"x" * 300 + b'", !"second": "' + b"y" * 300 + b'"}']
    ).splitlines()
    assert len(line) <= 80
    assert line[caret.index("^")] == "!"


@pytest.mark.parametrize("line", ["talents", "talents --json", "sample --events 2000"])
def test_a_reader_that_goes_away_ends_the_command_in_silence(sqlite_place: Place, line: str) -> None:
    sqlite_place.events().append(as_json(envelope(n, id=f"a{n}", talentId=f"t{n}" * 60)) for n in range(1, 1500))
    sqlite_place.projector().catch_up()
    command = commands(line, place=None if line.startswith("sample") else sqlite_place)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline()
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == (b"", 0)


@pytest.fixture
def typed_at(durable_place: Place) -> Iterator[subprocess.Popen[bytes]]:
    """An ingestion of what is written to its standard input."""
    pipe = subprocess.PIPE
    arguments = [sys.executable, "-m", "projections", "ingest", *durable_place.arguments]
    with subprocess.Popen(arguments, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        yield process
        process.kill()


def wait_for_events(place: Place, count: int) -> EventStore:
    events = place.events()
    events.install()
    while events.count() < count:
        pass
    return events


def test_ctrl_c_in_the_middle_of_an_ingestion_keeps_what_was_committed_and_the_next_run_completes_it(
    durable_place: Place, typed_at: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    lines = [line.encode() + b"\n" for line in sample_envelopes(2500)]
    assert typed_at.stdin
    typed_at.stdin.write(b"".join(lines[:1500]))
    typed_at.stdin.flush()
    events = wait_for_events(durable_place, 1500)
    typed_at.send_signal(signal.SIGINT)
    assert typed_at.wait() == 130
    assert typed_at.stdout
    assert typed_at.stderr
    assert typed_at.stdout.read() == b""
    assert re.fullmatch(
        r"appointments: interrupted, everything that was committed is safe; "
        r"[1-9][0-9,]* items were done; running it again completes the work\n",
        typed_at.stderr.read().decode(),
    )
    assert events.count() == 1500
    path = tmp_path / "all.jsonl"
    path.write_bytes(b"".join(lines))
    assert run(["ingest", str(path), *durable_place.arguments]) == 0
    assert (events.count(), len(events.quarantine)) == (2500, 0)
    assert durable_place.appointments().verify().differences == []
    assert durable_place.schedules().stamp().lag == 0
