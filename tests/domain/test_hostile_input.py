"""Hostile input: it stays data, costs bounded memory, and is refused with a clear message."""

from __future__ import annotations

import gzip
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from domain.errors import UsageError
from domain.event_store import AppendReport
from domain.input.batches import BATCH_ITEMS_MAX
from domain.input.files import open_input
from domain.input.items import ITEM_BYTES_MAX
from projections import Appointments
from projections.cli.app import run
from projections.cli.sample import sample_envelopes
from tests import ROOT
from tests.cli.test_cli_bad_input import MEASURED, MIB
from tests.cli.test_cli_for_people import CONTROLS, commands, in_a_pipe, on_terminal
from tests.conftest import Ask, Place
from tests.support.builders import COACH, TALENT, as_json, as_lines, envelope

README = (ROOT / "README.md").read_text("utf-8")

INJECTIONS = [
    "'; DROP TABLE stored_events; --",
    '"; DELETE FROM quarantine; --',
    "' OR '1'='1",
    "%s %(talent_id)s %%",
    ":talent_id @id $1 ?1 {schema} {}",
    "\\N",
    "\\'; SELECT pg_sleep(60) --",
    "a\tb\\.\nc\r",
    "{1,2}",
    '["x"]',
    "%' ESCAPE '_",
]

# Marks, overrides, isolates and separators: what turns the direction of a text or begins a line.
DIRECTIONS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029\u0085"
TERMINAL = "\x1b]0;owned\x07\x1b[2J\x1bP1$r\x1b\\\x9b31m\x08\x7f\r"
HOSTILE = f"{TERMINAL}{DIRECTIONS}gnp.exe"
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def ingested(ask: Ask, tmp_path: Path) -> Callable[..., tuple[dict[str, int], str]]:
    """Returns the report of ingesting a file, and what it prints on standard error."""

    def ingested(content: bytes, *options: str, name: str = "input.jsonl") -> tuple[dict[str, int], str]:
        path = tmp_path / name
        path.write_bytes(content)
        status, out, complaints = ask("ingest", str(path), "--json", *options)
        assert status == 0, complaints
        return json.loads(out), complaints

    return ingested


def reasons(place: Place) -> list[tuple[str, str]]:
    return [(one.refused.code.value, one.refused.reason) for one in place.events().quarantine.list()]


def test_sql_in_ids_and_titles_is_only_text(place: Place) -> None:
    events = place.events()
    lines = [
        envelope(number, id=text, talentId=text, coachId=text, title=text, cancelationExplanation=text)
        for number, text in enumerate(INJECTIONS, 1)
    ]
    assert events.append(as_json(one) for one in lines).appended == len(INJECTIONS)
    assert events.append([f"broken {text}" for text in INJECTIONS]).quarantined == len(INJECTIONS)
    place.projector().catch_up()
    schedules = place.schedules()
    for text in INJECTIONS:
        for found in (schedules.talent(text), schedules.coach(text), schedules.talent(text, limit=1)):
            assert [(one.id, one.title) for one in found] == [(text, text)]
        assert [one.id for one in schedules.talent(text, as_of=schedules.appointment(text).lifecycle[0].at)] == [text]
        assert [one.id for one in schedules.changes(talent_id=text)] == [text]
        assert schedules.figures(coach_id=text).appointments == 1
        assert not list(schedules.conflicts(talent_id=text))
        assert [one.event_id for one in schedules.history(text).revisions] == [INJECTIONS.index(text) + 1]
    assert sorted(one.owner_id for one in schedules.talents()) == sorted(INJECTIONS)
    assert [one.owner_id for one in schedules.coaches()] == sorted(INJECTIONS)
    assert place.appointments().verify().differences == []
    assert (events.count(), len(events.quarantine)) == (len(INJECTIONS), len(INJECTIONS))


@pytest.mark.parametrize("form", [b"%s\n", b"[%s,", b"{\n%s\n"])
def test_json_nested_100_000_deep_costs_one_item(
    durable_place: Place, ingested: Callable[..., Any], form: bytes
) -> None:
    for opening in (b"[", b'{"a":', b'[{"a":'):
        deep = b'{"x":' + opening * 100_000
        report, _ = ingested(as_json(envelope(1)) + b"\n" + deep + b"\n" + as_json(envelope(2)))
        assert report["quarantined"] == 1
        report, _ = ingested(form % deep)
        assert report["read"] == report["quarantined"]
    assert {code for code, _ in reasons(durable_place)} == {"malformed_json"}
    assert durable_place.events().count() == 2


def test_numbers_of_10_000_digits_are_refused_wherever_they_stand(
    durable_place: Place, ask: Ask, ingested: Callable[..., Any]
) -> None:
    digits = b"9" * 10_000
    text = as_json(envelope(1))
    lines = [
        text.replace(b'"id":1', b'"id":' + digits),
        text.replace(b'"version":1', b'"version":' + digits),
        text.replace(b'"version":1', b'"x":' + digits + b',"version":1'),
        text.replace(b'"PLANNED"', b"-" + digits),
        digits,
    ]
    report, _ = ingested(b"\n".join(lines))
    assert (report["read"], report["quarantined"]) == (5, 5)
    assert all(len(reason) < 300 for _, reason in reasons(durable_place))
    for number in range(1, 6):
        assert ask("quarantine", "show", str(number))[0] == 0


def test_a_key_that_is_there_twice_cannot_stop_the_projector(
    durable_place: Place, ask: Ask, ingested: Callable[..., Any]
) -> None:
    text = as_json(envelope(1))
    lines = [
        text.replace(b'"id":1', b'"id":{"$gt":0},"id":1', 1),
        text.replace(b'"id":1', b'"id":2', 1).replace(b'"eventData":', b'"eventData":[],"eventData":'),
        text.replace(b'"id":1', b'"id":3', 1).replace(b'"startDate":', b'"startDate":17,"startDate":'),
        text.replace(b'"id":1', b'"id":4', 1).replace(b'"title":', b'"title":"\\u0000","title":'),
    ]
    report, _ = ingested(b"\n".join(lines))
    assert (report["appended"], report["quarantined"]) == (3, 1)
    assert len(durable_place.schedules().talent(TALENT)) == 1
    assert [one.event_id for one in durable_place.events().history("appointment-1")] == [1, 2, 3]
    assert ask("history", "appointment-1")[0] == 0
    assert ask("rebuild")[0] == 0
    assert ask("verify")[0] == 0


def test_a_zipped_file_that_grows_to_a_gigabyte_is_read_in_bounded_memory(
    sqlite_place: Place, tmp_path: Path
) -> None:
    member = gzip.compress(b"x" * 16 * MIB)
    bomb = tmp_path / "bomb.jsonl.gz"
    good = gzip.compress(as_json(envelope(1)) + b"\n")
    bomb.write_bytes(good + member * 64 + gzip.compress(b"\n") + gzip.compress(as_json(envelope(2))))
    assert bomb.stat().st_size < 2 * MIB
    command = [sys.executable, "-c", MEASURED, "ingest", str(bomb), "--json", "--no-project", *sqlite_place.arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, json.loads(done.stdout)["appended"]) == (0, 2), done.stderr
    assert int(done.stderr.splitlines()[-1]) < 80 * MIB
    [kept] = [one.refused for one in sqlite_place.events().quarantine.list()]
    assert (kept.code, kept.line, kept.length, len(kept.content)) == ("too_large", 2, 1024 * MIB, 64 * 1024)
    assert kept.reason == "expected an item within --item-bytes-max, found 1,073,741,824 bytes"


def test_of_a_zipped_file_that_is_damaged_far_inside_what_was_committed_is_said_and_stays(
    durable_place: Place, ask: Ask, tmp_path: Path
) -> None:
    lines = [line.encode() for line in sample_envelopes(3 * BATCH_ITEMS_MAX)]
    whole = gzip.compress(b"\n".join(lines), 1)
    path = tmp_path / "envelopes.jsonl.gz"
    half = len(whole) * 2 // 3
    for broken in (whole[:half], whole[:half] + bytes(1000) + whole[half + 1000 :], whole[:-8] + bytes(8)):
        path.write_bytes(broken)
        status, out, complaint = ask("ingest", str(path))
        assert (status, out, complaint.count("\n")) == (2, "", 1)
        assert re.search(r"gzip.*; [1-9][0-9,]* items were done; running it again completes the work", complaint)
        assert 0 < durable_place.events().count() < len(lines)
    path.write_bytes(whole)
    assert ask("ingest", str(path))[0] == 0
    assert durable_place.events().count() == len(lines)
    assert len(durable_place.events().quarantine) == 0


def test_a_file_that_grows_while_it_is_read_is_read_to_where_it_then_ends(
    durable_place: Place, tmp_path: Path
) -> None:
    path = tmp_path / "growing.jsonl"
    lines = [as_json(envelope(number)) + b"\n" for number in range(1, 4 * BATCH_ITEMS_MAX + 1)]
    path.write_bytes(b"".join(lines[:BATCH_ITEMS_MAX]) + lines[BATCH_ITEMS_MAX][:50])

    def grow(report: AppendReport) -> None:
        grown = b"".join(lines[: min(report.read + 2 * BATCH_ITEMS_MAX, len(lines))])
        with path.open("ab") as file:
            file.write(grown[path.stat().st_size :])

    events = durable_place.events()
    with open_input(str(path)) as opened:
        report = events.append(opened.items(), progress=grow)
        assert opened.size is not None
        assert opened.bytes_read > opened.size
    assert report.appended in range(BATCH_ITEMS_MAX, len(lines) + 1)
    path.write_bytes(b"".join(lines))
    with open_input(str(path)) as opened:
        assert events.append(opened.items()).duplicates == report.appended
    assert events.count() == len(lines)


def hostile_installation(place: Place, tmp_path: Path) -> list[str]:
    """An installation in which every text is hostile, and the commands that print these texts."""
    fields = {"talentId": f"t{HOSTILE}", "coachId": f"c{HOSTILE}", "title": HOSTILE, "description": HOSTILE}
    lines = [
        as_json(envelope(1, id=f"a{HOSTILE}", subphaseId=HOSTILE, **fields)),
        as_json(envelope(2, id=f"b{HOSTILE}", cancelationExplanation=HOSTILE, **fields)),
        as_json(envelope(1, id=f"a{HOSTILE}", **{**fields, "title": "another"})),
        as_json(envelope(2, id=f"another{HOSTILE}", **fields)),
        as_json(envelope(3, status=HOSTILE)),
        as_json({**envelope(4), HOSTILE: "\0"}),
        b'{"id": ' + HOSTILE.encode() + b"}",
        HOSTILE.encode("utf-16"),
        b'{"eventName":"' + HOSTILE.encode() * 100 + b'"}',
    ]
    path = tmp_path / f"file{HOSTILE}".replace("/", "")
    path.write_bytes(b"".join(line.replace(b"\n", b"") + b"\n" for line in lines))
    assert run(["ingest", str(path), "--item-bytes-max", "2000", *place.arguments]) == 0
    talent, first = shlex.quote(f"t{HOSTILE}"), shlex.quote(f"a{HOSTILE}")
    numbers = [one.number for one in place.events().quarantine.list()]
    assert len(numbers) >= 6
    asked = [
        f"talent {talent}", f"coach {shlex.quote(f'c{HOSTILE}')}", "talents", "coaches", f"appointment {first}",
        f"history {first}", f"changes --talent {talent}", f"conflicts --talent {talent}",
        f"figures --talent {talent}", "status", "quarantine list",
        *(f"quarantine show {number}" for number in numbers),
    ]  # fmt: skip
    return [*asked, *(f"{one} --json" for one in asked)]


WRONG = shlex.quote(HOSTILE)
MISUSES = [
    f"appointment {WRONG}", f"history {WRONG}", f"talent x --tz {WRONG}", f"talent x --from {WRONG}",
    f"talent x --status {WRONG}", f"talent x --after {WRONG}", f"changes --talent x --since {WRONG}", WRONG,
    f"ingest {WRONG}", f"talent --{WRONG}", f"quarantine show {WRONG}", f"talents --schema {WRONG}",
]  # fmt: skip


def obeyed(written: str) -> list[str]:
    """Returns the control characters of an output, without our own colours."""
    return [*CONTROLS.findall(COLOURS.sub("", written)), *(one for one in DIRECTIONS if one in written)]


def test_no_text_that_came_is_written_so_that_a_terminal_obeys_it(
    sqlite_place: Place, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = hostile_installation(sqlite_place, tmp_path)
    out, complaints = capfd.readouterr()
    assert obeyed(out + complaints) == []
    status, written = on_terminal(commands(*asked, place=sqlite_place))
    assert (status, obeyed(written)) == (0, [])
    assert r"\x1b]0;owned\x07" in written
    assert r"\u202e" in written
    status, piped, complained = in_a_pipe(
        *asked, "quarantine retry", "project", "verify", "rebuild", place=sqlite_place
    )
    assert (status, obeyed(piped.decode().replace("\r\n", "\n")), complained) == (0, [], b"")
    status, written = on_terminal(commands(*MISUSES, place=sqlite_place))
    assert (status, obeyed(written)) == (2, [])
    assert written.count("appointments: ") == len(MISUSES)


def test_the_limits_are_those_that_the_readme_names(place: Place) -> None:
    named = re.search(
        r"an item of (\d+) MiB \(`--item-bytes-max`\), JSON (\d+) levels deep, numbers of ([\d,]+) digits, "
        r"a page of ([\d,]+)",
        " ".join(README.split()),
    )
    assert named is not None
    size, depth, digits, page = (int(one.replace(",", "")) for one in named.groups())
    assert size * MIB == ITEM_BYTES_MAX

    def with_unknown(value: bytes) -> bytes:
        return as_json(envelope(1)).replace(b'"version"', b'"unknown":' + value + b',"version"', 1)

    def refusals(value: bytes) -> list[str]:
        with Appointments.open(f"memory:limits-{place.backend}") as appointments:
            events = appointments.events
            events.append([with_unknown(value)])
            return [one.refused.reason for one in events.quarantine.list()]

    levels = depth - 2  # the envelope and its event data are two
    assert refusals(b"[" * levels + b"1" + b"]" * levels) == []
    [reason] = refusals(b"[" * (levels + 1) + b"1" + b"]" * (levels + 1))
    assert reason == f"expected JSON nested at most {depth} deep, found deeper nesting"
    assert refusals(b"9" * digits) == []
    [reason] = refusals(b"9" * (digits + 1))
    assert reason.startswith(f"expected numbers of at most {digits:,} digits, found number out of range at line 1")
    place.projector().catch_up()
    assert len(place.schedules().talent(TALENT, limit=page)) == 0
    with pytest.raises(UsageError, match=f"expected a limit from 1 to {page}, found {page + 1}"):
        place.schedules().coach(COACH, limit=page + 1)


def test_the_largest_item_is_a_setting_and_the_refusal_names_it(
    durable_place: Place, ask: Ask, ingested: Callable[..., Any]
) -> None:
    lines = as_lines([envelope(1, description="x" * 2000), envelope(2)])
    report, complaint = ingested(lines, "--item-bytes-max", "2000")
    assert (report["appended"], report["quarantined"]) == (1, 1)
    assert "1 item was quarantined; see: appointments quarantine list" in complaint
    [(code, reason)] = reasons(durable_place)
    assert (code, reason.startswith("expected an item within --item-bytes-max, found 2,")) == ("too_large", True)
    assert "--item-bytes-max" in ask("ingest", "--help")[1]
    assert ingested(lines)[0]["appended"] == 1
