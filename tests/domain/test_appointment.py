"""The fold: an appointment from its envelopes, in whatever order and however often they arrive."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.appointment import Appointment, appointment_of, fold
from domain.contract import read_envelope
from domain.envelope import CancelationReason, CanceledBy, Envelope, Status
from domain.identifiers import Position
from projections.rows import appointment_from, rows_of
from tests.support.builders import as_json, envelope


def accepted(event_id: int, *, at: str | None = None, **fields: Any) -> Envelope:
    outcome = read_envelope(as_json(envelope(event_id, at=at, **fields)))
    assert isinstance(outcome, Envelope)
    return outcome


def folded(*envelopes: Envelope) -> Appointment:
    """The appointment of envelopes that arrive one at a time, in this order."""
    known = None
    for one in envelopes:
        known = fold(known, [one])
    assert known is not None
    assert known == fold(None, envelopes), "one batch gives what single arrivals give"
    return appointment_of(known)


def statuses(appointment: Appointment) -> list[str]:
    return [str(step.status) for step in appointment.lifecycle]


def test_every_snapshot_field_comes_from_the_envelope_with_the_highest_id() -> None:
    appointment = folded(
        accepted(2, title="new", description="d", subphaseId="s", talentBlockId="b", appointmentType="PART_TWO"),
        accepted(1, title="old", description="x", subphaseId="x", talentBlockId="x", appointmentType="PART_ONE"),
    )
    assert appointment.title == "new"
    assert appointment.description == "d"
    assert appointment.subphase_id == "s"
    assert appointment.talent_block_id == "b"
    assert appointment.appointment_type == "PART_TWO"
    assert appointment.event_id == 2


def test_a_field_that_the_newest_envelope_lacks_is_null_and_not_the_older_value() -> None:
    newest = envelope(2)
    for optional in ("startDate", "endDate", "updatedAt", "cancelationExplanation"):
        del newest["eventData"]["appointment"][optional]
    outcome = read_envelope(newest)
    assert isinstance(outcome, Envelope)
    appointment = folded(accepted(1, updatedAt="2023-07-01T00:00:00Z", cancelationExplanation="why"), outcome)
    assert appointment.start_date is None
    assert appointment.end_date is None
    assert appointment.updated_at is None
    assert appointment.cancelation_explanation is None


def test_the_order_is_that_of_ids_and_not_of_publication_times() -> None:
    appointment = folded(
        accepted(1, at="2023-12-31T00:00:00Z", title="first"),
        accepted(2, at="2023-01-01T00:00:00Z", title="second"),
    )
    assert appointment.title == "second"


def test_ids_are_ordered_as_numbers_and_not_as_text() -> None:
    assert folded(accepted(9, title="nine"), accepted(10, title="ten")).title == "ten"
    largest = 2**63 - 1
    assert folded(accepted(largest, title="largest"), accepted(largest - 1)).title == "largest"


def test_revision_counts_distinct_envelopes() -> None:
    first, second = accepted(1), accepted(2)
    assert folded(first).revision == 1
    assert folded(first, second, first, second, second).revision == 2


def test_a_known_event_id_is_ignored_and_gives_the_same_object() -> None:
    known = fold(None, [accepted(1), accepted(2)])
    assert fold(known, [accepted(1), accepted(2), accepted(1)]) is known
    assert fold(known, []) is known


def test_a_known_event_id_is_ignored_even_with_other_content() -> None:
    known = fold(None, [accepted(1, title="first arrival")])
    assert fold(known, [accepted(1, title="second arrival", status="DONE")]) is known


def test_of_two_envelopes_with_one_id_in_one_batch_the_first_counts() -> None:
    appointment = appointment_of(fold(None, [accepted(1, title="first"), accepted(1, title="second", status="DONE")]))
    assert (appointment.title, appointment.revision) == ("first", 1)
    assert statuses(appointment) == ["PLANNED"]


def test_a_known_event_id_with_other_content_is_ignored_beside_new_ones_too() -> None:
    known = fold(None, [accepted(1)])
    assert fold(known, [accepted(1, status="DONE"), accepted(2)]) == fold(known, [accepted(2)])


def test_nothing_at_all_cannot_be_folded() -> None:
    with pytest.raises(ValueError, match="nothing to fold"):
        fold(None, [])


def test_folding_does_not_change_what_was_known() -> None:
    known = fold(None, [accepted(1)])
    again = fold(None, [accepted(1)])
    assert fold(known, [accepted(2, status="DONE")]) != known
    assert known == again


# Moves


def test_an_appointment_moves_between_coaches_and_back() -> None:
    there = folded(accepted(1, coachId="ana"), accepted(2, coachId="ben"))
    assert there.coach_id == "ben"
    back = folded(accepted(1, coachId="ana"), accepted(2, coachId="ben"), accepted(3, coachId="ana"))
    assert (back.coach_id, back.revision, back.irregular) == ("ana", 3, False)


def test_an_appointment_moves_between_talents_and_back() -> None:
    there = folded(accepted(1, talentId="tia"), accepted(2, talentId="udo"))
    assert there.talent_id == "udo"
    back = folded(accepted(1, talentId="tia"), accepted(2, talentId="udo"), accepted(3, talentId="tia"))
    assert (back.talent_id, back.revision, back.irregular) == ("tia", 3, False)


def test_a_late_envelope_does_not_move_an_appointment_back() -> None:
    appointment = folded(accepted(2, coachId="ben", talentId="udo"), accepted(1, coachId="ana", talentId="tia"))
    assert (appointment.coach_id, appointment.talent_id) == ("ben", "udo")


# Dates


def test_dates_are_set_and_unset() -> None:
    unplanned = {"startDate": None, "endDate": None}
    assert folded(accepted(1, **unplanned)).start_date is None
    assert folded(accepted(1, **unplanned), accepted(2)).start_date == datetime(2023, 7, 10, 9, tzinfo=UTC)
    unset = folded(accepted(1), accepted(2, **unplanned))
    assert (unset.start_date, unset.end_date) == (None, None)


def test_reschedules_count_changes_of_either_date() -> None:
    appointment = folded(
        accepted(1),
        accepted(2, startDate="2023-07-10T08:00:00Z"),
        accepted(3, startDate="2023-07-10T08:00:00Z", endDate="2023-07-10T08:30:00Z"),
        accepted(4, startDate="2023-07-11T08:00:00Z", endDate="2023-07-11T08:30:00Z"),
    )
    assert appointment.reschedules == 3


def test_setting_and_unsetting_dates_are_reschedules() -> None:
    unplanned = {"startDate": None, "endDate": None}
    assert folded(accepted(1, **unplanned), accepted(2), accepted(3, **unplanned)).reschedules == 2


def test_the_same_moment_spelled_otherwise_is_no_reschedule() -> None:
    appointment = folded(
        accepted(1, startDate="2023-07-10T09:00:00.000Z"),
        accepted(2, startDate="2023-07-10T11:00:00+02:00"),
        accepted(3, startDate="2023-07-10T09:00:00.000999Z"),
    )
    assert appointment.reschedules == 0


def test_a_change_of_anything_else_is_no_reschedule() -> None:
    assert folded(accepted(1), accepted(2, title="other", coachId="ben", status="DONE")).reschedules == 0


def test_a_late_envelope_does_not_undo_a_reschedule_but_is_counted_in_its_place() -> None:
    moved = {"startDate": "2023-07-11T09:00:00Z"}
    appointment = folded(accepted(1), accepted(3), accepted(2, **moved))
    assert appointment.start_date == datetime(2023, 7, 10, 9, tzinfo=UTC)
    assert appointment.reschedules == 2


def test_an_end_before_the_start_is_kept_as_published() -> None:
    appointment = folded(accepted(1, startDate="2023-07-10T09:00:00Z", endDate="2023-07-10T08:00:00Z"))
    assert appointment.end_date == datetime(2023, 7, 10, 8, tzinfo=UTC)


# Deletion


def test_an_appointment_is_softly_deleted_and_undeleted() -> None:
    deleted = folded(accepted(1), accepted(2, deletedAt="2023-07-03T00:00:00Z"))
    assert deleted.deleted_at == datetime(2023, 7, 3, tzinfo=UTC)
    assert (deleted.status, deleted.revision, deleted.irregular) == (Status.PLANNED, 2, False)
    undeleted = folded(accepted(1), accepted(2, deletedAt="2023-07-03T00:00:00Z"), accepted(3))
    assert undeleted.deleted_at is None


def test_a_late_envelope_does_not_undo_a_deletion() -> None:
    assert folded(accepted(2, deletedAt="2023-07-03T00:00:00Z"), accepted(1)).deleted_at is not None


# The lifecycle


@pytest.mark.parametrize("end", ["DONE", "CANCELED"])
def test_planned_to_done_and_planned_to_canceled_are_regular(end: str) -> None:
    appointment = folded(accepted(1), accepted(2, status=end))
    assert statuses(appointment) == ["PLANNED", end]
    assert not appointment.irregular


def test_an_appointment_that_is_only_planned_is_regular() -> None:
    assert not folded(accepted(1), accepted(2, title="other")).irregular


@pytest.mark.parametrize("first", ["DONE", "CANCELED"])
def test_a_first_revision_that_is_not_planned_is_irregular(first: str) -> None:
    assert folded(accepted(1, status=first)).irregular


@pytest.mark.parametrize(
    "path",
    [
        ("PLANNED", "DONE", "PLANNED"),
        ("PLANNED", "DONE", "CANCELED"),
        ("PLANNED", "CANCELED", "PLANNED"),
        ("PLANNED", "CANCELED", "DONE"),
        ("PLANNED", "DONE", "PLANNED", "DONE"),
    ],
)
def test_any_other_step_is_irregular_shown_and_not_refused(path: tuple[str, ...]) -> None:
    appointment = folded(*(accepted(number, status=status) for number, status in enumerate(path, 1)))
    assert statuses(appointment) == list(path)
    assert appointment.irregular
    assert appointment.status == path[-1]


def test_once_irregular_an_appointment_stays_irregular() -> None:
    assert folded(*(accepted(n, status=s) for n, s in enumerate(("DONE", "PLANNED", "DONE"), 1))).irregular


def test_a_late_first_envelope_makes_an_irregular_appointment_regular() -> None:
    assert folded(accepted(2, status="DONE")).irregular
    assert not folded(accepted(2, status="DONE"), accepted(1)).irregular


def test_the_lifecycle_lists_changes_of_status_only() -> None:
    appointment = folded(accepted(1), accepted(2, title="x"), accepted(3, status="DONE"), accepted(4, status="DONE"))
    assert [(step.status, step.event_id) for step in appointment.lifecycle] == [("PLANNED", 1), ("DONE", 3)]


def test_folded_or_read_from_a_row_an_appointment_is_the_same_frozen_dataclass_throughout() -> None:
    once = fold(None, [accepted(1), accepted(2, status="DONE")])
    [row] = rows_of([(once, Position(2))]).talents
    assert row.body is not None
    assert appointment_of(once) == appointment_from(row.body)
    assert [dataclasses.asdict(step)["status"] for step in appointment_of(once).lifecycle] == ["PLANNED", "DONE"]


def test_a_step_of_the_lifecycle_has_the_time_of_its_envelope() -> None:
    appointment = folded(accepted(1, at="2023-07-02T10:00:00+02:00", updatedAt="2023-07-02T12:00:00Z"))
    assert appointment.lifecycle[0].at == datetime(2023, 7, 2, 8, tzinfo=UTC)


def test_who_and_why_belong_to_the_canceled_step_only() -> None:
    why = {"canceledBy": "COACH", "cancelationReason": "COACH_NO_LONGER_AVAILABLE"}
    appointment = folded(accepted(1, **why), accepted(2, status="CANCELED", **why), accepted(3, status="DONE", **why))
    planned, canceled, done = appointment.lifecycle
    assert (canceled.canceled_by, canceled.cancelation_reason) == (
        CanceledBy.COACH,
        CancelationReason.COACH_NO_LONGER_AVAILABLE,
    )
    for other in (planned, done):
        assert (other.canceled_by, other.cancelation_reason) == (None, None)


def test_a_cancelation_without_who_and_why_has_neither() -> None:
    step = folded(accepted(1), accepted(2, status="CANCELED")).lifecycle[-1]
    assert (step.canceled_by, step.cancelation_reason) == (None, None)


def test_the_fields_of_cancelation_are_the_newest_snapshots_whatever_the_status() -> None:
    why = {"canceledBy": "TALENT", "cancelationReason": "OTHER", "cancelationExplanation": "malade"}
    kept = folded(accepted(1, status="CANCELED", **why), accepted(2, **why))
    assert (kept.canceled_by, kept.cancelation_reason, kept.cancelation_explanation) == ("TALENT", "OTHER", "malade")
    dropped = folded(accepted(1, status="CANCELED", **why), accepted(2))
    assert (dropped.canceled_by, dropped.cancelation_reason, dropped.cancelation_explanation) == (None, None, None)


def test_a_late_envelope_does_not_undo_a_cancelation() -> None:
    canceled = accepted(3, status="CANCELED", canceledBy="ADMIN", cancelationReason="OTHER")
    appointment = folded(accepted(1), canceled, accepted(2, title="late"))
    assert appointment.status is Status.CANCELED
    assert (appointment.canceled_by, appointment.revision) == ("ADMIN", 3)
    assert statuses(appointment) == ["PLANNED", "CANCELED"]
    assert not appointment.irregular


def test_a_late_envelope_appears_at_its_place_in_the_lifecycle() -> None:
    appointment = folded(accepted(1), accepted(3), accepted(2, status="CANCELED", canceledBy="COACH"))
    assert [(str(step.status), step.event_id) for step in appointment.lifecycle] == [
        ("PLANNED", 1),
        ("CANCELED", 2),
        ("PLANNED", 3),
    ]
    assert appointment.lifecycle[1].canceled_by is CanceledBy.COACH
    assert appointment.status is Status.PLANNED
    assert appointment.irregular


def test_a_late_envelope_of_the_same_status_takes_over_the_step() -> None:
    late = accepted(2, status="CANCELED", canceledBy="TALENT", cancelationReason="TALENT_NO_SHOW")
    appointment = folded(accepted(1), accepted(3, status="CANCELED", canceledBy="ADMIN"), late)
    assert (appointment.lifecycle[-1].event_id, appointment.lifecycle[-1].canceled_by) == (2, "TALENT")
    assert appointment.canceled_by == "ADMIN"


def test_an_appointment_as_a_dict_has_every_field_but_the_lifecycle() -> None:
    appointment = folded(accepted(1))
    assert set(appointment.to_dict()) == set(Appointment.__dataclass_fields__) - {"lifecycle"}
    assert appointment.to_dict()["title"] == "Séance Découverte"
