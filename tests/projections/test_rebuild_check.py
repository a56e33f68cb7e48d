"""Whatever a rebuilt generation holds otherwise than it was folded is found before it serves, with no second fold."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from domain.identifiers import Position
from domain.storage.base import StoredEnvelope
from projections import DifferencesFound, Progress
from projections.projector import fold_streams
from projections.rebuilding import verification
from projections.rebuilding.differences import Difference
from projections.stores.generations import TABLES
from projections.stores.tally import Sum, sum_of_bytes, sum_of_values
from tests.conftest import Place
from tests.support.builders import envelope
from tests.support.damage import At, change, put, remove
from tests.support.generations import (
    BrokenOffError,
    append_sample,
    execute,
    held,
    interrupt_at,
    rebuild_module,
    serving,
    states,
)
from tests.support.rebuilding import append, cut_small_partitions, project, rebuilt

B_ITSELF = At("appointment", "b")
B_OF_TALENT = At("talent_schedule", "b", "talent-1")
B_OF_COACH = At("coach_schedule", "b", "coach-1")
TOMBSTONES = [At("talent_schedule", "a", "talent-1"), At("coach_schedule", "a", "coach-1")]
ROWS = [B_ITSELF, B_OF_TALENT, B_OF_COACH, *TOMBSTONES]
STRANGERS = [At("appointment", "c"), At("talent_schedule", "a", "talent-3"), At("coach_schedule", "a", "coach-3")]
COLUMNS: dict[str, Any] = {
    "counterpart_id": "nobody",
    "status": "DONE",
    "appointment_type": "PART_ONE",
    "subphase_id": None,
    "starts_at": 1,
    "ends_at": None,
    "is_deleted": True,
    "body": "{}",
    "position": 1,
}


@pytest.fixture
def history(place: Place) -> Place:
    """Appointment a moved from talent-1 and coach-1 to talent-2 and coach-2; b never moved."""
    moved = envelope(3, id="a", talentId="talent-2", coachId="coach-2")
    project(place, envelope(1, id="a"), envelope(2, id="b", subphaseId="subphase-1"), moved)
    return place


def once_at(phase: str, damage: Callable[[], object]) -> Callable[[Progress], None]:
    """Does some damage when a rebuild first tells of a phase."""
    times = itertools.count()

    def watch(progress: Progress) -> None:
        if progress.phase == phase and next(times) == 0:
            damage()

    return watch


def check_found(place: Place, damage: Callable[[], object]) -> list[Difference]:
    """Damage to a loaded generation is found, the old one serves on, and the next rebuild is right."""
    rows = held(place)
    with pytest.raises(DifferencesFound) as caught:
        rebuilt(place, progress=once_at("verify", damage))
    assert (serving(place), held(place), states(place)[2]) == (1, rows, "dropped")
    assert rebuilt(place).generation == 3
    assert held(place) == rows
    return caught.value.differences


@pytest.mark.parametrize("at", [B_OF_TALENT, B_OF_COACH])
@pytest.mark.parametrize("column", COLUMNS)
def test_a_changed_column_of_a_schedule_is_found(history: Place, at: At, column: str) -> None:
    [difference, *_] = check_found(history, lambda: change(history, at, generation=2, **{column: COLUMNS[column]}))
    assert (difference.table, difference.appointment_id, difference.owner_id) == at


@pytest.mark.parametrize("column", ["body", "position"])
def test_a_changed_column_of_an_appointment_is_found(history: Place, column: str) -> None:
    found = check_found(history, lambda: change(history, B_ITSELF, generation=2, **{column: COLUMNS[column]}))
    assert {(one.table, one.appointment_id) for one in found} == {("appointment", "b")}


@pytest.mark.parametrize("at", ROWS)
def test_a_lost_row_is_found(history: Place, at: At) -> None:
    found = check_found(history, lambda: remove(history, at, generation=2))
    assert found == [Difference(*at, "row", "a row", None)]


@pytest.mark.parametrize("at", STRANGERS)
def test_a_foreign_row_is_found(history: Place, at: At) -> None:
    found = check_found(history, lambda: put(history, at, generation=2))
    assert found == [Difference(*at, "row", None, "a row")]


@pytest.mark.parametrize("table", TABLES)
def test_a_doubled_row_is_found(durable_place: Place, table: str) -> None:
    project(durable_place, envelope(1, id="a"), envelope(2, id="b"))

    def double() -> None:
        execute(durable_place, f"DROP INDEX {table}_2_key")
        execute(durable_place, f"INSERT INTO {table}_2 SELECT * FROM {table}_2 WHERE appointment_id = 'b'")

    assert {one.table for one in check_found(durable_place, double)} == {table}


@pytest.mark.parametrize("table", TABLES)
def test_rows_that_exchanged_what_they_say_are_found(durable_place: Place, table: str) -> None:
    project(durable_place, envelope(1, id="a", title="one"), envelope(2, id="b", title="two"))

    def exchange() -> None:
        bodies = dict(execute(durable_place, f"SELECT appointment_id, body FROM {table}_2"))
        for mine, its in (("a", "b"), ("b", "a")):
            execute(durable_place, f"UPDATE {table}_2 SET body = ? WHERE appointment_id = ?", bodies[its], mine)

    assert {one.table for one in check_found(durable_place, exchange)} == {table}


def test_a_lost_partition_is_found(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_small_partitions(monkeypatch)
    append_sample(place, 400)
    place.projector().catch_up()
    lost = sorted(row[0] for row in held(place)["appointment"])[:40]

    def lose() -> None:
        for table, rows in held(place, 2).items():
            for row in rows:
                appointment_id, owner_id = (row[0], None) if table == "appointment" else (row[1], row[0])
                if appointment_id in lost:
                    remove(place, At(table, appointment_id, owner_id), generation=2)

    assert {one.appointment_id for one in check_found(place, lose)} == set(lost)


def leave_out(monkeypatch: pytest.MonkeyPatch, is_left_out: Callable[[StoredEnvelope], bool]) -> None:
    """From here on loading folds history without some of it; whoever verifies sees all."""

    def fold_less(envelopes: Iterator[StoredEnvelope]) -> Any:
        return fold_streams(stored for stored in envelopes if not is_left_out(stored))

    monkeypatch.setattr(rebuild_module, "fold_streams", fold_less)


@pytest.mark.parametrize("event_id", [1, 2, 3])
def test_an_envelope_left_out_is_found(history: Place, monkeypatch: pytest.MonkeyPatch, event_id: int) -> None:
    with monkeypatch.context() as patched:
        leave_out(patched, lambda stored: stored.event_id == event_id)
        with pytest.raises(DifferencesFound):
            rebuilt(history)
    assert (serving(history), rebuilt(history).generation) == (1, 3)


def test_a_range_of_history_that_no_partition_covers_is_found(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_small_partitions(monkeypatch)
    append_sample(place, 400)
    place.projector().catch_up()
    right = rebuild_module.partitions_up_to
    with monkeypatch.context() as patched:
        patched.setattr(rebuild_module, "partitions_up_to", lambda *arguments: right(*arguments)[1:])
        with pytest.raises(DifferencesFound):
            rebuilt(place)
    assert (serving(place), rebuilt(place).generation) == (1, 3)


def test_what_only_history_has_is_told_even_where_every_row_is_right(
    history: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fold_right_and_count_wrong(envelopes: Iterator[StoredEnvelope]) -> Any:
        rows, folded = fold_streams(envelopes)
        return rows, Sum(folded.size - 1, folded.total)

    monkeypatch.setattr(rebuild_module, "fold_streams", fold_right_and_count_wrong)
    with pytest.raises(DifferencesFound, match="number of envelopes: expected 3, found 2"):
        rebuilt(history)


def test_a_rebuild_folds_history_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    append_sample(place, 400)
    folded: list[int] = []

    def counted(envelopes: Iterator[StoredEnvelope]) -> Any:
        rows, sum_of = fold_streams(envelopes)
        folded.append(sum_of.size)
        return rows, sum_of

    for module in (rebuild_module, verification):
        monkeypatch.setattr(module, "fold_streams", counted)
    rebuilt(place)
    assert sum(folded) == 400


def test_what_the_projector_wrote_since_the_load_is_checked_by_folding_it(
    durable_place: Place,
) -> None:
    project(durable_place, envelope(1, id="a"), envelope(2, id="b"))

    def come() -> None:
        append(durable_place, envelope(3, id="b", title="new"))

    def spoil() -> None:
        change(durable_place, B_OF_TALENT, generation=2, body="{}")

    damages = [once_at("verify", come), once_at("catch up", spoil)]

    def watch(progress: Progress) -> None:
        for damage in damages:
            damage(progress)

    with pytest.raises(DifferencesFound) as caught:
        rebuilt(durable_place, progress=watch)
    assert {(one.table, one.appointment_id, one.owner_id) for one in caught.value.differences} == {B_OF_TALENT}


def test_a_rebuild_that_was_interrupted_after_it_was_caught_up_is_verified_by_a_fold(place: Place) -> None:
    project(place, envelope(1, id="a"), envelope(2, id="b"))
    come = once_at("index", lambda: append(place, envelope(3, id="b", title="new")))
    switch = interrupt_at("switch")

    def watch(progress: Progress) -> None:
        come(progress)
        switch(progress)

    with pytest.raises(BrokenOffError):
        rebuilt(place, progress=watch)
    place.projector().catch_up()
    report = rebuilt(place)
    assert (report.generation, report.position) == (2, Position(3))
    assert held(place, 1) == held(place, 2)


def test_sums_do_not_depend_on_order_and_see_every_row() -> None:
    rows = [("a", 1, None), ("b", 2, True), ("b", 2, True)]
    assert sum_of_values(rows) == sum_of_values(rows[::-1])
    assert sum_of_values(rows[:2]) != sum_of_values(rows)
    assert sum_of_values([("a", 1, True), *rows[1:]]) != sum_of_values(rows)
    first, second = sum_of_bytes([b"a"]), sum_of_bytes([b"b", b"c"])
    assert first.plus(second) == sum_of_bytes([b"c", b"a", b"b"])
