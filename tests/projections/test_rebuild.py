"""Rebuild: a new generation that equals history, switched to at once, and back; whatever is in the way."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.appointment import current_fold_version
from domain.errors import NotInstalled, NotRebuilt, RebuildFailed, RebuildRunning, VersionMismatch
from projections import Progress
from projections.cli.app import run
from projections.stores.catalogue import GenerationState
from tests.conftest import Place, own_schema
from tests.support.builders import envelope
from tests.support.generations import (
    append_sample,
    catalogue,
    execute,
    generations,
    held,
    line_of,
    position,
    python,
    serving,
    states,
    table_names,
    tables_of,
    unfinished,
)
from tests.support.histories import histories
from tests.support.newer_fold import NEWER_VERSION
from tests.support.readmodels import check_read_models
from tests.support.rebuilding import (
    PHASES,
    append,
    cut_small_partitions,
    newer_code,
    project,
    rebuilt,
    rolled_back,
    set_fold_version,
    upgrade,
)

_numbers = itertools.count(1)


@pytest.fixture
def small_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    cut_small_partitions(monkeypatch)


def test_a_rebuild_of_nothing_serves_nothing(place: Place) -> None:
    report = rebuilt(place)
    assert (report.generation, report.position, report.events, report.appointments) == (2, 0, 0, 0)
    assert (serving(place), len(place.schedules().talent("talent-1"))) == (2, 0)
    assert place.appointments().verify().differences == []


def test_a_rebuild_of_one_envelope_equals_what_was_projected(place: Place) -> None:
    schedules = project(place, envelope(7))
    rebuilt(place)
    assert held(place, 1) == held(place, 2)
    assert [(one.id, one.event_id) for one in schedules.talent("talent-1")] == [("appointment-1", 7)]


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.usefixtures("small_partitions")
def test_a_rebuilt_generation_equals_the_live_one_row_for_row(place: Place, processes: int) -> None:
    lines = append_sample(place, 1000, late=70)
    place.projector().catch_up()
    report = rebuilt(place, processes=processes)
    assert held(place, 1) == held(place, 2)
    assert position(place, 1) == position(place, 2) == report.position == 1000
    assert (report.events, report.appointments) == (1000, len(held(place)["appointment"]))
    check_read_models(place.url, place.schema, map(json.loads, lines))


def rebuild_a_history(url: str, schema: str | None, envelopes: list[dict[str, Any]], projected: int) -> None:
    place = Place("any", url, schema)
    with place.closing:
        project(place, *envelopes[:projected])
        project(place, *envelopes[projected:])
        rebuilt(place)
        assert held(place, 1) == held(place, 2)
        assert position(place, 1) == position(place, 2)
        check_read_models(url, schema, envelopes)


@settings(max_examples=100)
@given(histories(max_envelopes=12), st.integers(0, 12))
def test_any_history_is_rebuilt_as_it_was_projected(envelopes: list[dict[str, Any]], projected: int) -> None:
    rebuild_a_history(f"memory:rebuilt-{next(_numbers)}", None, envelopes, projected)


@settings(max_examples=15)
@given(envelopes=histories(max_envelopes=12), projected=st.integers(0, 12))
def test_any_history_in_a_file_is_rebuilt_as_it_was_projected(
    tmp_path_factory: pytest.TempPathFactory, envelopes: list[dict[str, Any]], projected: int
) -> None:
    folder = tmp_path_factory.mktemp("rebuilt")
    rebuild_a_history(f"sqlite:///{folder}/appointments.db", None, envelopes, projected)


@settings(max_examples=8)
@given(envelopes=histories(max_envelopes=12), projected=st.integers(0, 12))
def test_any_history_in_a_schema_is_rebuilt_as_it_was_projected(
    postgres_place: Place, envelopes: list[dict[str, Any]], projected: int
) -> None:
    with own_schema(postgres_place.url) as schema:
        rebuild_a_history(postgres_place.url, schema, envelopes, projected)


def test_a_number_is_never_used_again_and_only_the_previous_generation_is_kept(place: Place) -> None:
    project(place, envelope(1))
    assert [rebuilt(place).generation for _ in range(3)] == [2, 3, 4]
    assert states(place) == {1: "dropped", 2: "dropped", 3: "ready", 4: "ready"}
    assert (rolled_back(place), rebuilt(place).generation) == (3, 5)
    assert states(place) == {1: "dropped", 2: "dropped", 3: "ready", 4: "dropped", 5: "ready"}
    if place.backend != "memory":
        assert table_names(place) == tables_of(3, 5)


def test_what_was_appended_but_not_projected_is_served_after_a_rebuild(place: Place) -> None:
    schedules = project(place, envelope(1, id="a"))
    append(place, envelope(2, id="b"))
    assert rebuilt(place).position == 2
    assert [one.id for one in schedules.talent("talent-1")] == ["a", "b"]


def test_what_is_appended_and_projected_during_a_rebuild_is_served_after_it(place: Place) -> None:
    project(place, envelope(1, id="a"))
    event_ids = itertools.count(2)
    told: list[str] = []

    def appending(progress: Progress) -> None:
        # While it verifies, a place in memory is still: it lets nobody in.
        if progress.phase not in told and progress.phase != "verify":
            told.append(progress.phase)
            number = next(event_ids)
            project(place, envelope(number, id=f"id-{number}"))

    assert rebuilt(place, progress=appending).position == 6
    assert len(place.schedules().talent("talent-1")) == 6
    assert place.appointments().verify().differences == []


def test_a_rollback_catches_the_previous_generation_up_and_can_be_taken_back(place: Place) -> None:
    schedules = project(place, envelope(1, id="a"), envelope(2, id="b"))
    rebuilt(place)
    project(place, envelope(3, id="c"), envelope(4, id="a", status="DONE"))
    assert (position(place, 1), position(place, 2)) == (2, 4)
    assert (rolled_back(place), serving(place)) == (1, 1)
    assert held(place, 1) == held(place, 2)
    assert schedules.talent("talent-1").stamp.to_json() == {"position": 4, "lag": 0, "generation": 1}
    project(place, envelope(5, id="d"))
    assert (rolled_back(place), serving(place)) == (2, 2)
    assert held(place, 1) == held(place, 2)
    assert [one.id for one in schedules.talent("talent-1")] == ["a", "b", "c", "d"]


def test_without_a_previous_generation_there_is_nothing_to_roll_back_to(place: Place) -> None:
    project(place, envelope(1))
    with pytest.raises(RebuildFailed, match="no previous generation"):
        rolled_back(place)


def test_a_rollback_of_nothing_leaves_nothing_behind(durable_place: Place, tmp_path: Any) -> None:
    with pytest.raises(NotInstalled, match="appointments init"):
        rolled_back(durable_place)
    assert list(tmp_path.iterdir()) == []


def test_a_rollback_stays_inside_a_version_of_the_fold(place: Place) -> None:
    project(place, envelope(1, title="before"))
    rebuilt(place)
    with newer_code():
        rebuilt(place)
        with pytest.raises(RebuildFailed, match="no previous generation"):
            rolled_back(place)
        rebuilt(place)
        assert (rolled_back(place), serving(place)) == (3, 3)
    assert (serving(place), rolled_back(place)) == (2, 1)
    assert [one.title for one in place.schedules().talent("talent-1")] == ["before"]
    with newer_code():
        assert serving(place) == 3


def everything_that_reads(place: Place) -> list[Callable[[], object]]:
    schedules = place.schedules()
    return [
        lambda: place.projector().catch_up(),
        lambda: schedules.talent("talent-1"),
        lambda: schedules.coach("coach-1"),
        lambda: schedules.appointment("appointment-1"),
        lambda: schedules.changes(talent_id="talent-1"),
        schedules.talents,
        lambda: place.appointments().verify().differences,
    ]


def test_read_models_of_an_older_fold_ask_for_a_rebuild_and_stay_as_they_are(place: Place) -> None:
    schedules = project(place, envelope(1))
    set_fold_version(place, 1, 0)
    append(place, envelope(2))
    for question in everything_that_reads(place):
        with pytest.raises(
            NotRebuilt, match=r"version 0 of the fold and this code knows version \d; run: appointments reb"
        ):
            question()
    assert rebuilt(place).position == 2
    assert [one.revision for one in schedules.talent("talent-1")] == [2]
    assert (catalogue(place).pointers, position(place, 1)) == ({0: (1, None), current_fold_version(): (2, None)}, 1)


def test_a_follower_waits_for_the_first_rebuild_of_its_version_as_long_as_its_patience_lasts(
    place: Place, capfd: pytest.CaptureFixture[str]
) -> None:
    project(place, envelope(1))
    set_fold_version(place, 1, 0)
    assert run(["project", "--follow", "--patience", "0", *place.arguments]) == 75
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "WARNING waiting" in printed.err
    assert "the follower ends: the read models were made by version 0 of the fold" in printed.err.splitlines()[-1]


def test_where_only_newer_code_has_read_models_older_code_asks_to_be_upgraded(place: Place) -> None:
    project(place, envelope(1))
    set_fold_version(place, 1, NEWER_VERSION)
    append(place, envelope(2))
    for question in everything_that_reads(place):
        with pytest.raises(
            VersionMismatch, match=r"version \d of the fold and this code knows version \d: upgrade"
        ) as no:
            question()
        assert not isinstance(no.value, NotRebuilt)


def test_older_code_goes_on_beside_newer_code_and_leaves_what_that_made_alone(place: Place) -> None:
    project(place, envelope(1, title="before"))
    with newer_code():
        rebuilt(place)
        rebuilt(place)
        building = generations(place).begin([])
        rows, known = held(place), catalogue(place)
    project(place, envelope(2, id="b", title="before"))
    for _ in range(3):
        rebuilt(place, restart=True)
    rolled_back(place)
    assert place.appointments().drop_old_generations() == ((), ())
    assert [one.title for one in place.schedules().talent("talent-1")] == ["before", "before"]
    if place.backend != "memory":
        assert set(execute(place, "SELECT title FROM current_talent_schedule")) == {("AFTER",)}
    with newer_code():
        assert (held(place), catalogue(place).pointers[NEWER_VERSION]) == (rows, known.pointers[NEWER_VERSION])
        assert catalogue(place).made_by_this_fold(*GenerationState) == known.made_by_this_fold(*GenerationState)
        assert unfinished(place)[-1] == building
        assert [one.title for one in project(place).talent("talent-1")] == ["AFTER", "AFTER"]


def test_older_code_refuses_on_the_command_line_with_one_line(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    project(place, envelope(1))
    set_fold_version(place, 1, NEWER_VERSION)
    for command in (["project"], ["verify"], ["rollback"], ["status"], ["talent", "talent-1"]):
        append(place, envelope(2))
        assert run([*command, *place.arguments]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert f"this code knows version {current_fold_version()}: upgrade this code" in printed.err
        assert "rebuild" not in printed.err


OLD_READER = """
import sys
from projections import Appointments
with Appointments.open(sys.argv[1], schema=sys.argv[2] or None) as appointments:
    for _ in sys.stdin:
        print([one.title for one in appointments.schedules.talent("talent-1")], flush=True)
"""


def test_a_new_version_of_the_fold_is_rebuilt_and_switched_to_while_old_code_reads(durable_place: Place) -> None:
    project(durable_place, envelope(1, title="before"))
    with python(OLD_READER, durable_place.url, durable_place.schema or "") as old, newer_code():

        def ask_old() -> str:
            assert old.stdin is not None
            print(file=old.stdin, flush=True)
            return line_of(old)

        assert ask_old() == "['before']"
        rebuilt(durable_place, progress=lambda _: ask_old())
        assert [one.title for one in durable_place.schedules().talent("talent-1")] == ["AFTER"]
        assert ask_old() == "['before']"
        rebuilt(durable_place)
        rolled_back(durable_place)
        assert ask_old() == "['before']"


def test_code_of_a_new_version_folds_anew_wherever_it_folds(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade(monkeypatch)
    schedules = project(place, envelope(1, title="before"))

    def titles() -> list[str]:
        now = schedules.talent("talent-1")
        then = schedules.talent("talent-1", as_of=datetime(2100, 1, 1, tzinfo=UTC))
        return [one.title for one in (*now, *then, *schedules.coach("coach-1"))]

    assert titles() == ["AFTER"] * 3
    project(place, envelope(2, title="before"))
    assert titles() == ["AFTER"] * 3
    rebuilt(place)
    assert titles() == ["AFTER"] * 3
    assert place.appointments().verify().differences == []
    assert [one.fold_version for one in catalogue(place).generations] == [NEWER_VERSION] * 2


def test_of_two_rebuilds_at_once_the_second_is_refused(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    project(place, envelope(1))
    refused: list[str] = []

    def another(progress: Progress) -> None:
        with pytest.raises(RebuildRunning, match=r"another rebuild of .* is under way"):
            rebuilt(place)
        with pytest.raises(RebuildRunning, match=r"another rebuild of .* is under way"):
            rolled_back(place)
        refused.append(progress.phase)

    rebuilt(place)
    rebuilt(place, progress=another)
    assert set(refused) == set(PHASES)
    with generations(place).rebuilding():
        assert run(["rebuild", *place.arguments]) == 75
    assert "another rebuild" in capsys.readouterr().err


def test_of_rebuilds_in_two_threads_one_is_done_and_one_refused(place: Place) -> None:
    append_sample(place, 300)
    outcomes: list[object] = []
    together = threading.Barrier(2)

    def one() -> None:
        together.wait()
        with suppress(RebuildRunning):
            outcomes.append(rebuilt(place).generation)

    threads = [threading.Thread(target=one) for _ in range(2)]
    place.projector()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes in ([2], [2, 3])  # the second may have come when the first was done
    assert unfinished(place) == []


@pytest.mark.usefixtures("small_partitions")
def test_progress_is_told_by_phase_in_order(place: Place) -> None:
    append_sample(place, 400)
    told: list[Progress] = []
    report = rebuilt(place, progress=told.append)
    assert list(dict.fromkeys(one.phase for one in told)) == PHASES
    assert all(0 <= one.done <= one.total and one.seconds >= 0 for one in told)
    for phase in PHASES:
        done = [one.done for one in told if one.phase == phase]
        assert done == sorted(done)
        assert done[-1] == max(one.total for one in told if one.phase == phase)
    assert len([one for one in told if one.phase == "load"]) > 3
    assert list(report.seconds) == PHASES
    assert report.total_seconds > 0
    assert report.events_per_second == pytest.approx(400 / report.total_seconds)


def test_the_command_prints_its_report_as_json(place: Place, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    project(place, envelope(1), envelope(2, id="b"))
    assert run(["rebuild", *place.arguments, "--json"]) == 0
    document = json.loads(capsysbinary.readouterr().out)
    assert (document["generation"], document["position"]) == (2, 2)
    assert (document["events"], document["appointments"]) == (2, 2)
    assert list(document["seconds"]) == PHASES
    assert document["events_per_second"] > 0
    assert document["total_seconds"] >= 0
    assert run(["rollback", *place.arguments, "--json"]) == 0
    assert json.loads(capsysbinary.readouterr().out) == {"generation": 1}


def test_cursors_stay_good_across_a_switch_and_a_rollback(place: Place) -> None:
    schedules = project(place, *(envelope(number, id=f"id-{number}") for number in range(1, 8)))
    pages = [schedules.talent("talent-1", limit=2)]
    changes: list[Callable[[Place], object]] = [rebuilt, rolled_back, rebuilt]
    for change in changes:
        change(place)
        pages.append(schedules.talent("talent-1", limit=2, after=pages[-1].next))
    assert [one.id for page in pages for one in page] == [f"id-{number}" for number in range(1, 8)]
    assert [page.generation for page in pages] == [1, 2, 1, 3]


def test_change_tokens_stay_good_across_a_switch_and_a_rollback(place: Place) -> None:
    schedules = project(place, envelope(1, id="a"))
    token = schedules.changes(talent_id="talent-1").token
    switches: list[Callable[[Place], object]] = [rebuilt, rolled_back, rebuilt, rolled_back]
    for number, switch in enumerate(switches, start=2):
        switch(place)
        assert schedules.changes(talent_id="talent-1", since=token).changes == ()
        project(place, envelope(number, id=f"id-{number}"))
        changes = schedules.changes(talent_id="talent-1", since=token)
        assert [one.id for one in changes] == [f"id-{number}"]
        token = changes.token


def test_who_waits_for_a_position_is_woken_by_the_switch_that_brings_it(place: Place) -> None:
    schedules = project(place, envelope(1))
    append(place, envelope(2, id="b"))
    found: list[int] = []
    waiting = threading.Thread(
        target=lambda: found.append(len(schedules.talent("talent-1", at_least=2, timeout=600)))
    )
    waiting.start()
    rebuilt(place)
    waiting.join(30)
    assert found == [2]


def test_a_question_of_someone_who_slept_through_several_rebuilds_is_answered(place: Place) -> None:
    schedules = project(place, envelope(1))
    for _ in range(3):
        rebuilt(place)
    assert (catalogue(place).previous, schedules.talent("talent-1").generation) == (3, 4)
