"""Where the event store keeps envelopes: tables that the library and SQL can read, and files of their owner."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from eventsourcing.persistence import EventStore as LibraryEventStore
from eventsourcing.persistence import InfrastructureFactory, JSONTranscoder
from eventsourcing.utils import Environment
from psycopg.conninfo import conninfo_to_dict

from domain import Envelope, read_envelope
from domain.errors import StorageError
from domain.topics import TOPIC
from projections import Appointments
from tests.conftest import Place
from tests.support.builders import envelope
from tests.support.event_stores import ids, stored


def library_environment(place: Place) -> dict[str, str]:
    common = {"CREATE_TABLE": "no", "ORIGINATOR_ID_TYPE": "text"}
    if place.backend == "sqlite":
        path = place.url.removeprefix("sqlite:///")
        return common | {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": path}
    parameters = conninfo_to_dict(place.url)
    names = ("dbname", "host", "port", "user", "password")
    connection = {f"POSTGRES_{name.upper()}": str(parameters.get(name) or "") for name in names}
    return (
        common | connection | {"PERSISTENCE_MODULE": "eventsourcing.postgres", "POSTGRES_SCHEMA": place.schema or ""}
    )


def test_the_library_alone_reads_what_is_stored(durable_place: Place) -> None:
    events = durable_place.events()
    events.append([envelope(2, status="DONE"), envelope(9, id="other"), envelope(1)])
    with InfrastructureFactory[Any].construct(Environment("", library_environment(durable_place))) as factory:
        recorder = factory.application_recorder()
        library = LibraryEventStore[Any](factory.mapper(JSONTranscoder()), recorder)
        first, second = library.get("appointment-1")
        notifications = recorder.select_notifications(start=None, limit=10)
        assert recorder.max_notification_id() == events.head()
    assert (first.originator_version, second.originator_version) == (1, 2)
    assert vars(second)["eventData"]["appointment"]["status"] == "DONE"
    assert [(one.id, one.originator_version, one.originator_id, one.topic, one.state) for one in notifications] == [
        tuple(one[:5]) for one in stored(events)
    ]


def test_an_envelope_id_is_unique_also_for_who_does_not_look_before_writing(durable_place: Place) -> None:
    events = durable_place.events()
    events.append([envelope(1)])
    for second in (read_envelope(envelope(1)), read_envelope(envelope(1, id="other"))):
        assert isinstance(second, Envelope)
        with pytest.raises(StorageError, match=r"(?i)unique"), events.recorder.appending() as append:
            append.insert([second], TOPIC)
    assert ids(stored(events)) == [1]


def test_nobody_else_may_read_a_database_file(sqlite_place: Place, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        sqlite_place.events().append([envelope(1)])
    finally:
        os.umask(before)
    files = sorted(tmp_path.iterdir())
    assert [file.name.removeprefix("appointments.db") for file in files] == ["", "-shm", "-wal"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_positions_survive_a_vacuum_of_the_file(sqlite_place: Place, tmp_path: Path) -> None:
    events = sqlite_place.events()
    events.append(envelope(event_id) for event_id in (7, 3, 5))
    before = stored(events)
    with closing(sqlite3.connect(tmp_path / "appointments.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchall() == [("wal",)]
        columns = connection.execute("SELECT name, type, pk FROM pragma_table_info('stored_events')").fetchall()
        assert ("rowid", "INTEGER", 1) in columns
        connection.execute("VACUUM")
    assert stored(events) == before
    assert events.append([envelope(4)]).position > before[-1].position
    assert ids(stored(events, after=before[1].position)) == [5, 4]


@pytest.mark.parametrize("switched_on", ["y", "yes", "true", "on", "1"])
def test_the_setting_that_loses_events_for_readers_is_refused(
    postgres_place: Place, monkeypatch: pytest.MonkeyPatch, switched_on: str
) -> None:
    monkeypatch.setenv("POSTGRES_ENABLE_DB_FUNCTIONS", switched_on)
    with pytest.raises(StorageError, match=r"POSTGRES_ENABLE_DB_FUNCTIONS is on.*unset it"):
        Appointments.open(postgres_place.url, schema=postgres_place.schema)
    monkeypatch.setenv("POSTGRES_ENABLE_DB_FUNCTIONS", "no")
    postgres_place.events()


def test_psql_can_read_history(postgres_place: Place) -> None:
    postgres_place.events().append([envelope(1, title="Séance 🙏")])
    question = f"SELECT convert_from(state, 'UTF8')::jsonb FROM {postgres_place.schema}.stored_events"
    with psycopg.connect(postgres_place.url) as connection:
        assert connection.execute(question).fetchall() == [(envelope(1, title="Séance 🙏"),)]
