"""The peak memory of whole commands, each a process of its own, on little and on much input."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

from projections.sample import sample_envelopes
from tests.benchmarks.figures import Benchmark, Figure

COMMANDS = (("ingest", "--no-project"), ("project",), ("rebuild",), ("verify",))


def memory(benchmark: Benchmark) -> Iterator[Figure]:
    """The peak resident memory of each command, by the number of envelopes; of several processes the largest."""
    for events in benchmark.sizes:
        url, schema = benchmark.place()
        path = benchmark.folder / "envelopes.jsonl"
        with path.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in sample_envelopes(events))
        for command in COMMANDS:
            files = [str(path)] if command[0] == "ingest" else []
            peak = _peak_megabytes([*command, *files, "--db", url, "--schema", schema])
            yield benchmark.figure(f"peak memory of {command[0]}, {events:,} envelopes", "MB", peak)
        path.unlink()


def _peak_megabytes(arguments: list[str]) -> float:
    process = subprocess.Popen([sys.executable, "-m", "projections", *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, arguments
    return usage.ru_maxrss / 1024
