"""Tables of another version: `init` brings older ones up, everything else says what to run, and touches nothing."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from domain.errors import VersionMismatch
from domain.storage.base import Outcomes
from projections import Schedules
from projections.queries.changes import Change
from projections.queries.history import History, RevisionChange
from tests import DATA
from tests.conftest import Ask, Place
from tests.support.builders import as_json, envelope
from tests.support.generations import catalogue, execute
from tests.support.outboxes import publisher_outbox
from tests.support.postgres_server import PostgresServer
from tests.support.readmodels import check_read_models

AS_OF = datetime(2023, 7, 10, 12, tzinfo=UTC)
COMMANDS = (
    ["talent", "t"], ["coach", "c"], ["talents"], ["coaches"], ["appointment", "a"], ["history", "a"],
    ["changes", "--talent", "t"], ["conflicts", "--talent", "t"], ["figures", "--coach", "c"],
    ["talent", "t", "--as-of", "2023-07-10"], ["talents", "--at-least", "1"], ["status"], ["verify"], ["rebuild"],
    ["rollback"], ["project"], ["quarantine", "list"], ["quarantine", "show", "1"], ["quarantine", "retry"],
    ["quarantine", "discard", "1", "--yes"],
)  # fmt: skip


@pytest.fixture
def old_place(durable_place: Place) -> Place:
    """Seven envelopes and a quarantined item, as the last code with tables of version 1 left them."""
    script = (DATA / f"tables_1_{durable_place.backend}.sql").read_text()
    if durable_place.backend == "sqlite":
        with closing(sqlite3.connect(durable_place.url.removeprefix("sqlite:///"))) as connection:
            connection.executescript(script)
    else:
        with psycopg.connect(durable_place.url, autocommit=True) as connection:
            connection.execute(script.replace("version_one", durable_place.schema or "").encode())
    return durable_place


def arrived(place: Place) -> list[dict[str, Any]]:
    order = "rowid" if place.backend == "sqlite" else "notification_id"
    return [
        json.loads(bytes(text)) for (text,) in execute(place, f"SELECT state FROM stored_events ORDER BY {order}")
    ]


def contents(place: Place, *, partitions: str = "piece") -> list[object]:
    tables = (
        "stored_events",
        "quarantine",
        "generation",
        "serving",
        partitions,
        "appointment_1",
        "talent_schedule_2",
    )
    return [execute(place, f"SELECT * FROM {table}") for table in tables]


def has_epoch(place: Place) -> bool:
    catalogue, name = ("sqlite_schema", "name") if place.backend == "sqlite" else ("pg_tables", "tablename")
    schema = "" if place.backend == "sqlite" else " AND schemaname = current_schema()"
    return bool(execute(place, f"SELECT 1 FROM {catalogue} WHERE {name} = 'event_store'{schema}"))


def feed_of(schedules: Schedules, talent_id: str) -> tuple[Change, ...]:
    return schedules.changes(talent_id=talent_id).changes


def without_arrivals(history: History) -> list[RevisionChange]:
    return [replace(one, arrived_at=None) for one in history.revisions]


def check_equal_answers(place: Place, expected: Schedules) -> None:
    schedules = place.schedules()
    assert schedules.talents().owners == expected.talents().owners
    assert schedules.coaches().owners == expected.coaches().owners
    for talent in expected.talents():
        one = talent.owner_id
        assert list(schedules.talent(one)) == list(expected.talent(one))
        assert list(schedules.talent(one, as_of=AS_OF)) == list(expected.talent(one, as_of=AS_OF))
        assert feed_of(schedules, one) == feed_of(expected, one)
        for appointment in expected.talent(one):
            assert without_arrivals(schedules.history(appointment.id)) == without_arrivals(
                expected.history(appointment.id)
            )


def test_installing_from_python_upgrades_older_tables_too(old_place: Place) -> None:
    appointments = old_place.appointments()
    with pytest.raises(VersionMismatch, match="appointments init"):
        appointments.projector.catch_up()
    appointments.install()
    appointments.install()
    with pytest.raises(VersionMismatch, match="appointments rebuild"):
        appointments.projector.catch_up()
    appointments.rebuild(processes=1)
    appointments.projector.catch_up()
    assert appointments.status().lag == 0


def test_init_and_a_rebuild_bring_version_1_up_and_every_answer_is_as_if_it_were_new(
    old_place: Place, memory_place: Place, ask: Ask
) -> None:
    envelopes = arrived(old_place)
    memory_place.events().append(as_json(one) for one in envelopes)
    memory_place.projector().catch_up()
    assert ask("init")[0] == 0
    assert ask("talent", "talent-1")[2].endswith("; run: appointments rebuild\n")
    assert old_place.appointments().rebuild(processes=1).generation == 3
    check_equal_answers(old_place, memory_place.schedules())
    check_read_models(old_place.url, old_place.schema, envelopes)
    assert old_place.appointments().verify().differences == []
    assert len(old_place.events().quarantine) == 1
    old_place.events().append([as_json(envelope(9_000_000))])
    assert old_place.projector().catch_up() == 8
    assert len(old_place.schedules().talent("talent-1")) == 1


def test_what_version_1_stored_has_no_time_of_arrival_and_what_comes_after_has_one(
    old_place: Place, ask: Ask
) -> None:
    before = execute(old_place, "SELECT originator_version, originator_id, topic, state FROM stored_events")
    assert ask("init")[0] == 0
    assert execute(old_place, "SELECT originator_version, originator_id, topic, state FROM stored_events") == before
    assert execute(old_place, "SELECT DISTINCT arrived_at FROM stored_events") == [(None,)]
    old_place.events().append([as_json(envelope(9_000_000))])
    columns = "originator_id, originator_version, topic, state"
    execute(old_place, f"INSERT INTO stored_events ({columns}) VALUES ('a', 9000001, 'topic', ?)", b"{}")
    for event_id in (9_000_000, 9_000_001):
        [stored] = old_place.events().stream("appointment-1" if event_id == 9_000_000 else "a")
        assert stored.arrived_at is not None
        assert abs((datetime.now(UTC) - stored.arrived_at).total_seconds()) < 60


def test_what_version_1_stored_counts_as_appended(old_place: Place, ask: Ask) -> None:
    assert ask("init")[0] == 0
    assert old_place.events().outcomes() == Outcomes(appended=7)
    old_place.events().append([as_json(envelope(9_000_000)), b"5"])
    assert ask("init")[0] == 0
    assert old_place.events().outcomes() == Outcomes(appended=8, quarantined=1)


@pytest.mark.parametrize(("made_by", "previous"), [(1, 1), (0, None)])
def test_the_pointer_of_version_1_becomes_that_of_the_fold_that_made_its_generation(
    old_place: Place, made_by: int, previous: int | None, ask: Ask
) -> None:
    execute(old_place, "UPDATE generation SET fold_version = ? WHERE number = 1", made_by)
    assert ask("init")[0] == 0
    old_place.store().migrate()  # as a second `init` does that waited for the first
    assert catalogue(old_place).pointers == {1: (2, previous)}


def test_tables_that_were_brought_up_keep_calendar_links(old_place: Place, ask: Ask) -> None:
    assert ask("init")[0] == 0
    links = old_place.appointments().calendar_links
    link = links.link(talent_id="t")
    assert links.find(link.token) == link


def test_tables_that_were_brought_up_keep_how_far_an_outbox_was_read(
    old_place: Place, ask: Ask, postgres: PostgresServer
) -> None:
    assert ask("init")[0] == 0
    with publisher_outbox(postgres.url) as outbox:
        outbox.add([envelope(9_000_000)])
        source = old_place.appointments().outbox(outbox.dsn, query=outbox.query, overlap=0)
        assert (source.pull().appended, source.pull().read) == (1, 0)


def test_tables_that_were_brought_up_have_the_views_for_sql(old_place: Place, ask: Ask) -> None:
    assert ask("init")[0] == 0
    views = ("current_appointment", "current_talent_schedule", "current_coach_schedule")
    before = [execute(old_place, f"SELECT * FROM {view} ORDER BY id") for view in views]
    old_place.appointments().rebuild(processes=1)
    assert [execute(old_place, f"SELECT * FROM {view} ORDER BY id") for view in views] == before
    schedules = old_place.schedules()
    expected = sorted(one.id for owner in schedules.talents() for one in schedules.talent(owner.owner_id))
    for view in views:
        assert [one for (one,) in execute(old_place, f"SELECT id FROM {view} ORDER BY id")] == expected != []


def test_init_again_changes_nothing(old_place: Place, ask: Ask) -> None:
    assert ask("init")[0] == 0
    before = contents(old_place, partitions="rebuild_partition")
    assert ask("init")[0] == 0
    assert contents(old_place, partitions="rebuild_partition") == before
    old_place.appointments().rebuild(processes=1)
    token = old_place.schedules().changes(talent_id="t").token
    assert ask("init")[0] == 0
    assert old_place.schedules().changes(talent_id="t", since=token).changes == ()


def test_every_other_command_on_tables_of_version_1_names_init_and_changes_nothing(
    old_place: Place, ask: Ask, tmp_path: Path
) -> None:
    (tmp_path / "new.json").write_bytes(as_json(envelope(9_000_000)))
    before = contents(old_place)
    for arguments in (
        *COMMANDS,
        ["ingest", f"{tmp_path}/new.json"],
        ["ingest", f"{tmp_path}/new.json", "--no-project"],
    ):
        status, out, complaint = ask(*arguments)
        assert (status, out) == (2, ""), arguments
        assert complaint == (
            "appointments: the tables are of version 1 and this code knows version 2; run: appointments init\n"
        )
    assert contents(old_place) == before
    assert not has_epoch(old_place)


def test_an_event_store_of_version_1_without_read_models_is_brought_up_too(old_place: Place, ask: Ask) -> None:
    envelopes = arrived(old_place)
    for table in ("serving", "generation", "piece"):
        execute(old_place, f"DROP TABLE {table}")
    for table in ("appointment", "talent_schedule", "coach_schedule"):
        for number in (1, 2):
            execute(old_place, f"DROP TABLE {table}_{number}")
    with pytest.raises(VersionMismatch, match="run: appointments init"):
        old_place.events().append([])
    assert ask("init")[0] == 0
    old_place.projector().catch_up()  # the read models are made anew, by the present fold
    check_read_models(old_place.url, old_place.schema, envelopes)


def test_an_upgrade_that_fails_leaves_the_tables_as_they_were(old_place: Place, ask: Ask) -> None:
    before = contents(old_place)
    execute(
        old_place,
        "CREATE TRIGGER held BEFORE UPDATE ON serving BEGIN SELECT RAISE(ABORT, 'held'); END"
        if old_place.backend == "sqlite"
        else "ALTER TABLE serving ADD CONSTRAINT held CHECK (tables_version = 1)",
    )
    status, out, complaint = ask("init")
    assert (status, out, complaint.count("\n")) == (2, "", 1)
    assert "held" in complaint
    assert contents(old_place) == before
    assert not has_epoch(old_place)


def test_a_rebuild_that_version_1_did_not_finish_begins_anew(old_place: Place, ask: Ask) -> None:
    execute(
        old_place,
        "INSERT INTO generation (number, fold_version, position, state, created_at) "
        "SELECT 3, fold_version, 0, 'building', created_at FROM generation WHERE number = 2",
    )
    execute(old_place, "INSERT INTO piece SELECT 3, number, first, until, upto, is_loaded FROM piece")
    assert ask("init")[0] == 0
    assert old_place.appointments().rebuild(processes=1).generation == 4
    assert old_place.appointments().verify().differences == []


def test_tables_of_a_newer_version_ask_for_newer_code_and_are_left_alone(durable_place: Place, ask: Ask) -> None:
    durable_place.events().append([as_json(envelope(1)), b"5"])
    durable_place.projector().catch_up()
    for table in ("serving", "event_store"):
        execute(durable_place, f"UPDATE {table} SET tables_version = 99")
    for arguments in [*COMMANDS, ["init"], ["init", "--restored"]]:
        status, out, complaint = ask(*arguments)
        assert (status, out) == (2, ""), arguments
        assert complaint == (
            "appointments: the tables are of version 99 and this code knows version 2: upgrade this code\n"
        )
