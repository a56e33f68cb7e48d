"""Stored envelopes that were changed in place: a marker lets every projector fold their appointments anew."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import AppointmentNotFound, PoisonEvent
from domain.identifiers import AppointmentId, Position
from domain.markers import Marker
from domain.storage.base import Rewritten
from domain.topics import MARKER_TOPIC, MASKED_TOPIC, SET_ASIDE_TOPIC, TOPIC
from projections import Progress
from tests.conftest import Place, patch_batches
from tests.projections.test_projector import store_unchecked
from tests.support.builders import as_json, envelope
from tests.support.generations import append_sample, held, serving
from tests.support.marking import rewrite
from tests.support.rebuilding import append, cut_small_partitions, project, rebuilt

_numbers = itertools.count(1)


def check_rebuild(place: Place) -> None:
    """The live rows equal those of a rebuild, positions included, and history."""
    live = held(place)
    assert place.appointments().verify().differences == []
    rebuilt(place)
    assert held(place) == live
    assert place.appointments().verify().differences == []


def test_what_was_changed_in_place_is_folded_anew(place: Place) -> None:
    schedules = project(place, envelope(1), envelope(2, title="second"), envelope(3, id="b"))
    rewrite(place, 2, envelope(2, title="another"))
    assert place.events().head() == 4
    assert schedules.talent("talent-1").lag == 1
    assert place.projector().catch_up() == 4
    assert schedules.appointment("appointment-1").title == "another"
    assert schedules.appointment("b").title == "Séance Découverte"
    check_rebuild(place)


def test_rows_of_those_whom_nothing_names_any_more_are_deleted(place: Place) -> None:
    schedules = project(place, envelope(1, talentId="t-1"), envelope(2, talentId="t-2"))
    rewrite(place, 1, envelope(1, talentId="t-3"))
    place.projector().catch_up()
    keys = [row[0] for row in held(place)["talent_schedule"]]
    assert keys == ["t-2", "t-3"]
    assert len(schedules.talent("t-2")) == 1
    check_rebuild(place)


def test_a_marker_leaves_tombstones_for_whom_the_change_feed_has_to_tell(place: Place) -> None:
    schedules = project(place, envelope(1, talentId="t-1", coachId="c-1"))
    before = schedules.changes(talent_id="t-1")
    assert [one.id for one in before] == ["appointment-1"]
    rewrite(place, 1, envelope(1, talentId="t-2", coachId="c-1"), talents=("t-1", "t-2"), coaches=("c-1", "c-9"))
    place.projector().catch_up()
    after = schedules.changes(talent_id="t-1", since=before.token)
    assert [(one.id, one.appointment) for one in after] == [("appointment-1", None)]
    assert [row[0] for row in held(place)["coach_schedule"]] == ["c-1", "c-9"]
    check_rebuild(place)
    append(place, envelope(2, talentId="t-1"))
    place.projector().catch_up()
    assert len(schedules.changes(talent_id="t-1", since=after.token)) == 1
    assert len(schedules.talent("t-1")) == 1
    check_rebuild(place)


NOW = datetime(2100, 1, 1, tzinfo=UTC)


def test_the_fold_passes_over_what_is_set_aside(place: Place) -> None:
    schedules = project(place, envelope(1, title="first"), envelope(2, title="second"), envelope(3, id="b"))
    rewrite(place, 2, b"{}", topic=SET_ASIDE_TOPIC)
    rewrite(place, 3, b"{}", topic=SET_ASIDE_TOPIC)
    place.projector().catch_up()
    assert schedules.appointment("appointment-1").title == "first"
    for past in (schedules.talent("talent-1", as_of=NOW), schedules.talent("talent-1", known_at=NOW)):
        assert [one.title for one in past] == ["first"]
    assert [one.event_id for one in schedules.history("appointment-1").revisions] == [1]
    assert [one.event_id for one in place.events().history("appointment-1")] == [1]
    for question in (schedules.history, schedules.appointment):
        with pytest.raises(AppointmentNotFound):
            question("b")
    assert [json.loads(line)["id"] for line in place.events().lines()] == [1]
    check_rebuild(place)
    append(place, envelope(4, id="b", title="fourth"))
    place.projector().catch_up()
    assert schedules.appointment("b").title == "fourth"
    check_rebuild(place)


def test_an_event_that_is_set_aside_before_it_was_projected_leaves_equal_rows_too(place: Place) -> None:
    project(place, envelope(1), envelope(2, id="b"))
    store_unchecked(place, 3, "appointment-1", SET_ASIDE_TOPIC, b"{}")
    store_unchecked(place, 4, "c", SET_ASIDE_TOPIC, b"{}")
    assert place.projector().catch_up() == 4
    check_rebuild(place)


def test_what_is_masked_is_folded_and_is_a_duplicate_whatever_its_id_brings_again(place: Place) -> None:
    schedules = project(place, envelope(1, title="first"), envelope(2, title="second"))
    rewrite(place, 2, envelope(2, title="", talentId="forgotten"), topic=MASKED_TOPIC)
    place.projector().catch_up()
    assert (schedules.appointment("appointment-1").title, len(schedules.talent("forgotten"))) == ("", 0)
    assert len(schedules.history("appointment-1").revisions) == 2
    again = [envelope(2, title="second"), envelope(2, title="third"), envelope(2, id="b")]
    report = place.events().append(map(as_json, again))
    assert (report.duplicates, report.appended, report.quarantined) == (3, 0, 0)
    check_rebuild(place)


def test_markers_count_as_positions_and_not_as_envelopes(place: Place) -> None:
    project(place, envelope(1), envelope(2))
    for _ in range(2):
        rewrite(place, 2, envelope(2, title="another"))
    status = place.appointments().status()
    assert (status.events, status.position, status.lag) == (2, 2, 2)
    stream = place.events().stream("appointment-1")
    assert [(one.event_id, one.position) for one in stream] == [(-2, 4), (-1, 3), (1, 1), (2, 2)]
    marker = Marker.of(stream[0])
    assert (marker.appointment_id, marker.positions) == ("appointment-1", (2,))
    append(place, envelope(3))
    assert place.projector().catch_up() == 5
    assert place.appointments().status().events == 3
    check_rebuild(place)


def test_until_its_marker_is_projected_verification_passes_over_an_appointment(place: Place) -> None:
    project(place, envelope(1), envelope(2, id="b", talentId="t-2"), envelope(3, id="c"))
    rewrite(place, 1, envelope(1, title="another"))
    rewrite(place, 2, b"{}", topic=SET_ASIDE_TOPIC)
    verification = place.appointments().verify()
    assert (verification.differences, verification.checked) == ([], 1)
    place.projector().catch_up()
    assert place.appointments().verify() == (2, [], 1)


@pytest.mark.parametrize("phase", ["load", "verify", "catch up"])
def test_a_rebuild_meets_what_is_changed_in_place_while_it_runs(
    place: Place, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    cut_small_partitions(monkeypatch)
    append_sample(place, 250)
    positions = [Position(one) for one in (1, 100, 250)]
    event_ids = [place.events().at(position).event_id for position in positions]
    place.projector().catch_up()
    told: list[str] = []

    def change(progress: Progress) -> None:
        if progress.phase == phase and not told:
            told.append(phase)
            for event_id in event_ids:
                rewrite(place, event_id, b"{}", topic=SET_ASIDE_TOPIC)

    before = serving(place)
    assert rebuilt(place, progress=change).generation == before + 1
    place.projector().catch_up()
    assert told
    check_rebuild(place)


def test_the_previous_generation_folds_anew_before_it_serves_again(place: Place) -> None:
    schedules = project(place, envelope(1, title="first"), envelope(2, title="second"))
    rebuilt(place)
    rewrite(place, 2, b"{}", topic=SET_ASIDE_TOPIC)
    place.projector().catch_up()
    assert place.appointments().rollback() == 1
    assert schedules.appointment("appointment-1").title == "first"
    check_rebuild(place)


@pytest.mark.parametrize("kind", ["topic", "change"])
def test_code_that_is_too_old_for_an_event_stops_in_front_of_it_and_says_so(place: Place, kind: str) -> None:
    project(place, envelope(1))
    with place.events().recorder.appending() as append_transaction:
        topic = f"{MARKER_TOPIC}.2" if kind == "topic" else MARKER_TOPIC
        append_transaction.mark([(AppointmentId("appointment-1"), b'{"change": "blessed"}')], topic)
    with pytest.raises(PoisonEvent, match=r"position 2 .*upgrade"):
        place.projector().catch_up()
    with pytest.raises(PoisonEvent, match=r"position 2 .*upgrade"):
        rebuilt(place)
    assert serving(place) == 1


def test_nothing_is_changed_when_the_transaction_breaks_off(place: Place) -> None:
    project(place, envelope(1))
    before = place.events().stream("appointment-1")

    def break_off() -> None:
        with place.events().recorder.appending() as append_transaction:
            append_transaction.rewrite([Rewritten(before[0].position, SET_ASIDE_TOPIC, b"{}")])
            append_transaction.mark([(before[0].appointment_id, b"{}")], MARKER_TOPIC)
            raise KeyError

    with pytest.raises(KeyError):
        break_off()
    assert place.events().stream("appointment-1") == before
    assert place.events().head() == 1


def test_a_transaction_reads_events_by_position_and_by_appointment(place: Place) -> None:
    append(place, envelope(2), envelope(1), envelope(3, id="b"))
    with place.events().recorder.appending() as append_transaction:
        found = append_transaction.at(Position(2))
        assert found is not None
        assert (found.event_id, found.text) == (1, as_json(envelope(1)))
        assert append_transaction.at(Position(4)) is None
        assert [one.position for one in append_transaction.stream(AppointmentId("appointment-1"))] == [2, 1]


def test_the_time_of_arrival_changes_only_where_that_is_said(place: Place) -> None:
    append(place, envelope(1), envelope(2))
    before = [one.arrived_at for one in place.events().stream("appointment-1")]
    with place.events().recorder.appending() as append_transaction:
        append_transaction.rewrite([Rewritten(Position(1), TOPIC, as_json(envelope(1)))])
        append_transaction.rewrite([Rewritten(Position(2), TOPIC, as_json(envelope(2)), NOW)])
    assert [one.arrived_at for one in place.events().stream("appointment-1")] == [before[0], NOW]


@settings(max_examples=40)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["rewrite", "set aside", "append", "project"]), st.integers(1, 6)), max_size=12
    ),
    batch=st.integers(1, 4),
)
def test_in_whatever_order_events_are_changed_and_projected_the_rows_are_those_of_a_rebuild(
    steps: list[tuple[str, int]], batch: int
) -> None:
    place = Place("memory", f"memory:markers-{next(_numbers)}")
    with place.closing, pytest.MonkeyPatch.context() as patch:
        place.events()
        patch_batches(patch, batch)
        project(place, *(envelope(number, id=f"a-{number % 2}", talentId=f"t-{number}") for number in range(1, 5)))
        stored = {1, 2, 3, 4}
        for what, number in steps:
            sent = envelope(number, id=f"a-{number % 2}", talentId=f"t-{number % 3}", title=f"{len(stored)}")
            if what == "project":
                place.projector().catch_up()
            elif what == "append" and number not in stored:
                append(place, sent)
                stored.add(number)
            elif number in stored:
                text = b"{}" if what == "set aside" else as_json(sent)
                topic = SET_ASIDE_TOPIC if what == "set aside" else TOPIC
                rewrite(place, number, text, topic=topic, talents=(f"t-{number}",))
        assert place.appointments().verify().differences == []
        place.projector().catch_up()
        check_rebuild(place)
