"""Pulling from the outbox of another database: nothing is missed, stored twice, or written there."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import psycopg
import pytest

from domain.errors import StorageError, StorageUnavailable, UsageError
from domain.input.items import ITEM_BYTES_MAX
from projections import Appointments
from tests.conftest import Place
from tests.support.builders import envelope
from tests.support.generations import execute, wait_until
from tests.support.outboxes import PublisherOutbox, publisher_outbox, stored_ids
from tests.support.postgres_server import PostgresServer

ENVELOPES = [envelope(number, id=f"appointment-{number}") for number in range(1, 26)]


@pytest.fixture
def outbox(postgres: PostgresServer) -> Iterator[PublisherOutbox]:
    with publisher_outbox(postgres.url) as outbox:
        yield outbox


def test_what_an_outbox_holds_is_taken_once_and_the_next_pull_goes_on_where_this_one_ended(
    place: Place, outbox: PublisherOutbox
) -> None:
    appointments = place.appointments()
    outbox.add(ENVELOPES)
    pull = appointments.outbox(outbox.dsn, query=outbox.query, overlap=3, limit=10).pull
    report = pull()
    assert (report.read, report.appended, report.position) == (25, 25, 25)
    assert (pull().duplicates, pull().read) == (3, 3)
    outbox.add([envelope(30, id="appointment-30")])
    assert pull().appended == 1
    assert pull(restart=True).duplicates == 26
    assert stored_ids(appointments.events) == [*range(1, 26), 30]


def test_an_outbox_that_was_made_anew_is_read_from_its_first_row_on(place: Place, outbox: PublisherOutbox) -> None:
    pull = place.appointments().outbox(outbox.dsn, query=outbox.query, overlap=0).pull
    outbox.add(ENVELOPES)
    assert pull().appended == 25
    execute_on(outbox, f"TRUNCATE {outbox.table} RESTART IDENTITY")
    outbox.add([envelope(31, id="appointment-31")])
    assert pull().read == 0
    assert pull(restart=True).appended == 1
    outbox.add([envelope(32, id="appointment-32")])
    assert pull().appended == 1


def execute_on(outbox: PublisherOutbox, statement: str) -> None:
    with psycopg.connect(outbox.dsn, autocommit=True) as connection:
        connection.execute(statement.encode())


def test_a_row_that_is_committed_after_a_later_one_is_found_within_the_overlap(
    place: Place, outbox: PublisherOutbox
) -> None:
    appointments = place.appointments()
    pull = appointments.outbox(outbox.dsn, query=outbox.query, overlap=10).pull
    with psycopg.connect(outbox.dsn) as slow:
        outbox.insert(slow, ENVELOPES[0])
        outbox.add(ENVELOPES[1:4])
        assert pull().appended == 3
    assert pull().appended == 1
    assert stored_ids(appointments.events) == [1, 2, 3, 4]


def test_of_writers_that_commit_out_of_order_nothing_is_missed(place: Place, outbox: PublisherOutbox) -> None:
    appointments, stop = place.appointments(), threading.Event()
    source = appointments.outbox(outbox.dsn, query=outbox.query, overlap=200, limit=7)
    follower = threading.Thread(target=lambda: source.follow(stop, interval=0.001))
    follower.start()

    def write(seed: int) -> None:
        """Has five transactions under way at a time, and commits them in another order; some are rolled back."""
        chance = random.Random(seed)
        with ExitStack() as stack:
            connections = [stack.enter_context(psycopg.connect(outbox.dsn)) for _ in range(5)]
            for turn in range(6):
                for number, connection in enumerate(connections):
                    event_id = 1 + seed * 100 + turn * 5 + number
                    outbox.insert(connection, envelope(event_id, id=f"appointment-{event_id}"))
                for connection in chance.sample(connections, 5):
                    connection.rollback() if chance.random() < 0.1 else connection.commit()

    try:
        with ThreadPoolExecutor(4) as writers:
            list(writers.map(write, range(4)))
        with psycopg.connect(outbox.dsn) as connection:
            rows = connection.execute(f"SELECT (body->>'id')::int FROM {outbox.table}".encode()).fetchall()
        published = sorted(event_id for (event_id,) in rows)
        assert len(published) > 90
        wait_until(lambda: appointments.events.count() >= len(published))
    finally:
        stop.set()
        follower.join()
    assert stored_ids(appointments.events) == published


@pytest.mark.parametrize("column", ["body", "body::json", "body::text", "convert_to(body::text, 'UTF8')"])
def test_an_envelope_is_text_json_jsonb_or_bytea(memory_place: Place, outbox: PublisherOutbox, column: str) -> None:
    outbox.add(ENVELOPES)
    appointments = memory_place.appointments()
    assert appointments.outbox(outbox.dsn, query=outbox.reading(column)).pull().appended == 25
    assert appointments.events.history("appointment-1")[0].snapshot.title == "Séance Découverte"


def test_what_is_no_envelope_is_quarantined_and_reading_goes_on(memory_place: Place, outbox: PublisherOutbox) -> None:
    appointments = memory_place.appointments()
    columns = (
        f"CASE id WHEN 1 THEN NULL WHEN 2 THEN '' WHEN 3 THEN '[1, 2]' "
        f"WHEN 4 THEN repeat(' ', 9) || repeat('x', {ITEM_BYTES_MAX + 1}) ELSE body::text END"
    )
    outbox.add(ENVELOPES)
    report = appointments.outbox(outbox.dsn, query=outbox.reading(columns)).pull()
    assert (report.read, report.appended, report.quarantined) == (25, 21, 4)
    items = list(appointments.events.quarantine.list())
    assert [item.refused.code for item in items] == [
        "invalid_envelope", "malformed_json", "invalid_envelope", "too_large",
    ]  # fmt: skip
    assert items[3].refused.length == ITEM_BYTES_MAX + 1
    assert all(item.refused.source.startswith("postgresql://") for item in items)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT 1 WHERE %(after)s < %(limit)s", "expected two columns, an id and an envelope, found 1 columns"),
        ("SELECT 'a', 'b' WHERE %(after)s < %(limit)s", "expected an integer id in the first column, found str"),
        ("SELECT 1, 2 WHERE %(after)s < %(limit)s", "expected an envelope as text, json, jsonb or bytea"),
        ("SELECT -9, '' WHERE %(after)s < %(limit)s", "each above %(after)s, found -9 after -1"),
        ("SELECT n, '' FROM generate_series(9, 1, -1) n WHERE n > %(after)s LIMIT %(limit)s", "found 8 after 9"),
        ("SELECT 1, '' UNION ALL SELECT 1, '' WHERE %(after)s < %(limit)s", "found 1 after 1"),
        ("SELECT n, '' FROM generate_series(%(limit)s, %(limit)s + 5000) n WHERE n > %(after)s", "at most %(limit)s"),
        ("SELECT id, body FROM nowhere WHERE id > %(after)s LIMIT %(limit)s", 'relation "nowhere" does not exist'),
        ("SELECT id, body FROM {outbox} WHERE id > %(after)s LIMIT %(limit)s ORDER", "syntax error"),
        ("SELECT id LIKE '%', %(after)s, %(limit)s", "only '%s', '%b', '%t' are allowed as placeholders"),
        ("INSERT INTO {outbox} VALUES (%(after)s, NULL), (%(limit)s, NULL) RETURNING id, body", "read-only transact"),
        ("DELETE FROM {outbox} WHERE id > %(after)s AND id < %(limit)s RETURNING id, body", "read-only transaction"),
        ("SET TRANSACTION READ WRITE; DELETE FROM {outbox} WHERE id IN (%(after)s, %(limit)s)", "multiple commands"),
        ("COMMIT /* %(after)s %(limit)s */", "expected a query that returns rows, found COMMIT"),
        ("SELECT id, body FROM {outbox}", "expected %(after)s and %(limit)s in it"),
    ],
)  # fmt: skip
def test_a_query_that_cannot_be_used_is_said_so_and_writes_nothing(
    memory_place: Place, outbox: PublisherOutbox, query: str, expected: str
) -> None:
    outbox.add(ENVELOPES)
    appointments = memory_place.appointments()
    with pytest.raises(UsageError) as caught:
        appointments.outbox(outbox.dsn, query=query.replace("{outbox}", outbox.table)).pull()
    assert expected in str(caught.value)
    assert caught.value.argument == "query"
    assert appointments.outbox(outbox.dsn, query=outbox.query).pull().appended == 25


@pytest.mark.parametrize(("name", "value"), [("overlap", -1), ("limit", 0)])
def test_numbers_that_make_no_sense_are_named(memory_place: Place, name: str, value: int) -> None:
    with pytest.raises(UsageError, match=f"^{name}: expected a whole number from"):
        memory_place.appointments().outbox("postgresql://", query="%(after)s %(limit)s", **{name: value})


def test_the_envelopes_and_how_far_was_read_are_committed_together(
    durable_place: Place, outbox: PublisherOutbox
) -> None:
    appointments = durable_place.appointments()
    appointments.install()
    pull = appointments.outbox(outbox.dsn, query=outbox.query, overlap=0).pull
    outbox.add(ENVELOPES)
    execute(
        durable_place,
        "CREATE TRIGGER held BEFORE INSERT ON outbox BEGIN SELECT RAISE(ABORT, 'held'); END"
        if durable_place.backend == "sqlite"
        else "ALTER TABLE outbox ADD CONSTRAINT held CHECK (last_id < 0)",
    )
    with pytest.raises(StorageError):
        pull()
    assert appointments.events.count() == 0
    execute(
        durable_place,
        "DROP TRIGGER held" if durable_place.backend == "sqlite" else "ALTER TABLE outbox DROP CONSTRAINT held",
    )
    assert (pull().appended, pull().read) == (25, 0)


def test_no_message_holds_the_secret_of_the_dsn(memory_place: Place) -> None:
    appointments = memory_place.appointments()
    query = "SELECT %(after)s, %(limit)s"
    for dsn in (
        "postgresql://someone:se-cret@127.0.0.1:1/nowhere?connect_timeout=2",
        "postgresql://someone:se@-cret@127.0.0.1:1/nowhere",
        "host=127.0.0.1 port=1 password=se-cret",
        "host=127.0.0.1 port=1 password='se-cret",
    ):
        outbox = appointments.outbox(dsn, query=query)
        with pytest.raises(StorageError) as caught:
            outbox.pull()
        assert "cret" not in f"{caught.value} {caught.value.place} {outbox!r} {vars(outbox)}"


def test_a_follower_whose_outbox_stays_away_ends_when_its_patience_does(memory_place: Place) -> None:
    outbox = memory_place.appointments().outbox("postgresql://127.0.0.1:1/nowhere", query="%(after)s, %(limit)s")
    with pytest.raises(StorageUnavailable, match="cannot connect to the outbox"):
        outbox.follow(patience=0)


def test_closing_the_appointments_ends_a_follower(sqlite_place: Place, outbox: PublisherOutbox) -> None:
    outbox.add(ENVELOPES)
    with Appointments.open(sqlite_place.url) as appointments:
        source = appointments.outbox(outbox.dsn, query=outbox.query)
        follower = threading.Thread(target=lambda: source.follow(interval=60))
        follower.start()
        appointments.install()
        wait_until(lambda: appointments.events.count() == 25)
    follower.join(10)
    assert not follower.is_alive()
