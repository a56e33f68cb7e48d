"""Appending files from Python: by path or as an open file, in every format of `ingest`, in bounded memory."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from domain import AppendReport
from domain.errors import InputUnreadable
from tests.conftest import Place
from tests.support.builders import as_json, as_lines, envelope

THREE = [envelope(1), envelope(2), envelope(3)]

FORMS = {
    "JSON Lines": as_lines(THREE),
    "blank lines": b"\n\n".join(as_json(one) for one in THREE) + b"\r\n\n",
    "an array": json.dumps(THREE).encode(),
    "a pretty-printed array": json.dumps(THREE, indent=2).encode(),
}


@pytest.mark.parametrize("content", FORMS.values(), ids=FORMS.keys())
def test_every_format_is_read_by_path_and_as_an_open_file(place: Place, tmp_path: Path, content: bytes) -> None:
    events = place.events()
    plain, zipped = tmp_path / "envelopes.json", tmp_path / "envelopes.json.gz"
    plain.write_bytes(content)
    zipped.write_bytes(gzip.compress(content))
    assert events.append_file(plain).appended == 3
    for path in (plain, str(plain), zipped, str(zipped)):
        assert events.append_file(path).duplicates == 3
    with plain.open("rb") as file, zipped.open("rb") as raw, gzip.open(zipped) as unzipped:
        for one in (file, raw, unzipped, io.BytesIO(content), io.BytesIO(gzip.compress(content))):
            report = events.append_file(one)
            assert (report.read, report.duplicates) == (3, 3)
    assert len(events.quarantine) == 0


def test_a_pretty_printed_envelope_is_one(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "envelope.json"
    path.write_text(json.dumps(envelope(1), indent=4) + "\n")
    assert place.events().append_file(path) == AppendReport(read=1, appended=1, position=place.events().head())


def test_what_is_refused_is_kept_with_its_file_and_its_line(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "envelopes.jsonl"
    path.write_bytes(as_json(envelope(1)) + b"\n\n5\n" + b"x" * 3000)
    events = place.events()
    assert events.append_file(path, item_bytes_max=2000).quarantined == 2
    with path.open("rb") as file:
        file.readline()
        events.append_file(file, item_bytes_max=2000)
    events.append_file(io.BytesIO(b"\n6"))
    assert [(one.refused.code, one.refused.source, one.refused.line) for one in events.quarantine.list()] == [
        ("invalid_envelope", str(path), 3),
        ("too_large", str(path), 4),
        ("invalid_envelope", "python", 2),
    ]


def test_a_file_whose_name_is_no_text_is_read_and_named(place: Place, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff.jsonl")
    path.write_bytes(as_json(envelope(1)) + b"\n5\n")
    file = io.BytesIO(b"6")
    file.name = "in\0memory"  # as some files have one
    events = place.events()
    assert events.append_files([path, file]).quarantined == 2
    assert [one.refused.source for one in events.quarantine.list()] == [
        f"{tmp_path}/\\udcff.jsonl",
        "in\\0memory",
    ]


def test_a_file_that_is_open_is_read_from_where_it_is_and_left_open(memory_place: Place) -> None:
    file = io.BytesIO(as_lines(THREE))
    file.readline()
    assert memory_place.events().append_file(file).appended == 2
    assert not file.closed


def test_several_files_are_all_opened_before_anything_is_appended(memory_place: Place, tmp_path: Path) -> None:
    events = memory_place.events()
    path = tmp_path / "envelopes.jsonl"
    path.write_bytes(as_lines(THREE))
    with pytest.raises(InputUnreadable, match="No such file"):
        events.append_files([path, tmp_path / "nothing"])
    assert events.count() == 0
    report = events.append_files([path, io.BytesIO(as_json(envelope(4)))])
    assert (report.read, report.appended) == (4, 4)
    with pytest.raises(TypeError, match=r"for one: append_file\(file\)"):
        events.append_files(str(path))


NO_FILES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "an envelope": (lambda _: as_json(envelope(1)), "found a bytes"),
    "an object": (lambda _: envelope(1), "found a dict"),
    "text mode": (lambda path: path.open(), "open it with 'rb'"),
    "text in memory": (lambda _: io.StringIO("{}"), "open it with 'rb'"),
    "nothing": (lambda _: None, "found a NoneType"),
}


@pytest.mark.parametrize(("made", "said"), NO_FILES.values(), ids=NO_FILES.keys())
def test_what_is_no_binary_file_is_a_type_error(
    memory_place: Place, tmp_path: Path, made: Callable[[Path], Any], said: str
) -> None:
    path = tmp_path / "envelopes.jsonl"
    path.write_bytes(as_lines(THREE))
    given = made(path)
    with pytest.raises(TypeError, match=f"binary mode.*{said}"):
        memory_place.events().append_file(given)
    if isinstance(given, io.TextIOBase):
        given.close()


def test_what_a_silent_pipe_has_sent_is_stored_while_more_is_awaited(place: Place) -> None:
    events, beside = place.events(), place.events()
    events.install()
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as file, os.fdopen(writing, "wb", buffering=0) as out:
        out.write(as_lines(THREE))
        reports: list[AppendReport] = []

        def go_on(report: AppendReport) -> None:
            reports.append(report)
            if len(reports) == 1:
                assert beside.count() == 3, "the pipe is open, and nothing more has come"
                out.write(as_json(envelope(4)))
                out.close()

        events.append_file(file, progress=go_on)
    assert reports[-1].appended == 4


def test_standard_input_is_read_too_also_as_gzip(sqlite_place: Place) -> None:
    script = """
import sys
from projections import Appointments
print(Appointments.open(sys.argv[1]).events.append_file("-").read)
"""
    for content in (as_lines(THREE), gzip.compress(as_lines(THREE))):
        done = subprocess.run(
            [sys.executable, "-c", script, sqlite_place.url], input=content, capture_output=True, check=False
        )
        assert (done.stdout, done.stderr) == (b"3\n", b"")


class Endless(io.RawIOBase):
    """Lines without end, as a network gives them: a few bytes at a time."""

    def __init__(self) -> None:
        self.given = 0

    def readable(self) -> bool:
        return True

    def read(self, _size: int = -1, /) -> bytes:
        self.given += 1
        return as_json({"eventName": "CoachHired"}) + b"\n"


def test_a_file_without_end_is_read_as_it_is_appended(memory_place: Place) -> None:
    file = Endless()

    def stop(report: AppendReport) -> None:
        assert file.given <= report.read + 2
        raise InterruptedError

    with pytest.raises(InterruptedError):
        memory_place.events().append_file(file, progress=stop)
