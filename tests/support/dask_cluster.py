"""A real Dask scheduler with worker processes of its own, all on this machine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

QUIET = {"DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__GIL__ENABLED": "false"}


@dataclass(frozen=True)
class DaskCluster:
    address: str
    scheduler: subprocess.Popen[str]
    workers: list[subprocess.Popen[str]]


@contextmanager
def dask_cluster(folder: Path, workers: int, environment: Mapping[str, str] | None = None) -> Iterator[DaskCluster]:
    """A cluster whose every worker is ready; at the end of the block its processes are killed."""
    with ExitStack() as running:
        start = ["dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show"]
        scheduler = running.enter_context(_process(start, folder, {}))
        address = _until(scheduler.stderr, r"Scheduler at:\s+(tcp://\S+)")
        start = ["dask_worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1"]
        processes = [running.enter_context(_process(start, folder, environment or {})) for _ in range(workers)]
        for process in processes:
            _until(process.stderr, r"(Registered to)")
        yield DaskCluster(address, scheduler, processes)


@contextmanager
def _process(arguments: list[str], folder: Path, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    module, *options = arguments
    command = [sys.executable, "-W", "ignore", "-m", f"distributed.cli.{module}", *options]
    if module == "dask_worker":
        command += ["--local-directory", str(folder), "--death-timeout", "20"]  # ends after its scheduler
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, **QUIET, **environment}
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _until(lines: IO[str] | None, pattern: str) -> str:
    assert lines is not None
    said = []
    for line in lines:
        if found := re.search(pattern, line):
            return found[1]
        said.append(line)
    raise AssertionError("".join(said))
