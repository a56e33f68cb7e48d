"""Property tests of the fold: an appointment is a pure function of the set of its accepted envelopes."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.appointment import FoldedAppointment, appointment_of, fold
from domain.contract import read_envelope
from domain.envelope import Envelope
from domain.identifiers import Position
from projections.rows import (
    AppointmentRow,
    ScheduleRow,
    Side,
    appointment_from,
    folded_from,
    milliseconds_of,
    rows_of,
)
from tests.support import reference
from tests.support.histories import histories

Json = dict[str, Any]

streams = histories(appointments=1, max_envelopes=8)


def accepted(raw: Iterable[Json]) -> list[Envelope]:
    outcomes = [read_envelope(one) for one in raw]
    envelopes = [outcome for outcome in outcomes if isinstance(outcome, Envelope)]
    assert len(envelopes) == len(outcomes)
    return envelopes


def folded_one_by_one(envelopes: Iterable[Envelope]) -> dict[str, FoldedAppointment]:
    """All appointments of a history, each envelope folded into what was known when it arrived."""
    known: dict[str, FoldedAppointment] = {}
    for one in envelopes:
        known[one.snapshot.id] = fold(known.get(one.snapshot.id), [one])
    return known


@settings(max_examples=500)
@given(streams, st.data())
def test_any_order_repetition_and_batching_give_the_same_appointment(raw: list[Json], data: st.DataObject) -> None:
    envelopes = accepted(raw)
    expected = fold(None, sorted(envelopes, key=lambda one: one.event_id))
    again = data.draw(st.lists(st.sampled_from(envelopes), max_size=4), label="delivered again")
    arrivals = data.draw(st.permutations(envelopes + again), label="arrivals")
    cuts = data.draw(st.sets(st.integers(0, len(arrivals))), label="cuts")
    known = None
    for begin, end in pairwise(sorted(cuts | {0, len(arrivals)})):
        known = fold(known, arrivals[begin:end])
    assert known == expected
    assert repr(known) == repr(expected)  # of the same types, too


@settings(max_examples=500)
@given(histories(max_envelopes=8))
def test_the_fold_equals_an_independent_one(raw: list[Json]) -> None:
    known = folded_one_by_one(accepted(raw))
    expected = reference.histories(raw)
    assert known.keys() == expected.keys()
    for appointment_id, folded in known.items():
        actual = reference.as_plain(appointment_of(folded))
        assert actual == reference.expected_appointment(expected[appointment_id])


@settings(max_examples=150)
@given(streams)
def test_every_talent_and_coach_that_any_revision_names_has_exactly_one_row(raw: list[Json]) -> None:
    folded = fold(None, accepted(raw))
    rows = rows_of([(folded, Position(7))])
    newest = max(raw, key=lambda one: int(one["id"]))["eventData"]["appointment"]
    for side, key in ((Side.TALENT, "talentId"), (Side.COACH, "coachId")):
        named = [one["eventData"]["appointment"][key] for one in raw]
        assert sorted(row.owner_id for row in rows.of(side)) == sorted(set(named))
        for row in rows.of(side):
            assert (row.appointment_id, row.position) == (newest["id"], 7)
            if row.owner_id == newest[key]:
                assert_shows(row, folded, side)
            else:
                assert row[3:] == (None,) * (len(row) - 3), "a tombstone is all null but its key and position"


def assert_shows(row: ScheduleRow, folded: FoldedAppointment, side: Side) -> None:
    appointment = appointment_of(folded)
    assert row.body is not None
    assert appointment_from(row.body) == appointment_from(row.body.encode()) == appointment
    assert row.owner_id == side.owner_of(appointment)
    assert row.counterpart_id == side.other.owner_of(appointment)
    assert row.status == appointment.status
    assert row.appointment_type == appointment.appointment_type
    assert row.subphase_id == appointment.subphase_id
    assert row.is_deleted is (appointment.deleted_at is not None)
    if appointment.start_date is None:
        assert (row.starts_at, row.ends_at) == (None, None), "without a start there is no time window"
        return
    assert row.starts_at == milliseconds_of(appointment.start_date)
    assert row.ends_at is not None
    assert row.ends_at >= row.starts_at
    if appointment.end_date is not None and appointment.end_date >= appointment.start_date:
        assert row.ends_at == milliseconds_of(appointment.end_date)
    else:
        assert row.ends_at == row.starts_at


@settings(max_examples=150)
@given(streams)
def test_the_body_of_an_appointment_row_gives_back_what_was_folded(raw: list[Json]) -> None:
    folded = fold(None, accepted(raw))
    (row,) = rows_of([(folded, Position(3))]).appointments
    assert row == AppointmentRow(folded.snapshot.id, Position(3), row.body)
    assert folded_from(row.body) == folded_from(row.body.encode()) == folded
    assert repr(folded_from(row.body)) == repr(folded)


@settings(max_examples=150)
@given(streams, st.data())
def test_folding_goes_on_from_a_row_as_from_memory(raw: list[Json], data: st.DataObject) -> None:
    envelopes = accepted(raw)
    cut = data.draw(st.integers(1, len(envelopes)))
    (row,) = rows_of([(fold(None, envelopes[:cut]), Position(1))]).appointments
    assert fold(folded_from(row.body), envelopes[cut:]) == fold(None, envelopes)


@settings(max_examples=100)
@given(histories(appointments=4))
def test_the_rows_of_many_appointments_are_the_rows_of_each(raw: list[Json]) -> None:
    many = [(folded, Position(n)) for n, folded in enumerate(folded_one_by_one(accepted(raw)).values(), 1)]
    together = rows_of(many)
    each = [rows_of([one]) for one in many]
    assert together.appointments == [row for rows in each for row in rows.appointments]
    for side in Side:
        assert sorted(together.of(side), key=_key) == sorted(
            (row for rows in each for row in rows.of(side)), key=_key
        )


def _key(row: ScheduleRow) -> tuple[str, str]:
    return row.owner_id, row.appointment_id


def test_no_appointments_give_no_rows() -> None:
    rows = rows_of([])
    assert (rows.appointments, rows.talents, rows.coaches) == ([], [], [])
