"""The views for people who ask in SQL: they show what the schedules show, from the generation that serves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg import sql

from domain.appointment import APPOINTMENT_FIELDS, Appointment
from tests.conftest import Place
from tests.support.builders import as_json, envelope
from tests.support.generations import append_sample, execute

FIELDS = [name for name in APPOINTMENT_FIELDS if name != "deleted_at"]
VIEWS = ("current_appointment", "current_talent_schedule", "current_coach_schedule")


def moment(value: Any) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def seen(place: Place, view: str) -> list[dict[str, Any]]:
    """The rows of a view, as the appointments of the schedules say the same."""
    rows = execute(place, f"SELECT {', '.join(FIELDS)} FROM {view} ORDER BY id")
    found = [dict(zip(FIELDS, row, strict=True)) for row in rows]
    for one in found:
        one |= {name: moment(one[name]) for name in ("start_date", "end_date", "created_at", "updated_at")}
        one["irregular"] = bool(one["irregular"])
    return found


def shown(appointments: list[Appointment]) -> list[dict[str, Any]]:
    ordered = sorted(appointments, key=lambda one: one.id)
    return [{name: getattr(one, name) for name in FIELDS} for one in ordered]


def connect(place: Place) -> psycopg.Connection[Any]:
    connection = place.closing.enter_context(psycopg.connect(place.url, autocommit=True))
    connection.execute("SELECT set_config('search_path', %s, false)", (place.schema,))
    return connection


def count(connection: psycopg.Connection[Any], view: str = "current_appointment") -> int:
    [[number]] = connection.execute(sql.SQL("SELECT COUNT(*) FROM {}").format(sql.Identifier(view))).fetchall()
    return int(number)


@pytest.fixture
def sample_place(durable_place: Place) -> Place:
    append_sample(durable_place, 300, late=30)
    durable_place.projector().catch_up()
    return durable_place


def test_each_view_shows_every_appointment_once_with_the_fields_of_the_schedules(sample_place: Place) -> None:
    schedules = sample_place.schedules()
    talents = [one for owner in schedules.talents() for one in schedules.talent(owner.owner_id)]
    coaches = [one for owner in schedules.coaches() for one in schedules.coach(owner.owner_id)]
    assert len(talents) > 50
    assert seen(sample_place, "current_talent_schedule") == shown(talents)
    assert seen(sample_place, "current_coach_schedule") == shown(coaches)
    assert seen(sample_place, "current_appointment") == shown(talents)


def test_what_moved_away_or_was_deleted_is_not_in_the_views(durable_place: Place) -> None:
    durable_place.events().append(
        [
            as_json(envelope(1, id="moved", talentId="t-1")),
            as_json(envelope(2, id="moved", talentId="t-2")),
            as_json(envelope(3, id="deleted", deletedAt="2023-07-09T00:00:00Z")),
        ]
    )
    durable_place.projector().catch_up()
    assert execute(durable_place, "SELECT talent_id, id FROM current_talent_schedule") == [("t-2", "moved")]
    assert execute(durable_place, "SELECT coach_id, id FROM current_coach_schedule") == [("coach-1", "moved")]
    assert execute(durable_place, "SELECT id, talent_id, revision FROM current_appointment") == [("moved", "t-2", 2)]


@pytest.mark.parametrize(
    "start", ["1969-12-31T23:59:59.999Z", "2023-07-10T09:00:00.001Z", "9999-12-31T23:59:59.999Z"]
)
def test_times_are_exact_to_the_millisecond(durable_place: Place, start: str) -> None:
    durable_place.events().append([as_json(envelope(1, startDate=start, endDate=None))])
    durable_place.projector().catch_up()
    for view in VIEWS:
        [(started, ended, updated)] = execute(durable_place, f"SELECT start_date, end_date, updated_at FROM {view}")
        assert (moment(started), ended, updated) == (datetime.fromisoformat(start), None, None)
        if durable_place.backend == "sqlite":
            assert started == start


def title_in(generation: int) -> str:
    """SQL that tells one generation by the titles in it."""
    return (
        f"UPDATE talent_schedule_{generation} SET body = REPLACE(body, 'Séance Découverte', 'from {generation}') "
        "WHERE body IS NOT NULL"
    )


def test_the_views_move_with_a_switch_and_back_with_a_rollback(durable_place: Place) -> None:
    durable_place.events().append([as_json(envelope(1))])
    durable_place.projector().catch_up()
    execute(durable_place, title_in(1))
    question = "SELECT title FROM current_talent_schedule"
    assert execute(durable_place, question) == [("from 1",)]
    appointments = durable_place.appointments()
    assert appointments.rebuild(processes=1).generation == 2
    assert execute(durable_place, question) == [("Séance Découverte",)]
    execute(durable_place, title_in(2))
    assert appointments.rollback() == 1
    assert execute(durable_place, question) == [("from 1",)]
    assert execute(durable_place, "SELECT title FROM current_appointment") == [("from 1",)]


def test_the_views_outlive_the_tables_of_old_generations(sample_place: Place) -> None:
    before = seen(sample_place, "current_coach_schedule")
    for _ in range(3):
        sample_place.appointments().rebuild(processes=1)
    assert seen(sample_place, "current_coach_schedule") == before


def test_no_question_of_ours_needs_the_views(sample_place: Place) -> None:
    for view in VIEWS:
        execute(sample_place, f"DROP VIEW {view}")
    appointments = sample_place.appointments()
    [first, *_] = appointments.schedules.talents()
    [one, *_] = appointments.schedules.talent(first.owner_id)
    questions: list[Callable[[], object]] = [
        lambda: appointments.schedules.coach(one.coach_id),
        lambda: appointments.schedules.appointment(one.id),
        lambda: appointments.schedules.changes(talent_id=one.talent_id),
        appointments.status,
        appointments.verify,
    ]
    for question in questions:
        question()


def test_a_snapshot_from_before_a_switch_shows_the_old_generation_whole(postgres_place: Place) -> None:
    append_sample(postgres_place, 100)
    postgres_place.projector().catch_up()
    connection = connect(postgres_place)
    expected = count(connection)
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    connection.execute("SELECT 1")
    postgres_place.appointments().rebuild(processes=1)
    assert [count(connection, view) for view in VIEWS] == [expected] * 3
    connection.execute("COMMIT")
    assert count(connection) == expected


def test_a_long_question_to_the_views_holds_no_switch_up(postgres_place: Place) -> None:
    append_sample(postgres_place, 100)
    postgres_place.projector().catch_up()
    connection = connect(postgres_place)
    connection.execute("BEGIN")
    expected = [count(connection, view) for view in VIEWS]
    assert postgres_place.appointments().rebuild(processes=1).generation == 2
    assert postgres_place.appointments().rollback() == 1
    assert [count(connection, view) for view in VIEWS] == expected


def test_a_transaction_that_is_older_than_two_rebuilds_is_told_so(postgres_place: Place) -> None:
    append_sample(postgres_place, 100)
    postgres_place.projector().catch_up()
    connection = connect(postgres_place)
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    connection.execute("SELECT 1")
    for _ in range(2):
        postgres_place.appointments().rebuild(processes=1)
    with pytest.raises(psycopg.errors.RaiseException, match="generation 1 was dropped after this transaction began"):
        count(connection)
    connection.execute("ROLLBACK")
    assert count(connection) > 0


def test_a_condition_on_the_key_of_a_view_uses_the_index_of_its_table(postgres_place: Place) -> None:
    append_sample(postgres_place, 1000)
    postgres_place.projector().catch_up()
    connection = connect(postgres_place)
    connection.execute("SET enable_seqscan = off")
    for view, column in (
        ("current_appointment", "id"),
        ("current_talent_schedule", "talent_id"),
        ("current_coach_schedule", "coach_id"),
    ):
        query = sql.SQL("EXPLAIN SELECT * FROM {} WHERE {} = 'x'").format(
            sql.Identifier(view), sql.Identifier(column)
        )
        plan = "\n".join(line for (line,) in connection.execute(query))
        assert f"Index Cond: ({'appointment_id' if column == 'id' else column} = 'x'" in plan
        assert "Function Scan on shown" not in plan


def test_times_of_the_views_on_postgresql_are_timestamps_with_a_zone(postgres_place: Place) -> None:
    postgres_place.events().append([as_json(envelope(1))])
    postgres_place.projector().catch_up()
    row = connect(postgres_place).execute("SELECT start_date, created_at FROM current_appointment").fetchone()
    assert row == (datetime(2023, 7, 10, 9, tzinfo=UTC), datetime(2023, 7, 1, 12, tzinfo=UTC))
