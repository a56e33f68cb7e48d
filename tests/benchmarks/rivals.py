"""What others reach with the same envelopes on the same machine, each in its strongest documented way."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from tests.benchmarks.figures import Benchmark, lines
from tests.benchmarks.library import run_projection, save_batches, save_each
from tests.benchmarks.script import run_script

RIVAL_EVENTS_MAX = 20_000
FEW_EVENTS_MAX = 2000
EVENTSOURCE_PY = "eventsource-py[postgresql]==0.15.1"

SAVE, SAVE_MANY, RUNNER = "library, save()", "library, save(*100)", "library, ProjectionRunner"
SCRIPT, OTHER = "script", "eventsource-py"


class Rivals:
    """Envelopes a second of each rival, measured when first asked for.

    Those that commit event by event or stream by stream get 2,000 envelopes, all others 20,000: more does not make
    them faster.
    """

    def __init__(self, benchmark: Benchmark) -> None:
        self._benchmark = benchmark
        self._lines = lines(min(benchmark.events, RIVAL_EVENTS_MAX))
        self._rates: dict[str, tuple[float | None, float | None]] = {}

    def append(self) -> dict[str, float]:
        """Of appending."""
        return self._side(0)

    def project(self) -> dict[str, float]:
        """Of making the schedules from what was appended, which is what they do in a catch-up and in a rebuild."""
        return self._side(1)

    def _side(self, index: int) -> dict[str, float]:
        if not self._rates:
            self._measure()
        found = {name: rates[index] for name, rates in self._rates.items()}
        return {name: rate for name, rate in found.items() if rate is not None}

    def _measure(self) -> None:
        backend, few = self._benchmark.backend, self._lines[:FEW_EVENTS_MAX]
        url, schema = self._benchmark.place()
        self._rates[SAVE] = save_each(backend, url, schema, few), None
        if backend == "postgresql":  # the library's runner cannot follow SQLite
            self._rates[RUNNER] = None, run_projection(url, schema, len(few))
        self._rates[SAVE_MANY] = save_batches(backend, *self._benchmark.place(), self._lines), None
        self._rates[SCRIPT] = run_script(backend, *self._benchmark.place(), self._lines)
        if backend == "postgresql" and self._benchmark.eventsource_py:
            python = _python_of_eventsource_py(self._benchmark.folder)
            if python is not None:
                self._rates[OTHER] = _run_eventsource_py(python, self._benchmark, few)


@cache
def rivals_of(benchmark: Benchmark) -> Rivals:
    """The same for every part of a run."""
    return Rivals(benchmark)


def _run_eventsource_py(python: Path, benchmark: Benchmark, envelopes: Sequence[bytes]) -> tuple[float, float]:
    """In a database of its own, since its tables are in no schema."""
    _, name = benchmark.place()
    with psycopg.connect(benchmark.server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    path = benchmark.folder / "rival.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in envelopes))
    dsn = urlunsplit(urlsplit(benchmark.server_url)._replace(scheme="postgresql+asyncpg", path=f"/{name}"))
    script = Path(__file__).with_name("eventsource_py.py")
    done = subprocess.run([python, script, dsn, path], stdout=subprocess.PIPE, text=True, check=True)
    rates = json.loads(done.stdout)
    return rates["append"], rates["catch-up"]


@cache
def _python_of_eventsource_py(folder: Path) -> Path | None:
    """An interpreter that has it, in a virtual environment made here; None, saying why, where none can be had."""
    known = [*(Path.home() / ".pyenv" / "versions").glob("3.13.*/bin/python3.13"), shutil.which("python3.13")]
    base = next((one for one in known if one is not None), None)  # on the path there may be only pyenv's stand-in
    if base is None:
        print("eventsource-py is left out: it needs Python 3.13, and there is no python3.13", file=sys.stderr)
        return None
    python = folder / "eventsource-py" / "bin" / "python"
    try:
        subprocess.run([base, "-m", "venv", folder / "eventsource-py"], check=True, capture_output=True)
        install: list[str | Path] = [python, "-m", "pip", "install", "--quiet", EVENTSOURCE_PY]
        subprocess.run(install, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        print(f"eventsource-py is left out: it could not be installed: {error.stderr}", file=sys.stderr)
        return None
    return python
