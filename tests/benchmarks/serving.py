"""The HTTP service in a process of its own: a page of a week, and intake."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from projections import Appointments
from tests.benchmarks.figures import Benchmark, Figure, lines, percentile_99, planted, rate, seconds_of, timed
from tests.support.serving import ServerProcess, serve_process

TIMES = 300
SENDERS = 4
ENVELOPES_A_REQUEST = 100
TALENT = "talent-with-50"
PAGE = f"/talents/{TALENT}?week=2023-07-10&tz=Europe/Paris"
START, END = datetime(2023, 7, 9, 22, tzinfo=UTC), datetime(2023, 7, 16, 22, tzinfo=UTC)
TOKEN = "token-of-the-benchmark"


def serving(benchmark: Benchmark) -> Iterator[Figure]:
    """What a browser and a publisher meet, beside the same asked and appended in Python."""
    yield from _page(benchmark)
    yield _intake(benchmark)


def _page(benchmark: Benchmark) -> Iterator[Figure]:
    """A page of a week with 12 or 13 appointments, read by one browser, beside the window asked in Python."""
    url, schema = benchmark.place()
    with ExitStack() as stack:
        appointments = stack.enter_context(Appointments.open(url, schema=schema))
        appointments.projector.install()
        appointments.events.append(planted(TALENT, 50, 1, first_event_id=1))
        appointments.events.append(lines(benchmark.events))
        appointments.projector.catch_up()
        server = stack.enter_context(serve_process("--db", url, "--schema", schema))
        connection = stack.enter_context(closing(_connected(server)))
        pages: list[float] = []
        answers: list[float] = []
        for _ in range(TIMES):
            with timed(pages):
                _answered(connection, "GET", PAGE)
            with timed(answers):
                appointments.schedules.talent(TALENT, start=START, end=END)
    for kind, of in (("median", median), ("99th percentile", percentile_99)):
        name = f"page of a week, {benchmark.events:,} envelopes, {kind}"
        yield benchmark.figure(name, "ms", 1000 * of(pages[10:]), 1000 * of(answers[10:]))


def _intake(benchmark: Benchmark) -> Figure:
    """Four senders with requests of 100 envelopes each, beside `append` of the same in one process."""
    content = lines(benchmark.events)
    requests = [
        b"\n".join(content[first : first + ENVELOPES_A_REQUEST])
        for first in range(0, len(content), ENVELOPES_A_REQUEST)
    ]
    ours: list[float] = []
    appended: list[float] = []
    for _ in range(benchmark.runs):
        url, schema = benchmark.place()
        with Appointments.open(url, schema=schema) as appointments:
            appointments.events.install()
            appended.append(seconds_of(lambda: appointments.events.append(content)))
        ours.append(_delivered(benchmark, requests))
    return benchmark.figure(
        "intake in requests of 100", "envelopes/s", rate(len(content), ours), rate(len(content), appended)
    )


def _delivered(benchmark: Benchmark, requests: Sequence[bytes]) -> float:
    """The seconds that it takes to deliver all requests."""
    url, schema = benchmark.place()
    token_file = Path(benchmark.folder) / "token"
    token_file.write_text(TOKEN)
    with Appointments.open(url, schema=schema) as appointments:
        appointments.install()
    options = ["--intake", "--token-file", str(token_file), "--db", url, "--schema", schema]
    with serve_process(*options) as server, ThreadPoolExecutor(SENDERS) as senders:

        def send(sender: int) -> None:
            with closing(_connected(server)) as connection:
                for request in requests[sender::SENDERS]:
                    _answered(connection, "POST", "/envelopes", request)

        began = time.perf_counter()
        list(senders.map(send, range(SENDERS)))
        return time.perf_counter() - began


def _connected(server: ServerProcess) -> HTTPConnection:
    place = urlsplit(server.url)
    return HTTPConnection(place.hostname or "", place.port, timeout=60)


def _answered(connection: HTTPConnection, method: str, path: str, body: bytes | None = None) -> bytes:
    connection.request(method, path, body, {"Authorization": f"Bearer {TOKEN}"})
    answer = connection.getresponse()
    content = answer.read()
    assert answer.status == 200, content[:200]
    return content
