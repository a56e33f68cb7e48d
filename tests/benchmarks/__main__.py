"""Benchmarks, side by side in one run: this product, the floor of the same machine, others in their strongest ways.

    python -m tests.benchmarks                          all but the rebuild, 100,000 envelopes
    python -m tests.benchmarks feeding --events 100000
    python -m tests.benchmarks asking --sizes 10000,1000000
    python -m tests.benchmarks rebuilding --events 1000000
    python -m tests.benchmarks serving                  the HTTP service
    python -m tests.benchmarks growth --sizes 10000,100000,1000000,10000000
    python -m tests.benchmarks cpu --backends sqlite    what it costs a processor, beside json.loads
    python -m tests.benchmarks workers                  a rebuild on 1, 2 and 4 workers of a Dask cluster
    python -m tests.benchmarks rebuild-memory --sizes 1000000,5000000
    python -m tests.benchmarks feeding rebuilding growth --backends postgresql --sizes 10000,100000,1000000 \\
        --eventsource-py --plots tests/benchmarks/plots     the pictures of the README

SQLite, and a PostgreSQL of its own with fsync on. Read the ratios: figures of different runs do not compare. The
pictures need the extra `benchmarks`. eventsource-py needs a Python 3.13 and is installed from the package index.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks.asking import asking
from tests.benchmarks.cpu import cpu
from tests.benchmarks.feeding import feeding
from tests.benchmarks.figures import Benchmark, Figure
from tests.benchmarks.growth import growth
from tests.benchmarks.memory import memory, rebuild_memory
from tests.benchmarks.plots import draw
from tests.benchmarks.rebuilding import rebuilding
from tests.benchmarks.serving import serving
from tests.benchmarks.workers import workers
from tests.support.postgres_server import postgres_server

PARTS: dict[str, Callable[[Benchmark], Iterator[Figure]]] = {
    "feeding": feeding,
    "asking": asking,
    "rebuilding": rebuilding,
    "growth": growth,
    "cpu": cpu,
    "memory": memory,
    "rebuild-memory": rebuild_memory,
    "serving": serving,
    "workers": workers,
}
USUAL_PARTS = ("feeding", "asking", "memory")
# A busy server writes its log ahead in large files; the default of 1 GB makes it stop for checkpoints.
SETTINGS = {"max_wal_size": "8GB", "shared_buffers": "512MB"}


def main(arguments: list[str] | None = None) -> list[Figure]:
    """Runs the asked parts and prints a table as the figures come."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--sizes", type=lambda text: tuple(int(one) for one in text.split(",")))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--backends", type=lambda text: text.split(","), default=["postgresql", "sqlite"])
    parser.add_argument("--eventsource-py", action="store_true", help="measure eventsource-py as well")
    parser.add_argument("--json", action="store_true", help="one document on standard output, nothing else there")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="write pictures there")
    chosen = parser.parse_args(arguments)
    sizes = chosen.sizes or (chosen.events // 10, chosen.events)
    figures: list[Figure] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="appointments-benchmark-")))
        for backend in chosen.backends:
            url = f"sqlite:///{folder}/"
            if backend == "postgresql":
                url = stack.enter_context(postgres_server(fsync=True, settings=SETTINGS)).url
            benchmark = Benchmark(backend, url, folder, chosen.events, sizes, chosen.runs, chosen.eventsource_py)
            for part in chosen.parts or USUAL_PARTS:
                for figure in PARTS[part](benchmark):
                    print(figure, flush=True, file=sys.stderr if chosen.json else sys.stdout)
                    figures.append(figure)
    if chosen.json:
        print(json.dumps([asdict(figure) for figure in figures], ensure_ascii=False, indent=1))
    else:
        _print(figures)
    if chosen.plots:
        for path in draw(figures, chosen.plots):
            print(f"drew {path}", file=sys.stderr)
    return figures


def _print(figures: list[Figure]) -> None:
    table = Table("what", "backend", "unit", box=None, pad_edge=False)
    for heading in ("ours", "floor", "ours / floor"):
        table.add_column(heading, justify="right")
    table.add_column("beside others")
    for figure in figures:
        table.add_row(*figure.cells())
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
