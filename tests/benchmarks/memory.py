"""The peak memory of whole commands, each a process of its own, on little and on much input."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence

from projections.cli.sample import sample_envelopes
from tests.benchmarks.figures import Benchmark, Figure

# The peak that the system reports of a child includes what its parent was before it became another program.
MEASURED = r"""
import re, resource, sys
from pathlib import Path
from projections.cli.app import run
status = run(sys.argv[1:])
own = int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])
print(max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(status)
"""


def memory(benchmark: Benchmark) -> Iterator[Figure]:
    """The peak resident memory of each command, by the number of envelopes; of several processes the largest."""
    yield from _peaks(benchmark, (("ingest", "--no-project"), ("project",), ("rebuild",), ("verify",)))


def rebuild_memory(benchmark: Benchmark) -> Iterator[Figure]:
    """The same of a first rebuild alone, for histories that are long to project."""
    yield from _peaks(benchmark, (("ingest", "--no-project"), ("rebuild",)))


def _peaks(benchmark: Benchmark, commands: Sequence[tuple[str, ...]]) -> Iterator[Figure]:
    for events in benchmark.sizes:
        url, schema = benchmark.place()
        path = benchmark.folder / "envelopes.jsonl"
        with path.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in sample_envelopes(events))
        for command in commands:
            files = [str(path)] if command[0] == "ingest" else []
            peak = _peak_megabytes([*command, *files, "--db", url, "--schema", schema])
            yield benchmark.figure(f"peak memory of {command[0]}, {events:,} envelopes", "MB", peak)
        path.unlink()


def _peak_megabytes(arguments: list[str]) -> float:
    command = [sys.executable, "-c", MEASURED, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return int(done.stdout.splitlines()[-1]) / 1024
