"""A service to ask: in a thread of the test's process for every backend, or as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO

import httpx

from projections.web.app import Service, create_app
from projections.web.server import Server, address_of, listen


@contextmanager
def served(service: Service) -> Iterator[httpx.Client]:
    """A client of a real server that runs in a thread until the end of the block."""
    ready = threading.Event()
    listening = listen("127.0.0.1", 0)
    server = Server(create_app(service), closing=service.closing, ready=ready.set)
    thread = threading.Thread(target=server.run_on, args=[listening])
    thread.start()
    try:
        assert ready.wait(30)
        with httpx.Client(base_url=address_of(listening), timeout=60) as client:
            yield client
    finally:
        server.stop()
        thread.join()


@dataclass
class ServerProcess:
    """`appointments serve` as a process; `said` is what it wrote to standard error so far."""

    process: subprocess.Popen[str]
    url: str
    said: list[str] = field(default_factory=list)

    def client(self, **options: object) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, **options)  # type: ignore[arg-type]


@contextmanager
def serve_process(*arguments: str, environment: dict[str, str] | None = None) -> Iterator[ServerProcess]:
    """Starts `appointments serve` on a free port; ends it at the end of the block."""
    with subprocess.Popen(
        [sys.executable, "-m", "projections", "serve", "--port", "0", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
    ) as process:
        try:
            assert process.stderr is not None
            said: list[str] = []
            url = _address(process.stderr, said)
            # Read on, so that the process never waits for its log to be read.
            reader = threading.Thread(target=said.extend, args=[process.stderr])
            reader.start()
            yield ServerProcess(process, url, said)
        finally:
            process.terminate()
            process.wait(30)
            reader.join()


def _address(stderr: IO[str], said: list[str]) -> str:
    for line in stderr:
        said.append(line)
        if "listening on " in line:
            return line.partition("listening on ")[2].strip()
    raise AssertionError("".join(said))
