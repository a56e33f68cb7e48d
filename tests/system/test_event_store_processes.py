"""Eight processes append overlapping parts of the same envelopes at once: each is stored once, and none is missed."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from domain import AppendReport, EventStore
from domain.identifiers import Position
from projections import Appointments
from projections.cli.sample import sample_envelopes
from tests.conftest import Place

WRITERS = 8

APPENDER = """
import dataclasses, json, sys
from projections import Appointments
url, schema, path = sys.argv[1:]
with Appointments.open(url, schema=schema or None) as appointments:
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(dataclasses.asdict(appointments.events.append_file(path))))
"""


@pytest.fixture(scope="module")
def sample() -> list[bytes]:
    return [text.encode() for text in sample_envelopes(15_000)]


def id_of(text: bytes) -> int:
    """The sample's texts begin with their id, so that no JSON has to be read."""
    return int(text[len(b'{"id":') : text.index(b",")])


def overlapping_parts(texts: Sequence[bytes], seed: int) -> list[list[bytes]]:
    """Each text is in one to three of the parts; each part is shuffled."""
    rng = Random(seed)
    parts: list[list[bytes]] = [[] for _ in range(WRITERS)]
    for text in texts:
        for part in rng.sample(parts, rng.randint(1, 3)):
            part.append(text)
    for part in parts:
        rng.shuffle(part)
    return parts


@contextmanager
def appenders(place: Place, parts: list[list[bytes]], folder: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that are about to append their parts."""
    processes: list[subprocess.Popen[str]] = []
    try:
        for number, part in enumerate(parts):
            path = folder / f"part-{number}.jsonl"
            path.write_bytes(b"\n".join(part))
            command = [sys.executable, "-W", "error", "-c", APPENDER, place.url, place.schema or "", str(path)]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            processes.append(process)
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def append_at_once(processes: list[subprocess.Popen[str]]) -> list[AppendReport]:
    """Lets all begin when the last one is ready, and gives their reports."""
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    reports = []
    for process in processes:
        assert process.stdout is not None
        reports.append(AppendReport(**json.loads(process.stdout.readline())))
        assert process.wait() == 0
    return reports


def tail(events: EventStore, over: threading.Event) -> list[tuple[int, int]]:
    """Reads after the last position again and again, until nothing comes any more after the end."""
    seen: list[tuple[int, int]] = []
    position = Position(0)
    with events.recorder.waiter() as wait:
        while True:
            is_over = over.is_set()
            batch = events.recorder.read(after=position, upto=events.head(), limit=500)
            seen += [(one.position, one.event_id) for one in batch]
            if batch:
                position = batch[-1].position
            elif is_over:
                return seen
            else:
                wait(over, 10.0)


def stored(events: EventStore) -> list[tuple[int, int, bytes]]:
    found = events.recorder.read(after=Position(0), upto=events.head(), limit=10**6)
    return [(one.position, one.event_id, one.text) for one in found]


def contradicted(text: bytes) -> bytes:
    envelope = json.loads(text)
    envelope["eventData"]["appointment"]["title"] = "something else"
    return json.dumps(envelope, ensure_ascii=False, separators=(",", ":")).encode()


def test_eight_processes_that_append_to_a_file_which_is_not_there_store_each_envelope_once(
    sqlite_place: Place, sample: list[bytes], tmp_path: Path
) -> None:
    texts = sample[:6_000]
    parts = overlapping_parts(texts, seed=1)
    with appenders(sqlite_place, parts, tmp_path) as processes:
        assert not (tmp_path / "appointments.db").exists()
        reports = append_at_once(processes)
    events = sqlite_place.events()
    assert sorted(text for _, _, text in stored(events)) == sorted(texts)
    assert [report.read for report in reports] == [len(part) for part in parts]
    total = sum(reports, AppendReport())
    assert total == AppendReport(
        read=sum(map(len, parts)),
        appended=len(texts),
        duplicates=sum(map(len, parts)) - len(texts),
        position=events.head(),
    )


def test_eight_processes_with_contradictions_store_each_envelope_once_and_a_tailing_reader_misses_none(
    postgres_place: Place, sample: list[bytes], tmp_path: Path
) -> None:
    parts = overlapping_parts(sample, seed=2)
    others = [contradicted(text) for text in Random(3).sample(sample, 500)]
    parts[-1] += others
    Random(4).shuffle(parts[-1])
    events = postgres_place.events()
    events.install()
    over = threading.Event()
    with appenders(postgres_place, parts, tmp_path) as processes, ThreadPoolExecutor(1) as thread:
        tailing = thread.submit(tail, events, over)
        try:
            reports = append_at_once(processes)
        finally:
            over.set()
        seen = tailing.result()
    rows = stored(events)
    assert seen == [(position, event_id) for position, event_id, _ in rows]
    assert sorted(event_id for _, event_id, _ in rows) == [id_of(text) for text in sample]
    deliveries = Counter(text for part in parts for text in part)
    winners = {text for _, _, text in rows}
    assert winners <= deliveries.keys()
    contradicted_ids = {id_of(text) for text in others}
    losers = {text: n for text, n in deliveries.items() if id_of(text) in contradicted_ids and text not in winners}
    assert {one.refused.content: one.count for one in events.quarantine.list()} == losers
    assert {one.refused.code for one in events.quarantine.list()} == {"conflict"}
    total = sum(reports, AppendReport())
    assert total == AppendReport(
        read=deliveries.total(),
        appended=len(sample),
        duplicates=deliveries.total() - len(sample) - sum(losers.values()),
        quarantined=sum(losers.values()),
        position=events.head(),
    )


def test_whoever_opens_the_same_new_file_at_once_finds_it_made(tmp_path: Path) -> None:
    for number in range(30):
        url = f"sqlite:///{tmp_path}/{number}.db"
        together = threading.Barrier(6)

        def install(url: str = url, together: threading.Barrier = together) -> int:
            with Appointments.open(url) as appointments:
                projector = appointments.projector
                together.wait(30)
                return projector.catch_up()

        with ThreadPoolExecutor(6) as threads:
            assert [one.result() for one in [threads.submit(install) for _ in range(6)]] == [0] * 6
