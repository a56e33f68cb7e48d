"""Verify: whatever is wrong in a generation is found, by appointment and field; a rebuild mends it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest

from domain.errors import StorageError, UsageError
from domain.identifiers import Generation
from projections import Difference, DifferencesFound, Progress
from projections.cli.app import run
from projections.cli.commands import rebuild as rebuilding
from projections.rows import Side
from tests.conftest import Place
from tests.support.builders import as_json, envelope
from tests.support.damage import At, body_of, change, put, remove, set_position, where
from tests.support.generations import (
    TABLES,
    append_sample,
    execute,
    held,
    position,
    read_models,
    serving,
    states,
    table_names,
    tables_of,
)

# Appointment a moved from talent-1 and coach-1 to talent-2 and coach-2; b never moved.
HISTORY = [
    envelope(1, id="a"),
    envelope(2, id="b", subphaseId="subphase-1"),
    envelope(3, id="a", talentId="talent-2", coachId="coach-2"),
]


B_ITSELF = At("appointment", "b")
B_OF_TALENT = At("talent_schedule", "b", "talent-1")
B_OF_COACH = At("coach_schedule", "b", "coach-1")
TALENT_TOMBSTONE = At("talent_schedule", "a", "talent-1")
COACH_TOMBSTONE = At("coach_schedule", "a", "coach-1")
ROWS = [B_ITSELF, B_OF_TALENT, B_OF_COACH]
TOMBSTONES = [TALENT_TOMBSTONE, COACH_TOMBSTONE]
STRANGERS = [
    At("appointment", "c"),
    *(At("talent_schedule", one, "talent-3") for one in "abc"),
    *(At("coach_schedule", one, "coach-3") for one in "abc"),
]
COLUMNS: dict[str, Any] = {
    "counterpart_id": "nobody",
    "status": "DONE",
    "appointment_type": "PART_ONE",
    "subphase_id": None,
    "starts_at": None,
    "ends_at": 1,
    "is_deleted": True,
    "body": None,
}


def verified(place: Place) -> list[Difference]:
    return place.appointments().verify().differences


Rows = dict[str, list[tuple[Any, ...]]]


@pytest.fixture
def rows(place: Place) -> Rows:
    """The history is projected; every row as it should be."""
    place.events().append(as_json(one) for one in HISTORY)
    place.projector().catch_up()
    assert verified(place) == []
    return held(place)


def found_then_mended(place: Place, rows: Rows) -> list[Difference]:
    """What verify finds; all of it is gone after a rebuild."""
    differences = verified(place)
    assert run(["verify", *place.arguments]) == (1 if differences else 0)
    assert place.appointments().rebuild(processes=1).position == len(HISTORY)
    assert verified(place) == []
    assert held(place) == rows
    return differences


@pytest.mark.parametrize("at", ROWS)
def test_a_field_in_a_body_is_found(place: Place, rows: Rows, at: At) -> None:
    document = body_of(place, at)
    field = "title" if at.owner_id else "snapshot.title"
    (document if at.owner_id else document["snapshot"])["title"] = "damaged"
    change(place, at, body=json.dumps(document))
    [difference] = found_then_mended(place, rows)
    assert difference == Difference(*at, field, "Séance Découverte", "damaged")
    assert str(difference).startswith(f"{at.table} 'b'")
    assert str(difference).endswith(f"{field}: expected 'Séance Découverte', found 'damaged'")


@pytest.mark.parametrize("at", ROWS)
def test_a_body_that_is_none_is_found(place: Place, rows: Rows, at: At) -> None:
    for body in ("", "no JSON", "[]", "{}", '{"title": "cut'):
        change(place, at, body=body)
        assert {(one.table, one.appointment_id, one.owner_id) for one in verified(place)} == {at}
    assert found_then_mended(place, rows)


@pytest.mark.parametrize("at", [B_OF_TALENT, B_OF_COACH])
def test_every_typed_column_is_found(place: Place, rows: Rows, at: At) -> None:
    change(place, at, **COLUMNS)
    differences = found_then_mended(place, rows)
    assert where(differences) == {(*at, column) for column in COLUMNS}
    assert {one.field: one.found for one in differences} == COLUMNS


@pytest.mark.parametrize("at", [*ROWS, *TOMBSTONES])
def test_a_position_of_a_row_is_found(place: Place, rows: Rows, at: At) -> None:
    change(place, at, position=1)
    [difference] = found_then_mended(place, rows)
    assert difference == Difference(*at, "position", 2 if at.appointment_id == "b" else 3, 1)


@pytest.mark.parametrize("at", [*ROWS, *TOMBSTONES])
def test_a_missing_row_is_found(place: Place, rows: Rows, at: At) -> None:
    remove(place, at)
    assert found_then_mended(place, rows) == [Difference(*at, "row", "a row", None)]


@pytest.mark.parametrize("at", STRANGERS)
def test_a_row_too_many_is_found(place: Place, rows: Rows, at: At) -> None:
    put(place, at)
    assert found_then_mended(place, rows) == [Difference(*at, "row", None, "a row")]


@pytest.mark.parametrize("missing", [*ROWS, *TOMBSTONES])
def test_a_row_too_many_does_not_hide_a_missing_one(place: Place, rows: Rows, missing: At) -> None:
    [stranger] = [one for one in STRANGERS if one[:2] == (missing.table, "c")]
    remove(place, missing)
    put(place, stranger)
    assert where(found_then_mended(place, rows)) == {(*missing, "row"), (*stranger, "row")}


@pytest.mark.parametrize("at", TOMBSTONES)
def test_a_tombstone_that_shows_an_appointment_is_found(place: Place, rows: Rows, at: At) -> None:
    change(place, at, body="{}", is_deleted=False)
    assert where(found_then_mended(place, rows)) == {(*at, "body"), (*at, "is_deleted")}


@pytest.mark.parametrize("beyond", [4, 2**62])
def test_a_position_beyond_the_head_is_found(place: Place, rows: Rows, beyond: int) -> None:
    set_position(place, beyond)
    [difference] = found_then_mended(place, rows)
    assert difference == Difference("generation", None, None, "position", "at most 3", beyond)


@pytest.mark.parametrize("too_low", [0, 2])
def test_a_position_that_is_too_low_is_found(place: Place, rows: Rows, too_low: int) -> None:
    set_position(place, too_low)
    differences = found_then_mended(place, rows)
    assert {one.table for one in differences} == set(TABLES)
    assert {one.appointment_id for one in differences} == ({"a", "b"} if too_low == 0 else {"a"})


def test_a_position_moved_over_what_was_not_projected_is_found(place: Place, rows: Rows) -> None:
    place.events().append([as_json(envelope(4, id="c"))])
    set_position(place, 4)
    expected = {At("appointment", "c"), At("talent_schedule", "c", "talent-1"), At("coach_schedule", "c", "coach-1")}
    assert where(verified(place)) == {(*at, "row") for at in expected}
    assert rows == held(place)


@pytest.mark.parametrize("table", TABLES)
def test_an_emptied_table_is_found(place: Place, rows: Rows, table: str) -> None:
    for row in rows[table]:
        remove(place, At(table, row[0]) if table == "appointment" else At(table, row[1], row[0]))
    differences = found_then_mended(place, rows)
    assert (len(differences), {(one.table, one.field) for one in differences}) == (len(rows[table]), {(table, "row")})


def test_verify_ends_after_a_thousand_differences(place: Place) -> None:
    append_sample(place, 1200)
    place.projector().catch_up()
    for side in Side:
        if place.backend == "memory":
            read_models(place).generations[Generation(1)].schedules[side].clear()
        else:
            execute(place, f"DELETE FROM {side}_schedule_1")
    assert len(verified(place)) == 1000


@pytest.mark.parametrize("body", ["no JSON", '{"snapshot": 1}'])
def test_a_damaged_row_that_is_asked_for_or_projected_to_says_what_to_run(
    place: Place, rows: Rows, body: str
) -> None:
    schedules, projector = place.schedules(), place.projector()
    for at in ROWS:
        change(place, at, body=body)
    place.events().append([as_json(envelope(4, id="b", status="DONE"))])
    for work in (
        projector.catch_up,
        lambda: schedules.talent("talent-1"),
        lambda: schedules.coach("coach-1"),
        lambda: schedules.appointment("b"),
        lambda: schedules.changes(talent_id="talent-1"),
    ):
        with pytest.raises(StorageError, match=r"damaged.*run: appointments rebuild"):
            work()
    assert place.appointments().rebuild(processes=1).position == 4
    assert [one.status for one in schedules.talent("talent-1")] == ["DONE"]
    assert rows != held(place)


class _Damaging:
    """Progress of a rebuild that damages the new generation when its keys are made."""

    def __init__(self, place: Place, damage: Callable[[], None]) -> None:
        self._place = place
        self._damage = damage

    def show(self, phase: str, done: int, total: int | None, **_: int) -> None:
        if (phase, done) == ("index", total):
            self._damage()

    def __call__(self, progress: Progress) -> None:
        self.show(progress.phase, progress.done, progress.total)


@pytest.mark.parametrize("at", [*ROWS, *TOMBSTONES])
def test_differences_stop_the_switch_and_the_old_generation_serves(place: Place, rows: Rows, at: At) -> None:
    damaging = _Damaging(place, lambda: change(place, at, generation=2, position=1))
    with pytest.raises(DifferencesFound) as caught:
        place.appointments().rebuild(processes=1, progress=damaging)
    assert where(caught.value.differences) == {(*at, "position")}
    assert (serving(place), held(place)) == (1, rows)
    assert states(place) == {1: "ready", 2: "dropped"}
    if place.backend != "memory":
        assert table_names(place) == tables_of(1)
    assert found_then_mended(place, rows) == []


def test_differences_are_printed_by_appointment_and_field(
    place: Place, rows: Rows, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    damaging = _Damaging(place, lambda: change(place, B_OF_TALENT, generation=2, status="DONE"))
    with monkeypatch.context() as patched:
        patched.setattr(rebuilding, "progress_told", lambda *_: nullcontext(damaging.show))
        assert run(["rebuild", *place.arguments]) == 1
    first, last = capsys.readouterr().err.splitlines()
    line = "talent_schedule 'b' of 'talent-1': status: expected 'PLANNED', found 'DONE'"
    assert first == f"appointments: {line}"
    assert "differs from history in 1 places, so the old one serves on" in last
    assert (serving(place), held(place)) == (1, rows)


def test_the_command_prints_differences_and_exits_1(
    place: Place, rows: Rows, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert run(["verify", *place.arguments]) == 0
    assert capsysbinary.readouterr().out == b"2 appointments checked, no difference.\n"
    change(place, B_OF_COACH, status="\x1b[31m")
    assert run(["verify", *place.arguments, "--json"]) == 1
    [difference] = json.loads(capsysbinary.readouterr().out)["differences"]
    assert difference == {
        "table": "coach_schedule", "appointment_id": "b", "owner_id": "coach-1", "field": "status",
        "expected": "PLANNED", "found": "\x1b[31m",
    }  # fmt: skip
    assert run(["verify", *place.arguments]) == 1
    printed = capsysbinary.readouterr().out.decode()
    assert printed.split() >= ["coach_schedule"]
    assert "\x1b" not in printed
    assert "1 differences" in printed
    assert len(rows["coach_schedule"]) == 3


def test_a_sample_checks_exactly_so_many_appointments(place: Place) -> None:
    append_sample(place, 300)
    place.projector().catch_up()
    appointments = len(held(place)["appointment"])
    for sample in (1, 20, 100, appointments - 1, appointments, 10_000):
        found = place.appointments().verify(sample=sample)
        assert found == (min(sample, appointments), [], 0)
    assert run(["verify", *place.arguments, "--sample", "5"]) == 0
    for nothing in (0, -1):
        with pytest.raises(UsageError, match="a sample of at least 1 appointment"):
            place.appointments().verify(sample=nothing)


def test_a_sample_is_chosen_by_chance(memory_place: Place) -> None:
    append_sample(memory_place, 300)
    memory_place.projector().catch_up()
    appointments = held(memory_place)["appointment"]
    for one in appointments[::2]:
        remove(memory_place, At("appointment", one[0]))
    found = [
        {
            one.appointment_id
            for one in memory_place.appointments().verify(sample=20).differences
            if one.field == "row"
        }
        for _ in range(30)
    ]
    assert len({frozenset(one) for one in found}) > 1
    assert set().union(*found) <= {one[0] for one in appointments[::2]}


def test_a_sample_finds_what_is_wrong_in_it(place: Place, rows: Rows) -> None:
    for at in ROWS:
        remove(place, at)
    assert where(place.appointments().verify(sample=100).differences) == {(*at, "row") for at in ROWS}
    assert len(rows["appointment"]) == 2


def test_of_nothing_nothing_is_wrong(place: Place) -> None:
    place.projector()
    assert place.appointments().verify() == (0, [], 0)
    assert place.appointments().verify(sample=3) == (0, [], 0)


def test_verify_finds_nothing_wrong_while_envelopes_are_appended_and_followed(place: Place) -> None:
    append_sample(place, 300)
    projector, events = place.projector(), place.events()
    projector.catch_up()
    stop = threading.Event()
    following = threading.Thread(target=projector.follow, args=(stop,))
    appending = threading.Thread(target=lambda: [append_sample(place, 40, seed=seed) for seed in range(1, 12)])
    following.start()
    appending.start()
    try:
        verifications = 0
        while appending.is_alive() or not verifications:
            assert verified(place) == []
            verifications += 1
        place.schedules().stamp()
        assert place.schedules().talents(at_least=events.head(), timeout=30).lag == 0
    finally:
        appending.join()
        stop.set()
        following.join()
    assert verified(place) == []
    assert position(place, 1) == events.head()
