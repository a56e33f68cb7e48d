"""The contract of the read models' adapters, `projections/stores/base.py`: one suite for every backend."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from domain.appointment import current_fold_version
from domain.errors import NotInstalled
from domain.identifiers import AppointmentId, Generation, Position
from projections.rows import AppointmentRow, Rows, ScheduleRow, Side
from projections.stores.base import ChangesQuery, OwnerCounts, ScheduleQuery, Stamp, Store
from projections.stores.catalogue import GenerationState
from tests.conftest import DISTRIBUTION_KEYS, Place
from tests.support.builders import as_json, envelope

SECONDS_MAX = 10
YEAR_1, YEAR_9999 = -62_135_596_800_000, 253_402_300_799_999

# By code point; an order by locale, by UTF-16 units or without case would differ.
IDS = [
    "\n",
    '"',
    "%s",
    "'",
    "10",
    "9",
    "A",
    "B",
    "\\",
    "a",
    "a\nb",
    "a'b",
    "e\u0301",
    "z",
    "{x}",
    "é",
    "\uffff",
    "🙏",
]
NO_ROWS = Rows([], [], [])


class BrokenOffError(Exception):
    pass


def row(appointment_id: str = "a", owner_id: str = "talent-1", position: int = 1, **columns: object) -> ScheduleRow:
    """A row of an hour's appointment; each test mentions only what it is about."""
    plain = ScheduleRow(
        owner_id,
        AppointmentId(appointment_id),
        Position(position),
        counterpart_id="coach-1",
        status="PLANNED",
        appointment_type="STANDALONE",
        subphase_id=None,
        starts_at=0,
        ends_at=3_600_000,
        is_deleted=False,
        body=f"{appointment_id} of {owner_id}",
    )
    return plain._replace(**columns)  # type: ignore[arg-type] # the columns of a row


def tombstone(appointment_id: str = "a", owner_id: str = "talent-1", position: int = 1) -> ScheduleRow:
    return ScheduleRow(owner_id, AppointmentId(appointment_id), Position(position), *[None] * 8)


def write(store: Store, *talents: ScheduleRow, coaches: tuple[ScheduleRow, ...] = (), position: int = 1) -> None:
    with store.unit_of_work() as work:
        work.write(Rows([], list(talents), list(coaches)), Position(position))


def bodies(store: Store, owner_id: str = "talent-1", *, side: Side = Side.TALENT) -> list[str]:
    _, found = store.schedule(ScheduleQuery(side, owner_id, include_deleted=True))
    return found


def rows_of_talent(store: Store, owner_id: str = "talent-1", *, after: int = 0) -> list[ScheduleRow]:
    _, changed = store.changes(ChangesQuery(Side.TALENT, owner_id, Position(after)))
    assert all(one.row[:3] == (owner_id, one.appointment_id, one.position) for one in changed)
    return [one.row for one in changed]


def installed(place: Place) -> Store:
    place.projector()
    return place.store()


@pytest.fixture
def store(place: Place) -> Store:
    return installed(place)


def test_a_new_installation_has_an_empty_generation_1_that_serves(store: Store) -> None:
    stamp = store.stamp()
    assert stamp == Stamp(Generation(1), current_fold_version(), Position(0), Position(0), stamp.epoch)
    assert len(stamp.epoch) >= 32
    assert store.schedule(ScheduleQuery(Side.TALENT, "talent-1")) == (stamp, [])
    assert store.appointment(AppointmentId("a")) == (stamp, None)
    assert store.owners(Side.COACH, after=None, limit=None) == (stamp, [])
    assert store.changes(ChangesQuery(Side.COACH, "coach-1", Position(0))) == (stamp, [])
    with store.scan_streams(Side.TALENT, "talent-1") as (found, streams):
        assert (found, list(streams)) == (stamp, [])
    assert store.appointments_count() == 0


def test_the_catalogue_names_the_generation_its_version_position_and_state(store: Store) -> None:
    write(store, row(), position=7)
    catalogue = store.catalogue()
    assert (catalogue.serving, catalogue.previous) == (1, None)
    [one] = catalogue.generations
    assert (one.number, one.fold_version) == (1, current_fold_version())
    assert (one.position, one.state) == (7, GenerationState.READY)
    assert abs(datetime.now(UTC) - one.created_at) < timedelta(minutes=10)


def test_creating_again_changes_nothing(store: Store) -> None:
    write(store, row(), position=7)
    before = store.catalogue()
    store.create()
    assert store.catalogue() == before
    assert bodies(store) == ["a of talent-1"]


def test_a_unit_of_work_writes_rows_and_position_together(store: Store) -> None:
    appointment = AppointmentRow(AppointmentId("a"), Position(3), "the appointment")
    with store.unit_of_work() as work:
        assert (work.generation, work.position) == (1, 0)
        work.write(Rows([appointment], [row()], [row(owner_id="coach-1")]), Position(3))
        assert work.position == 3
        assert bodies(store) == []
        assert store.stamp().position == 0
    assert store.stamp().position == 3
    assert store.appointment(AppointmentId("a")) == (store.stamp(), "the appointment")
    assert bodies(store) == ["a of talent-1"]
    assert bodies(store, "coach-1", side=Side.COACH) == ["a of coach-1"]
    assert store.appointments_count() == 1


def break_off(store: Store) -> None:
    with store.unit_of_work() as work:
        appointment = AppointmentRow(AppointmentId("a"), Position(5), "the appointment")
        work.write(Rows([appointment], [row(body="new"), row("b")], [row(owner_id="coach-1")]), Position(5))
        raise BrokenOffError


def test_a_unit_of_work_that_raises_writes_neither_rows_nor_position(store: Store) -> None:
    write(store, row(), position=2)
    with pytest.raises(BrokenOffError):
        break_off(store)
    assert store.stamp().position == 2
    assert bodies(store) == ["a of talent-1"]
    assert bodies(store, "coach-1", side=Side.COACH) == []
    assert store.appointments_count() == 0
    write(store, row(body="after it"), position=5)
    assert (store.stamp().position, bodies(store)) == (5, ["after it"])


def test_a_unit_of_work_finds_the_appointments_that_have_a_row(store: Store) -> None:
    rows = [AppointmentRow(AppointmentId(one), Position(1), f"body of {one}") for one in IDS]
    with store.unit_of_work() as work:
        work.write(NO_ROWS, Position(1))
        work.write(Rows(rows, [], []), Position(2))
    with store.unit_of_work() as work:
        assert work.position == 2
        assert sorted(work.appointments([AppointmentId(one) for one in [*IDS, "nobody"]])) == sorted(rows)
        assert work.appointments([]) == []
    assert [store.appointment(one.appointment_id)[1] for one in rows] == [one.body for one in rows]


def test_a_unit_of_work_reads_what_is_stored_after_its_position_in_bounded_batches(place: Place) -> None:
    place.events().append(as_json(envelope(number, id=f"a-{number}")) for number in range(1, 8))
    store = installed(place)
    with store.unit_of_work() as work:
        work.write(NO_ROWS, Position(2))
        assert [one.position for one in work.read(upto=Position(6), limit=3)] == [3, 4, 5]
        assert [one.position for one in work.read(upto=Position(4), limit=9)] == [3, 4]
        assert [one.position for one in work.read(upto=Position(99), limit=9)] == [3, 4, 5, 6, 7]
        assert work.read(upto=Position(2), limit=9) == []


def test_a_row_takes_the_place_of_the_one_with_its_key_and_of_no_other(store: Store) -> None:
    write(store, row("a"), row("b"), row("a", "talent-2"), coaches=(row("a"),))
    write(store, row("a", position=2, starts_at=5, status="DONE", body="new"), position=2)
    assert [(one.appointment_id, one.status, one.body) for one in rows_of_talent(store)] == [
        ("b", "PLANNED", "b of talent-1"),
        ("a", "DONE", "new"),
    ]
    assert bodies(store, "talent-2") == ["a of talent-2"]
    assert bodies(store, side=Side.COACH) == ["a of talent-1"]


def test_a_tombstone_is_in_no_schedule_and_in_every_change_and_stream(place: Place) -> None:
    place.events().append([as_json(envelope(1, id="a")), as_json(envelope(2, id="b"))])
    store = installed(place)
    write(store, row("a"), row("b"), position=1)
    write(store, tombstone("a", position=2), position=2)
    assert bodies(store) == ["b of talent-1"]
    assert rows_of_talent(store, after=1) == [tombstone("a", position=2)]
    with store.scan_streams(Side.TALENT, "talent-1") as (_, streams):
        assert [one.appointment_id for one in streams] == ["a", "b"]
    write(store, row("a", position=3), position=3)
    assert bodies(store) == ["a of talent-1", "b of talent-1"]


def test_streams_end_at_the_position_of_the_read_model(place: Place) -> None:
    place.events().append(as_json(envelope(number, id="a")) for number in (5, 4, 9))
    place.events().append([as_json(envelope(1, id="elsewhere"))])
    store = installed(place)
    write(store, row("a"), position=2)
    with store.scan_streams(Side.TALENT, "talent-1") as (stamp, streams):
        assert [(one.position, one.event_id) for one in streams] == [(2, 4), (1, 5)]
    assert (stamp.position, stamp.head) == (2, 4)


def test_changes_are_those_above_a_position_in_its_order(store: Store) -> None:
    write(store, row("c", position=3), row("b", position=3), tombstone("a", position=4), row("z", position=1))
    assert [one.appointment_id for one in rows_of_talent(store)] == ["z", "b", "c", "a"]
    assert [one.appointment_id for one in rows_of_talent(store, after=1)] == ["b", "c", "a"]
    assert [one.appointment_id for one in rows_of_talent(store, after=3)] == ["a"]
    assert rows_of_talent(store, after=4) == []


def test_a_changed_row_comes_back_as_it_was_written(store: Store) -> None:
    owner = "é'\"\n\\"
    written = row("🙏", owner, 4, subphase_id="s", starts_at=YEAR_1, ends_at=YEAR_9999, is_deleted=True, body="{}")
    write(store, written)
    assert rows_of_talent(store, owner) == [written]


def test_the_lag_is_seen_in_the_stamp(place: Place) -> None:
    store = installed(place)
    place.events().append(as_json(envelope(number)) for number in (1, 2, 3))
    write(store, row(), position=1)
    stamp = store.stamp()
    assert (stamp.position, stamp.head) == (1, 3)


def test_undated_rows_come_last_in_both_directions_then_ids_decide(store: Store) -> None:
    write(store, *(row(one, starts_at=None, ends_at=None) for one in "yx"))
    write(store, *(row(one, starts_at=5) for one in "ba"), row("c", starts_at=-5))
    for descending, order in ((False, "cabxy"), (True, "abcxy")):
        _, found = store.schedule(ScheduleQuery(Side.TALENT, "talent-1", descending=descending))
        assert [one[0] for one in found] == list(order)


def test_ids_are_opaque_and_in_the_order_of_code_points(store: Store) -> None:
    assert sorted(IDS) == IDS
    write(store, *(row(one) for one in reversed(IDS)), *(row("x", owner) for owner in reversed(IDS)))
    assert bodies(store) == [f"{one} of talent-1" for one in IDS]
    assert [bodies(store, one) for one in IDS] == [[f"x of {one}"] for one in IDS]
    _, owners = store.owners(Side.TALENT, after=None, limit=None)
    assert [one.owner_id for one in owners] == sorted([*IDS, "talent-1"])
    assert [one.appointment_id for one in rows_of_talent(store)] == IDS


def test_a_long_schedule_comes_in_order_and_in_pages(store: Store) -> None:
    rows = [row(f"{number:04}", starts_at=number * 7919 % 1000, ends_at=2000) for number in range(3000)]
    write(store, *rows)
    whole = ScheduleQuery(Side.TALENT, "talent-1")
    expected = [one.body for one in whole.page(rows)]
    assert store.schedule(whole)[1] == expected
    by_body = {one.body: one for one in rows}
    paged: list[str] = []
    page = whole
    while found := store.schedule(replace(page, limit=999))[1]:
        paged += found
        last = by_body[found[-1]]
        page = replace(page, after=page.sort_key(last.starts_at, last.appointment_id))
    assert paged == expected


def test_owners_are_counted_by_status_without_deleted_rows_and_tombstones(store: Store) -> None:
    write(
        store,
        *(row("a", "b"), row("b", "b"), row("c", "b", status="DONE"), row("d", "b", status="CANCELED")),
        *(row("e", "b", is_deleted=True), tombstone("f", "b"), tombstone("a", "tombstones only")),
        *(row("a", "deleted only", is_deleted=True), row("a", "a", status="CANCELED"), row("g", "c")),
        coaches=(row("a", "coach-1"),),
    )
    everyone = [OwnerCounts("a", 0, 0, 1), OwnerCounts("b", 2, 1, 1), OwnerCounts("c", 1, 0, 0)]
    assert store.owners(Side.TALENT, after=None, limit=None)[1] == everyone
    assert store.owners(Side.TALENT, after=None, limit=2)[1] == everyone[:2]
    assert store.owners(Side.TALENT, after="a", limit=1)[1] == everyone[1:2]
    assert store.owners(Side.TALENT, after="b2", limit=None)[1] == everyone[2:]
    assert store.owners(Side.TALENT, after="c", limit=None)[1] == []
    assert store.owners(Side.COACH, after=None, limit=None)[1] == [OwnerCounts("coach-1", 1, 0, 0)]


def test_a_waiter_sees_what_a_projector_commits(store: Store) -> None:
    with store.waiter() as wait:
        write(store, row())
        wait(threading.Event(), 3600)
        stop = threading.Event()
        with ThreadPoolExecutor(1) as executor:
            waiting = executor.submit(wait, stop, 3600)
            stop.set()
            waiting.result(SECONDS_MAX)


QUESTIONS: list[Callable[[Store], object]] = [
    lambda store: store.stamp(),
    lambda store: store.catalogue(),
    lambda store: store.schedule(ScheduleQuery(Side.TALENT, "talent-1")),
    lambda store: store.appointment(AppointmentId("a")),
    lambda store: store.owners(Side.TALENT, after=None, limit=None),
    lambda store: store.changes(ChangesQuery(Side.TALENT, "talent-1", Position(0))),
    lambda store: store.scan_schedule(ScheduleQuery(Side.TALENT, "talent-1")).__enter__(),
    lambda store: store.scan_changes(ChangesQuery(Side.TALENT, "talent-1", Position(0))).__enter__(),
    lambda store: store.scan_streams(Side.TALENT, "talent-1").__enter__(),
    lambda store: store.appointments_count(),
    lambda store: store.unit_of_work().__enter__(),
]


@pytest.mark.parametrize("question", QUESTIONS)
def test_where_nothing_is_installed_every_question_says_so(
    durable_place: Place, question: Callable[[Store], object]
) -> None:
    store = durable_place.store()
    with pytest.raises(NotInstalled, match="appointments init"):
        question(store)


@pytest.fixture
def catalogue(postgres_place: Place) -> Iterator[psycopg.Cursor[tuple[str, ...]]]:
    postgres_place.projector()
    with psycopg.connect(postgres_place.url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT set_config('search_path', %s, false)", (postgres_place.schema,))
        yield cursor


def test_each_unique_index_begins_with_the_distribution_key(catalogue: psycopg.Cursor[tuple[str, ...]]) -> None:
    catalogue.execute(
        """
        SELECT indrelid::regclass::text, attname
        FROM pg_index
        JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
        WHERE indisunique AND indrelid::regclass::text = ANY(%s)
        """,
        (list(DISTRIBUTION_KEYS),),
    )
    assert sorted(catalogue) == sorted(DISTRIBUTION_KEYS.items())


def test_the_read_models_have_no_foreign_key_no_sequence_and_no_default(
    catalogue: psycopg.Cursor[tuple[str, ...]],
) -> None:
    catalogue.execute(
        "SELECT 1 FROM pg_constraint WHERE contype = 'f' AND connamespace = current_schema::regnamespace"
    )
    assert catalogue.fetchall() == []
    catalogue.execute(
        """
        SELECT attrelid::regclass::text, attname
        FROM pg_attribute
        JOIN pg_class ON pg_class.oid = attrelid
        WHERE relnamespace = current_schema::regnamespace AND relkind = 'r' AND (attidentity <> '' OR atthasdef)
        """
    )
    assert sorted(catalogue) == [
        ("forgotten_person", "number"),
        ("quarantine", "number"),
        ("stored_events", "arrived_at"),
        ("stored_events", "notification_id"),
    ]


def test_every_text_of_the_read_models_is_compared_by_code_point(catalogue: psycopg.Cursor[tuple[str, ...]]) -> None:
    catalogue.execute(
        """
        SELECT table_name, column_name, collation_name
        FROM information_schema.columns
        WHERE table_schema = current_schema AND data_type = 'text' AND table_name = ANY(%s)
        """,
        (list(DISTRIBUTION_KEYS),),
    )
    columns = catalogue.fetchall()
    assert {collation for *_, collation in columns} == {"C"}
    assert {(table, key) for table, key, _ in columns} > set(DISTRIBUTION_KEYS.items())
