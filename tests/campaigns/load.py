"""The load campaign: eight writers, two followers and twenty readers on one PostgreSQL server that keeps its word.

    python -m tests.campaigns.load --seconds 300

Prints throughput, lag, how long questions took, and the memory of followers and readers at the beginning and at the
end. Exit status 1 on any error or wrong answer, or when the lag does not go back to zero. Writers hold back to
`--rate` events a second together, so that five minutes need about two GB of disk, half a GB of log included.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from projections import Appointments, Schedules
from tests.campaigns.load_workers import READERS, TALENTS, WRITERS, seen
from tests.campaigns.processes import end_on_sigterm, start_module
from tests.support.postgres_server import postgres_server

SETTINGS = {"max_wal_size": "512MB", "min_wal_size": "80MB"}
WORKERS = [*(f"writer-{n}" for n in range(2)), *(f"reader-{n}" for n in range(2))]
FOLLOWERS = ["follower-0", "follower-1"]
THREADS = {"writer": WRITERS // 2, "reader": READERS // 2}
SAMPLE_SECONDS = 0.1
READY_SECONDS_MAX = 60.0
DRAIN_SECONDS_MAX = 60.0
MIB = 1024 * 1024


@dataclass
class Load:
    """The processes, and what was seen of them from outside."""

    folder: Path
    url: str
    schema: str
    rate: float
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    lags: list[int] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def start(self) -> None:
        place = ["--db", self.url, "--schema", self.schema]
        for name in FOLLOWERS:
            self.processes[name] = start_module(
                "projections", ["project", "--follow", "--log-level", "error", *place], self.log(name)
            )
        for name in WORKERS:
            kind, _, number = name.partition("-")
            options = {"number": number, "threads": THREADS[kind], "rate": self.rate / WRITERS, "folder": self.folder}
            arguments = [kind, *(f"--{option}={value}" for option, value in options.items()), *place]
            self.processes[name] = start_module("tests.campaigns.load_workers", arguments, self.log(name))
        deadline = time.monotonic() + READY_SECONDS_MAX
        while not all(map(self.is_ready, self.processes)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not every process worked within {READY_SECONDS_MAX} s")
            time.sleep(0.02)

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def is_ready(self, name: str) -> bool:
        if name in FOLLOWERS:
            return b"following" in self.log(name).read_bytes()
        return (self.folder / f"{name}.ready").exists()

    def watch(self, schedules: Schedules, seconds: float) -> None:
        """Looks at the lag for so long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.lags.append(schedules.stamp().lag)
            time.sleep(SAMPLE_SECONDS)

    def drain(self, schedules: Schedules) -> float:
        """How long it takes until nothing is left to project."""
        began = time.monotonic()
        while (lag := schedules.stamp().lag) and time.monotonic() - began < DRAIN_SECONDS_MAX:
            time.sleep(0.01)
        if lag:
            self.errors.append(f"the lag is still {lag} after {DRAIN_SECONDS_MAX} s")
        return time.monotonic() - began

    def memory(self) -> dict[str, float]:
        """The resident memory of followers and readers, in MiB."""
        sizes: dict[str, float] = {}
        for name, process in self.processes.items():
            if not name.startswith("writer"):
                status = Path(f"/proc/{process.pid}/status").read_text("ascii")
                sizes[name] = int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) / 1024
        return sizes

    def stop(self, kind: str) -> None:
        """Ends the processes of a kind in good order."""
        chosen = {name: process for name, process in self.processes.items() if name.startswith(kind)}
        for process in chosen.values():
            process.send_signal(signal.SIGTERM)
        for name, process in chosen.items():
            if status := process.wait(DRAIN_SECONDS_MAX):
                self.errors.append(f"{name} ended with {status}")
            said = self.log(name).read_text("utf-8").splitlines()
            self.errors += [f"{name}: {line}" for line in said if not line.startswith("appointments: following")]

    def end(self) -> None:
        for process in self.processes.values():
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()

    def results(self) -> tuple[dict[int, int], dict[str, list[float]]]:
        """Events by writer and seconds by kind of question; what was wrong becomes errors."""
        written: dict[int, int] = {}
        seconds: dict[str, list[float]] = {}
        for name in WORKERS:
            found = json.loads((self.folder / f"{name}.json").read_text("utf-8"))
            written |= {int(writer): count for writer, count in found["written"].items()}
            for kind, times in found["seconds"].items():
                seconds.setdefault(kind, []).extend(times)
            self.errors += [f"{name}: {error[:2000]}" for error in found["errors"]]
        return written, seconds


def head_of(schedules: Schedules) -> int:
    """How far the event store is."""
    stamp = schedules.stamp()
    return stamp.position + stamp.lag


def run_load(*, seconds: float, rate: float) -> tuple[list[str], dict[str, str]]:
    """Runs the whole campaign; returns what was wrong, in words, and the figures of the table."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="load-")))
        server = stack.enter_context(postgres_server(fsync=True, settings=SETTINGS))
        load = Load(folder, server.url, f"load_{os.getpid()}", rate)
        stack.callback(_drop, load)
        with Appointments.open(load.url, schema=load.schema) as appointments:
            projector = appointments.projector
            projector.install()
        schedules = stack.enter_context(Appointments.open(load.url, schema=load.schema)).schedules
        try:
            load.start()
            began, before = time.monotonic(), head_of(schedules)
            load.watch(schedules, min(5.0, seconds / 3))
            at_begin = load.memory()
            load.watch(schedules, began + seconds - time.monotonic())
            load.stop("writer")
            elapsed, written_meanwhile = time.monotonic() - began, head_of(schedules) - before
            drained = load.drain(schedules)
            at_end = load.memory()
            load.stop("reader")
            load.stop("follower")
        finally:
            load.end()
        written, times = load.results()
        _judge(load, schedules, written)
        figures = {
            "seconds of load": f"{elapsed:.1f}",
            "events appended": f"{sum(written.values()):,}",
            "events a second": f"{written_meanwhile / elapsed:,.0f}",
            "lag at most, events": f"{max(load.lags):,}",
            "lag in the middle, events": f"{statistics.median(load.lags):,.0f}",
            "lag at the end, events": f"{schedules.stamp().lag:,}",
            "seconds until the lag was 0": f"{drained:.2f}",
            **_percentiles(times, elapsed),
            **{f"memory of {name}, MiB": f"{at_begin[name]:.0f} -> {at_end[name]:.0f}" for name in at_end},
            "database, MiB": _disk(server.url),
            "errors": f"{len(load.errors):,}",
        }
        return load.errors, figures


def _judge(load: Load, schedules: Schedules, written: dict[int, int]) -> None:
    """Compares everything at rest with what was written."""
    with Appointments.open(load.url, schema=load.schema) as appointments:
        events = appointments.events
        if (stored := events.count()) != sum(written.values()):
            load.errors.append(f"{stored} events are stored of {sum(written.values())} that were acknowledged")
        if kept := len(events.quarantine):
            load.errors.append(f"{kept} items are quarantined")
    for writer, count in written.items():
        for talent, events_count in Counter(number % TALENTS for number in range(count)).items():
            if talent % 10 == writer and seen(schedules.talent(f"talent-{writer}-{talent}")) != events_count:
                load.errors.append(
                    f"the schedule of talent-{writer}-{talent} does not show its {events_count} events"
                )
    with Appointments.open(load.url, schema=load.schema) as appointments:
        load.errors += [f"verify: {difference}" for difference in appointments.verify().differences]


def _percentiles(times: dict[str, list[float]], elapsed: float) -> dict[str, str]:
    figures = {"questions a second": f"{sum(map(len, times.values())) / elapsed:,.0f}"}
    for kind, seconds in sorted(times.items()):
        cuts = statistics.quantiles([*seconds, *seconds[:1]], n=1000, method="inclusive")
        milliseconds = (1000 * one for one in (cuts[499], cuts[949], cuts[989], max(seconds)))
        figures[f"{kind}, ms: p50 p95 p99 max"] = " ".join(f"{one:.1f}" for one in milliseconds)
    return figures


def _disk(url: str) -> str:
    with psycopg.connect(url) as connection:
        [[size]] = connection.execute("SELECT pg_database_size(current_database())").fetchall()
    return f"{size / MIB:,.0f}"


def _drop(load: Load) -> None:
    with psycopg.connect(load.url, autocommit=True) as connection:
        connection.execute("SET client_min_messages = warning")
        connection.execute(f"DROP SCHEMA IF EXISTS {load.schema} CASCADE")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--rate", type=float, default=2000, help="events a second at most, of all writers together")
    options = parser.parse_args(arguments)
    end_on_sigterm()
    errors, figures = run_load(seconds=options.seconds, rate=options.rate)
    for name, value in figures.items():
        print(f"{name:36} {value:>30}")
    for error in errors[:50]:
        print("ERROR", error)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
