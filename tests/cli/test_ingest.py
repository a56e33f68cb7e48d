"""The command line for programs: what `ingest` reads, and what it says of it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import DATA
from tests.cli.conftest import HISTORY
from tests.conftest import Ask
from tests.support.builders import TALENT, as_lines

EXAMPLE = DATA / "VCSessionScheduledEvent.v1.example.json"


def test_ingest_counts_what_it_read_and_the_schedules_show_it_at_once(document: Any, tmp_path: Path) -> None:
    path = tmp_path / "envelopes.jsonl"
    path.write_bytes(as_lines([*HISTORY, HISTORY[0], {"eventName": "other"}]))
    report = document("ingest", str(path))
    assert list(report) == ["read", "appended", "duplicates", "ignored", "quarantined", "position"]
    assert [report[name] for name in list(report)[:5]] == [9, 7, 1, 1, 0]
    assert document("status")["position"] == report["position"]


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
