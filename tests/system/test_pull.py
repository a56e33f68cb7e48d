"""`appointments pull`: as a command that ends, as one that follows, and as one that is killed or loses a database."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from typing import Any

import psycopg
import pytest

from tests.conftest import Ask, Place
from tests.support.builders import envelope
from tests.support.generations import wait_until
from tests.support.outboxes import PublisherOutbox, publisher_outbox, stored_ids
from tests.support.postgres_server import PostgresServer, postgres_server

Start = Callable[..., "subprocess.Popen[str]"]

ENVELOPES = [envelope(number, id=f"appointment-{number}") for number in range(1, 6)]


@pytest.fixture
def outbox(postgres: PostgresServer) -> Iterator[PublisherOutbox]:
    with publisher_outbox(postgres.url) as outbox:
        yield outbox


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts `appointments pull --follow`; it is killed at the end of the test."""
    with ExitStack() as stack:

        def start(place: Place, outbox: PublisherOutbox, *options: str) -> subprocess.Popen[str]:
            process = stack.enter_context(
                subprocess.Popen(
                    [
                        sys.executable, "-m", "projections", "pull", outbox.dsn, "--query", outbox.query, "--follow",
                        "--interval", "0.01", "--log-format", "json", *options, *place.arguments,
                    ],
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                )
            )  # fmt: skip
            stack.callback(process.kill)
            return process

        yield start


def test_a_pull_appends_projects_and_reports_as_an_ingestion_does(
    durable_place: Place, outbox: PublisherOutbox, ask: Ask
) -> None:
    outbox.add(ENVELOPES)
    command = ["pull", outbox.dsn, "--query", outbox.query, "--overlap", "2"]
    status, out, complaints = ask(*command, "--json")
    assert (status, complaints) == (0, "")
    assert json.loads(out) == {
        "read": 5, "appended": 5, "duplicates": 0, "ignored": 0, "quarantined": 0, "position": 5,
    }  # fmt: skip
    assert durable_place.schedules().talent("talent-1").lag == 0
    outbox.add([{"no": "envelope"}])
    status, out, complaints = ask(*command, "--no-project", "--strict")
    assert (status, out) == (1, "read 3: 0 appended, 2 duplicates, 0 ignored, 1 quarantined; position 5\n")
    assert complaints == "appointments: 1 item was quarantined; see: appointments quarantine list\n"


@pytest.mark.parametrize(
    ("arguments", "status", "expected"),
    [
        (
            ["postgresql://me:se-cret@127.0.0.1:1/x", "--query", "%(after)s %(limit)s"],
            75,
            "cannot connect to the outb",
        ),
        (["postgresql://x", "--query", "SELECT 1"], 2, "query: expected %(after)s and %(limit)s in it"),
        (["postgresql://x", "--query", "%(after)s %(limit)s", "--patience", "1"], 2, "no meaning without --follow"),
        (["postgresql://x", "--query", "%(after)s %(limit)s", "--strict", "--follow"], 2, "no meaning with --follow"),
        (["postgresql://x"], 2, "Missing option '--query'"),
    ],
)
def test_a_pull_that_cannot_begin_says_why_in_one_line(
    ask: Ask, arguments: list[str], status: int, expected: str
) -> None:
    found, out, complaint = ask("pull", *arguments)
    assert (found, out, complaint.count("\n")) == (status, "", 1)
    assert expected in complaint
    assert "se-cret" not in complaint


def test_a_follower_takes_and_projects_what_is_added_and_ends_in_good_order(
    durable_place: Place, outbox: PublisherOutbox, start: Start
) -> None:
    durable_place.projector()  # what is pulled may be told before the follower has made the read models
    outbox.add([envelope(1, title="Secret", talentId="talent-9")])
    process = start(durable_place, outbox)
    assert process.stderr
    lines: list[dict[str, Any]] = []
    while not lines or lines[-1]["event"] != "pulled":
        lines.append(json.loads(process.stderr.readline()))
    durable_place.schedules().talent("talent-9", at_least=1)
    outbox.add(ENVELOPES[1:])
    assert len(durable_place.schedules().talent("talent-1", at_least=5)) == 4
    process.send_signal(signal.SIGTERM)
    _, rest = process.communicate(timeout=30)
    assert process.returncode == 0
    lines += map(json.loads, rest.splitlines())
    events = [line for line in lines if "outbox_id" in line]
    assert [line["event"] for line in events] == ["pulled", "pulled", "stopped"]
    assert (events[1]["read"], events[1]["appended"], events[1]["outbox_id"]) == (4, 4, 5)
    assert not [line for line in lines if "Secret" in str(line) or "talent-9" in str(line)]


def test_a_follower_that_is_killed_again_and_again_loses_nothing_and_stores_nothing_twice(
    durable_place: Place, outbox: PublisherOutbox, start: Start
) -> None:
    events, event_ids = durable_place.events(), count(1)
    events.install()
    for _ in range(2):
        process = start(durable_place, outbox, "--no-project", "--limit", "5", "--overlap", "3")
        before = events.count()
        while events.count() < before + 10:  # it is killed in the middle of its work
            outbox.add([envelope(next(event_ids), id="appointment-1") for _ in range(20)])
        process.kill()
        process.wait()
    published = list(range(1, next(event_ids)))
    durable_place.appointments().outbox(outbox.dsn, query=outbox.query, overlap=3).pull()
    assert stored_ids(events) == published


def test_a_follower_waits_for_a_database_that_is_away_and_goes_on(
    sqlite_place: Place, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEST_DATABASE_URL", raising=False)
    with postgres_server() as server, publisher_outbox(server.url) as outbox:
        ours = Place("postgresql", server.url, "ours")
        followers = [start(sqlite_place, outbox, "--no-project"), start(ours, outbox, "--no-project")]
        with sqlite_place.closing, ours.closing:
            stores = [place.events() for place in (sqlite_place, ours)]
            for store in stores:
                store.install()
            outbox.add(ENVELOPES[:2])
            wait_until(lambda: [store.count() for store in stores] == [2, 2])
            server.kill()
            for follower in followers:
                assert follower.stderr
                while json.loads(follower.stderr.readline())["event"] != "lost":
                    pass
            server.start()
            outbox.add(ENVELOPES[2:])
            wait_until(lambda: [store.count() for store in stores] == [5, 5])
        for follower in followers:
            follower.terminate()
            _, rest = follower.communicate(timeout=30)
            assert follower.returncode == 0
            assert "reconnected" in [json.loads(line)["event"] for line in rest.splitlines()]


def test_a_connection_that_the_outboxs_server_ends_is_made_again(
    sqlite_place: Place, outbox: PublisherOutbox, start: Start
) -> None:
    outbox.add(ENVELOPES[:1])
    outbox.dsn = f"{outbox.dsn}&application_name={outbox.table}"
    events = sqlite_place.events()
    events.install()
    process = start(sqlite_place, outbox, "--no-project")
    wait_until(lambda: events.count() == 1)
    with psycopg.connect(outbox.dsn, autocommit=True) as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = %s AND pid <> pg_backend_pid()",
            [outbox.table],
        ).fetchall()
    assert ended == [(True,)]
    outbox.add(ENVELOPES[1:])
    wait_until(lambda: events.count() == 5)
    process.terminate()
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert [json.loads(line)["event"] for line in errors.splitlines()] == [
        "connected", "pulled", "lost", "reconnected", "pulled", "stopped",
    ]  # fmt: skip
