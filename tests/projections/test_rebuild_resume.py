"""A rebuild that did not come to its end: the old generation serves, and the next one goes on or begins anew."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from domain import poison as poison_module
from domain.appointment import FoldedAppointment, current_fold_version, fold
from domain.errors import AppointmentsError, NotInstalled, PoisonEvent
from domain.identifiers import Generation
from projections import Progress
from projections.cli.app import run
from tests.conftest import Place
from tests.support.builders import as_json, envelope
from tests.support.damage import damage_stored
from tests.support.generations import (
    BrokenOffError,
    append_sample,
    execute,
    generations,
    held,
    interrupt_at,
    position,
    serving,
    states,
    store_raw,
    table_names,
    tables_of,
    unfinished,
)
from tests.support.rebuilding import PHASES, append, cut_small_partitions, project, rebuilt, set_fold_version


@pytest.fixture
def small_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    cut_small_partitions(monkeypatch)


def test_a_poison_event_stops_a_rebuild_and_the_old_generation_serves(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    schedules = project(place, envelope(1), envelope(2, id="b"))
    poisoned = store_raw(place, 9, "b", b'{"id": 9}')
    before = held(place)
    with pytest.raises(PoisonEvent) as caught:
        rebuilt(place)
    assert (caught.value.position, caught.value.appointment_id, caught.value.event_id) == (poisoned, "b", 9)
    assert (serving(place), held(place), len(schedules.talent("talent-1"))) == (1, before, 2)
    assert run(["rebuild", *place.arguments]) == 1
    said = capsys.readouterr().err
    assert "position 3 (appointment 'b', envelope 9) cannot be folded" in said
    assert said.endswith("; the next rebuild begins anew\n")
    assert len(said.splitlines()) == 1


def test_an_event_that_the_fold_itself_cannot_take_is_poison_too(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    project(place, envelope(1), envelope(2, id="b"))
    append(place, envelope(3), envelope(4, id="b"), envelope(5))
    right_fold = fold

    def wrong_fold(before: FoldedAppointment | None, envelopes: Any) -> FoldedAppointment:
        known = list(envelopes)
        if any(one.event_id == 4 for one in known):
            raise KeyError("never thought of")
        return right_fold(before, known)

    monkeypatch.setattr(poison_module, "fold", wrong_fold)
    for work in (lambda: rebuilt(place), place.projector().catch_up):
        with pytest.raises(PoisonEvent, match=r"position 4 \(appointment 'b', envelope 4\).*KeyError.*thought of"):
            work()
    assert position(place, 1) == 3
    monkeypatch.undo()
    assert rebuilt(place).position == 5
    assert place.appointments().verify().differences == []


def test_a_poison_event_that_comes_during_a_rebuild_stops_it_and_without_it_the_next_one_ends_well(
    durable_place: Place,
) -> None:
    schedules = project(durable_place, envelope(1), envelope(2, id="b"))

    def poison(progress: Progress) -> None:
        if progress.phase == "index" and not progress.done:
            store_raw(durable_place, 9, "c", b"no JSON")
            append(durable_place, envelope(3, id="c"))

    with pytest.raises(PoisonEvent, match=r"position 3 \(appointment 'c', envelope 9\)"):
        rebuilt(durable_place, progress=poison)
    assert (serving(durable_place), unfinished(durable_place)) == (1, [])
    assert [one.id for one in schedules.talent("talent-1")] == ["appointment-1", "b"]
    execute(durable_place, "DELETE FROM stored_events WHERE originator_version = 9")
    assert rebuilt(durable_place).generation == 3
    assert [one.id for one in schedules.talent("talent-1")] == ["appointment-1", "b", "c"]


def mend(place: Place, *envelopes: dict[str, Any]) -> None:
    """Puts other bytes in the place of stored ones."""
    for one in envelopes:
        damage_stored(place, one["id"], as_json(one))


@pytest.mark.usefixtures("small_partitions")
def test_after_a_poison_event_history_may_be_mended_where_it_was_loaded_already(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    append_sample(place, 400)
    append(place, envelope(10**7, id="0"))
    store_raw(place, 10**7 + 1, "zz", b"no JSON")
    with pytest.raises(PoisonEvent):
        rebuilt(place)
    mend(place, envelope(10**7, id="0", title="mended"), envelope(10**7 + 1, id="zz"))
    assert rebuilt(place).generation == 3
    assert place.schedules().appointment("0").title == "mended"
    assert place.appointments().verify().differences == []
    assert states(place) == {1: "ready", 2: "dropped", 3: "ready"}
    assert caplog.messages == []


@pytest.mark.parametrize("phase", ["index", "switch"])
@pytest.mark.usefixtures("small_partitions")
def test_an_interrupted_rebuild_begins_anew_and_says_so_when_history_was_changed_below_it(
    place: Place, phase: str, caplog: pytest.LogCaptureFixture
) -> None:
    append_sample(place, 400)
    append(place, envelope(10**7, id="0"))
    with pytest.raises(BrokenOffError):
        rebuilt(place, progress=interrupt_at(phase))
    mend(place, envelope(10**7, id="0", title="mended"))
    assert rebuilt(place).generation == 3
    assert place.schedules().appointment("0").title == "mended"
    assert place.appointments().verify().differences == []
    [said] = caplog.records
    assert said.getMessage() == "begun_anew"
    assert "differs from history, which was changed since" in getattr(said, "fields", {})["reason"]


@pytest.mark.usefixtures("small_partitions")
def test_a_poison_event_in_a_loading_process_is_named(postgres_place: Place) -> None:
    append_sample(postgres_place, 300)
    poisoned = store_raw(postgres_place, 9, "b", b"[]")
    with pytest.raises(PoisonEvent, match=f"position {poisoned} .*envelope 9") as caught:
        rebuilt(postgres_place, processes=2)
    assert caught.value.position == poisoned


def test_errors_pass_from_process_to_process_with_their_facts() -> None:
    error = PoisonEvent(3, "b", 9, "reason")
    passed = pickle.loads(pickle.dumps(error))
    assert (type(passed), str(passed), vars(passed)) == (PoisonEvent, str(error), vars(error))
    assert str(pickle.loads(pickle.dumps(AppointmentsError("plain")))) == "plain"


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.usefixtures("small_partitions")
def test_an_interrupted_rebuild_is_shown_and_gone_on_with(
    place: Place, phase: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    append_sample(place, 400)
    place.projector().catch_up()
    before = held(place)
    with pytest.raises(BrokenOffError):
        rebuilt(place, progress=interrupt_at(phase))
    assert (serving(place), unfinished(place), held(place)) == (1, [2], before)
    assert run(["status", *place.arguments, "--json"]) == 0
    assert json.loads(capsysbinary.readouterr().out)["unfinished_rebuild"] == 2
    left = len(generations(place).partitions(Generation(2)))
    told: list[Progress] = []
    assert rebuilt(place, progress=told.append).generation == 2
    assert len([one for one in told if one.phase == "load"]) == left + 1  # its end is told as well
    assert (serving(place), unfinished(place), held(place)) == (2, [], before)
    assert run(["status", *place.arguments, "--json"]) == 0
    assert json.loads(capsysbinary.readouterr().out)["unfinished_rebuild"] is None


def test_a_restart_begins_anew(place: Place) -> None:
    project(place, envelope(1))
    with pytest.raises(BrokenOffError):
        rebuilt(place, progress=interrupt_at("verify"))
    assert run(["rebuild", *place.arguments, "--restart"]) == 0
    assert states(place) == {1: "ready", 2: "dropped", 3: "ready"}
    if place.backend != "memory":
        assert table_names(place) == tables_of(1, 3)


def test_an_unfinished_generation_of_another_version_of_the_fold_is_left_to_the_code_of_that_version(
    place: Place,
) -> None:
    project(place, envelope(1))
    with pytest.raises(BrokenOffError):
        rebuilt(place, progress=interrupt_at("index"))
    set_fold_version(place, 2, 0)
    assert rebuilt(place).generation == 3
    assert states(place) == {1: "ready", 2: "building", 3: "ready"}
    set_fold_version(place, 2, current_fold_version())
    assert rebuilt(place).generation == 2


def test_what_came_after_a_rebuild_was_interrupted_is_in_it(place: Place) -> None:
    project(place, envelope(1, id="b"))
    with pytest.raises(BrokenOffError):
        rebuilt(place, progress=interrupt_at("read and fold"))
    project(place, envelope(2, id="a"), envelope(3, id="b", status="DONE"), envelope(4, id="c"))
    assert rebuilt(place).position == 4
    assert held(place, 1) == held(place, 2)


@pytest.mark.parametrize("table", ["appointment_1", "talent_schedule_1", "coach_schedule_1"])
def test_a_lost_table_is_mended_by_a_rebuild(durable_place: Place, table: str) -> None:
    schedules = project(durable_place, envelope(1))
    before = held(durable_place)
    execute(durable_place, f"DROP TABLE {table}")
    with pytest.raises(NotInstalled):
        schedules.talent("talent-1"), schedules.coach("coach-1"), schedules.appointment("appointment-1")
    rebuilt(durable_place)
    assert held(durable_place) == before
    assert [one.id for one in schedules.talent("talent-1")] == ["appointment-1"]
