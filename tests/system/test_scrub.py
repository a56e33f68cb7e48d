"""After a scrub nothing of a forgotten person is left in the files: SQLite's and its log, PostgreSQL's relations."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from domain.errors import NotAllowed, RebuildRunning
from domain.storage import open_database
from domain.storage.location import locate
from projections import Appointments
from projections.stores import generations_of
from tests.conftest import Ask, Place
from tests.support.builders import as_json, envelope

ANA = "talent-ana-4f3e"
RELATIONS = """
    SELECT pg_relation_filepath(class.oid)
    FROM pg_class AS class
    JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
    WHERE class.relkind IN ('r', 'i', 't')
    AND (namespace.nspname = %(schema)s OR class.relname = 'pg_statistic' OR class.oid IN (
        SELECT reltoastrelid FROM pg_class AS its JOIN pg_namespace AS one ON one.oid = its.relnamespace
        WHERE one.nspname = %(schema)s
    ))
"""


def copies(place: Place) -> int:
    """How often the id stands in the files."""
    if place.backend == "sqlite":
        path = Path(place.url.removeprefix("sqlite:///"))
        files = [one.read_bytes() for one in (path, path.with_name(f"{path.name}-wal")) if one.exists()]
        return sum(one.count(ANA.encode()) for one in files)
    with psycopg.connect(place.url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        paths = [path for (path,) in connection.execute(RELATIONS, {"schema": place.schema}).fetchall()]
        rows = [connection.execute("SELECT pg_read_binary_file(%s)", (path,)).fetchone() for path in paths]
        return sum(bytes(row[0]).count(ANA.encode()) for row in rows if row)


def filled(place: Place) -> Appointments:
    """An installation with a person in the events, the quarantine, two generations and the links."""
    appointments = place.appointments()
    own = [envelope(one, id=f"a-{one}", talentId=ANA, title=f"with {ANA}" * 20) for one in range(1, 41)]
    others = [envelope(one, id=f"b-{one}", description=f"not {ANA}") for one in range(41, 51)]
    appointments.events.append(map(as_json, own + others))
    appointments.events.append([as_json(envelope(60, talentId=ANA, startDate="soon"))])
    appointments.projector.catch_up()
    appointments.rebuild(processes=1)
    appointments.calendar_links.link(talent_id=ANA)
    return appointments


def test_a_scrub_leaves_no_copy_in_any_file(durable_place: Place) -> None:
    appointments = filled(durable_place)
    assert copies(durable_place) > 40
    assert appointments.forget(talent_id=ANA).verified
    assert appointments.forgetting.scrub() == []
    assert copies(durable_place) == 0
    [receipt] = appointments.forgetting.receipts()
    assert receipt.scrubbed_at is not None
    assert appointments.status().unscrubbed == 0
    assert appointments.verify().differences == []
    assert len(appointments.schedules.coach("coach-1")) == 50
    assert appointments.events.append([envelope(100, id="new")]).appended == 1


def test_an_online_scrub_says_what_it_leaves(durable_place: Place, ask: Ask) -> None:
    filled(durable_place).forget(talent_id=ANA)
    status, out, complaints = ask("scrub", "--online", "--json")
    assert status == 0
    assert json.loads(out)["unscrubbed"] == 1
    assert "not scrubbed: the free space" in complaints
    assert durable_place.appointments().forgetting.receipts()[0].scrubbed_at is None


def test_an_open_reader_of_the_file_is_reported(sqlite_place: Place) -> None:
    appointments = filled(sqlite_place)
    appointments.forget(talent_id=ANA)
    with closing(sqlite3.connect(sqlite_place.url.removeprefix("sqlite:///"))) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM stored_events").fetchone()
        [left] = appointments.forgetting.scrub()
    assert "somebody reads the file" in left
    assert appointments.status().unscrubbed == 1
    assert appointments.forgetting.scrub() == []
    assert copies(sqlite_place) == 0


def test_a_scrub_waits_for_no_rebuild(durable_place: Place) -> None:
    appointments = filled(durable_place)
    appointments.forget(talent_id=ANA)
    database = open_database(locate(durable_place.url, schema=durable_place.schema))
    durable_place.closing.callback(database.close)
    with generations_of(database).rebuilding(), pytest.raises(RebuildRunning):
        appointments.forgetting.scrub()
    assert appointments.status().unscrubbed == 1


def test_who_does_not_own_the_tables_is_told_so(postgres_place: Place) -> None:
    filled(postgres_place).forget(talent_id=ANA)
    role = f"{postgres_place.schema}_guest"
    with psycopg.connect(postgres_place.url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN")
        connection.execute(f"GRANT ALL ON SCHEMA {postgres_place.schema} TO {role}")
        connection.execute(
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {postgres_place.schema} TO {role}"
        )
    guest = Place("postgresql", postgres_place.url.replace("postgres@", f"{role}@"), postgres_place.schema)
    try:
        with guest.closing, pytest.raises(NotAllowed):
            guest.appointments().forgetting.scrub()
    finally:
        with psycopg.connect(postgres_place.url, autocommit=True) as connection:
            connection.execute(f"DROP OWNED BY {role}")
            connection.execute(f"DROP ROLE {role}")
    assert postgres_place.appointments().status().unscrubbed == 1
