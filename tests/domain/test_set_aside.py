"""An event that cannot be folded is set aside, or replaced: it keeps its place, and the rest goes on."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from typing import Any

import pytest

from domain import poison as poison_module
from domain.appointment import FoldedAppointment, fold
from domain.envelope import EnvelopeRefused, RefusalCode
from domain.errors import EventNotFound, NotPoison, PoisonEvent, UsageError
from domain.identifiers import Position
from domain.markers import Change, Marker, SetAside
from domain.storage.base import QuarantinedItem, StoredEnvelope
from domain.topics import MASKED_TOPIC, SET_ASIDE_TOPIC, TOPIC
from tests.conftest import Place
from tests.projections.test_changes import Copy
from tests.projections.test_markers import check_rebuild
from tests.projections.test_projector import POISONS, store_unchecked
from tests.support.builders import as_json, envelope
from tests.support.damage import damage_stored
from tests.support.readmodels import check_read_models
from tests.support.rebuilding import append, project, rebuilt


def poisoned(place: Place) -> int:
    """An installation whose projector stands in front of position 2, of appointment-1; returns the position."""
    append(place, envelope(1, title="first"))
    position = store_unchecked(place, 2, "appointment-1", TOPIC, b'{"damaged"')
    append(place, envelope(3, title="third"), envelope(4, id="b"))
    with pytest.raises(PoisonEvent):
        place.projector().catch_up()
    return position


def test_what_is_set_aside_keeps_its_place_and_its_bytes_and_the_fold_goes_on(place: Place) -> None:
    position = poisoned(place)
    record = place.events().set_aside(position, reason="the disk", by="alice")
    assert (record.by, record.reason, record.topic) == ("alice", "the disk", TOPIC)
    assert place.projector().catch_up() == place.events().head() == 5
    schedules = place.schedules()
    assert (schedules.appointment("appointment-1").title, schedules.appointment("appointment-1").revision) == (
        "third", 2,
    )  # fmt: skip
    stored = place.events().at(position)
    assert (stored.event_id, stored.appointment_id, stored.topic) == (2, "appointment-1", SET_ASIDE_TOPIC)
    assert SetAside.of(stored) == record
    [item] = place.events().quarantine.list(code="set_aside")
    assert (item.refused.content, item.refused.event_id, item.refused.appointment_id, item.refused.source) == (
        b'{"damaged"', 2, "appointment-1", "position 2",
    )  # fmt: skip
    assert item.refused.reason.startswith("set aside by alice: the disk; it cannot be folded: ")
    check_rebuild(place)


def test_status_and_verification_count_what_is_set_aside(place: Place) -> None:
    position = poisoned(place)
    assert place.appointments().status().blocked_at == position
    place.events().set_aside(position, reason="the disk")
    place.projector().catch_up()
    status = place.appointments().status()
    assert (status.set_aside, status.quarantined, status.blocked_at, status.events) == (1, 1, None, 4)
    assert place.appointments().verify() == (2, [], 1)
    append(place, envelope(2))
    place.projector().catch_up()
    assert place.appointments().status().set_aside == 0
    assert place.appointments().verify() == (2, [], 0)


@pytest.mark.parametrize("kind", POISONS)
def test_whatever_cannot_be_folded_can_be_set_aside_and_its_id_delivered_again(place: Place, kind: str) -> None:
    topic, text, appointment_id = POISONS[kind]
    append(place, envelope(1))
    position = store_unchecked(place, 50, appointment_id, topic, text)
    place.events().set_aside(position, reason="no envelope")
    place.projector().catch_up()
    assert place.schedules().appointment("appointment-1").revision == 1
    again = envelope(50, id=appointment_id, title="again")
    assert place.events().append([as_json(again)]).appended == 1
    place.projector().catch_up()
    assert place.schedules().appointment(appointment_id).title == "again"
    check_rebuild(place)


def test_sound_content_takes_its_place_however_late_and_once(place: Place) -> None:
    position = poisoned(place)
    place.events().set_aside(position, reason="the disk")
    place.projector().catch_up()
    sound = envelope(2, title="second", status="DONE")
    others = [envelope(1, title="first"), envelope(3, title="third"), envelope(4, id="b")]
    report = place.events().append(map(as_json, [sound, sound, envelope(2, title="other"), envelope(2, id="c")]))
    assert (report.appended, report.duplicates, report.quarantined) == (1, 1, 2)
    place.projector().catch_up()
    stored = place.events().at(position)
    assert (stored.topic, stored.text, place.events().head()) == (TOPIC, as_json(sound), 6)
    check_read_models(place.url, place.schema, [sound, *others])
    check_rebuild(place)
    report = place.events().append(map(as_json, [sound, envelope(2, title="other")]))
    assert (report.appended, report.duplicates, report.quarantined) == (0, 1, 1)


def test_what_took_a_place_later_was_not_known_before(place: Place) -> None:
    position = poisoned(place)
    place.events().set_aside(position, reason="the disk")
    place.projector().catch_up()
    [aside, *_] = [Marker.of(one) for one in place.events().stream("appointment-1") if one.event_id < 0]
    append(place, envelope(2, title="second"))
    [third] = [one for one in place.events().stream("appointment-1") if one.event_id == 2]
    assert third.arrived_at is not None
    assert third.arrived_at >= aside.at
    [change] = [one for one in place.schedules().history("appointment-1").revisions if one.event_id == 2]
    assert (change.position, change.arrived_at) == (position, third.arrived_at)


def test_a_poison_event_is_replaced_at_once_or_after_it_was_set_aside(place: Place) -> None:
    position = poisoned(place)
    sound = envelope(2, title="second")
    place.events().replace(position, sound, reason="from the publisher", by="bob")
    [item] = place.events().quarantine.list()
    assert item.refused.reason.startswith("replaced by bob: from the publisher; it could not be folded: ")
    assert item.refused.content == b'{"damaged"'
    other = store_unchecked(place, 9, "c", TOPIC, b"[]")
    place.events().set_aside(other, reason="the disk")
    place.events().replace(other, as_json(envelope(9, id="c")))
    place.projector().catch_up()
    sent = [envelope(1, title="first"), sound, envelope(3, title="third"), envelope(4, id="b"), envelope(9, id="c")]
    check_read_models(place.url, place.schema, sent)
    check_rebuild(place)
    markers = [Marker.of(one) for one in place.events().stream("appointment-1") if one.event_id < 0]
    assert [(one.change, one.by, one.reason, one.positions) for one in markers] == [
        (Change.REPLACED, "bob", "from the publisher", (position,))
    ]


def test_who_did_it_is_the_user_of_the_database_or_of_the_system_unless_named(place: Place) -> None:
    record = place.events().set_aside(poisoned(place), reason="the disk")
    assert record.by == ("postgres" if place.backend == "postgresql" else getpass.getuser())


REFUSED: dict[str, tuple[Callable[[Any], Any], type[Exception], str]] = {
    "one that can be folded": (
        lambda it: it.set_aside(1, reason="r"),
        NotPoison,
        "position 1 stays .* can be folded",
    ),
    "one that is set aside": (lambda it: it.set_aside(5, reason="r"), NotPoison, "set aside by alice on "),
    "a marker": (lambda it: it.set_aside(6, reason="r"), NotPoison, "it is a marker"),
    "none": (lambda it: it.set_aside(99, reason="r"), EventNotFound, "no stored event has the position 99"),
    "no reason": (lambda it: it.set_aside(2, reason=" "), UsageError, "reason: expected text"),
    "nobody": (lambda it: it.set_aside(2, reason="r", by=""), UsageError, "by: expected text"),
    "replacing what can be folded": (lambda it: it.replace(1, envelope(1)), NotPoison, "it can be folded"),
    "replacing a marker": (lambda it: it.replace(6, envelope(1)), NotPoison, "it is a marker"),
    "replacing nothing": (lambda it: it.replace(0, envelope(1)), EventNotFound, "position 0"),
    "another id": (lambda it: it.replace(2, envelope(9)), EnvelopeRefused, "id: expected 2, .*found 9"),
    "another appointment": (lambda it: it.replace(2, envelope(2, id="c")), EnvelopeRefused, "found 'c'"),
    "no envelope": (lambda it: it.replace(2, b"{}"), EnvelopeRefused, "found nothing"),
    "no JSON": (lambda it: it.replace(5, b"{"), EnvelopeRefused, "found"),
    "another event": (lambda it: it.replace(5, {"eventName": "CoachHired"}), EnvelopeRefused, "eventName"),
}


def everything(place: Place) -> tuple[list[StoredEnvelope], list[QuarantinedItem]]:
    """All that is stored, and the quarantine."""
    events = place.events()
    stored = events.recorder.read(after=Position(0), upto=events.head(), limit=99)
    return stored, list(events.quarantine.list())


@pytest.mark.parametrize("kind", REFUSED)
def test_what_makes_no_sense_is_refused_and_changes_nothing(place: Place, kind: str) -> None:
    poisoned(place)
    place.events().set_aside(store_unchecked(place, 9, "c", TOPIC, b"[]"), reason="the disk", by="alice")
    before = everything(place)
    change, error, message = REFUSED[kind]
    with pytest.raises(error, match=message) as caught:
        change(place.events())
    assert len(str(caught.value).splitlines()) == 1
    assert everything(place) == before


def test_a_delivery_that_was_quarantined_beside_the_damaged_event_takes_its_place_when_retried(place: Place) -> None:
    position = poisoned(place)
    sound = envelope(2, title="second")
    assert place.events().append([as_json(sound)]).quarantined == 1
    place.events().set_aside(position, reason="the disk")
    assert place.events().quarantine.retry().accepted == 1
    place.projector().catch_up()
    assert place.events().at(position).text == as_json(sound)
    assert [one.refused.code for one in place.events().quarantine.list()] == [RefusalCode.SET_ASIDE]
    check_rebuild(place)


def test_an_event_that_the_fold_could_not_take_comes_back_when_a_mended_fold_can(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    right_fold = fold

    def wrong_fold(before: FoldedAppointment | None, envelopes: Any) -> FoldedAppointment:
        known = list(envelopes)
        if any(one.event_id == 2 for one in known):
            raise KeyError("never thought of")
        return right_fold(before, known)

    append(place, envelope(1), envelope(2, title="second", talentId="t-2"), envelope(3, title="third"))
    monkeypatch.setattr(poison_module, "fold", wrong_fold)
    place.events().set_aside(2, reason="a defect of the fold")
    assert place.projector().catch_up() == 4
    again = place.events().append([as_json(envelope(2, title="second", talentId="t-2"))])
    assert (again.appended, again.quarantined) == (0, 1)
    assert place.events().quarantine.retry().accepted == 0
    [item] = place.events().quarantine.list()
    assert (item.count, item.refused.reason[:12]) == (2, "set aside by")
    monkeypatch.undo()
    assert place.events().quarantine.retry().accepted == 1
    assert place.events().quarantine.numbers() == []
    place.projector().catch_up()
    check_rebuild(place)
    assert place.schedules().appointment("appointment-1").revision == 3


def test_copies_learn_that_an_appointment_is_gone_with_an_event_that_was_damaged_after_it_was_projected(
    place: Place,
) -> None:
    schedules = project(place, envelope(1, id="b", talentId="t-1"), envelope(2, talentId="t-1"))
    copy = Copy(schedules, {}, talent_id="t-1")
    copy.poll()
    assert sorted(copy.appointments) == ["appointment-1", "b"]
    damage_stored(place, 1, b"\x00")
    with pytest.raises(PoisonEvent):
        rebuilt(place)
    place.events().set_aside(1, reason="the disk")
    place.projector().catch_up()
    copy.poll()
    assert sorted(copy.appointments) == ["appointment-1"]
    check_rebuild(place)


def test_a_marker_in_front_of_which_an_older_event_cannot_be_folded_blocks_only_what_comes_after_it(
    place: Place,
) -> None:
    project(place, envelope(1), envelope(2))
    damage_stored(place, 1, b"{}")
    append(place, envelope(3, id="b"))
    position = store_unchecked(place, 4, "appointment-1", TOPIC, b"[]")
    place.events().set_aside(position, reason="the disk")
    with pytest.raises(PoisonEvent, match="position 1 "):
        place.projector().catch_up()
    status = place.appointments().status()
    assert (status.position, status.blocked_at) == (4, 5)
    place.events().set_aside(1, reason="the disk")
    assert place.projector().catch_up() == 6
    check_rebuild(place)


def test_what_replaces_an_event_of_a_forgotten_person_is_masked(place: Place) -> None:
    position = poisoned(place)
    place.events().set_aside(position, reason="the disk")
    place.appointments().forget(talent_id="talent-1")
    place.events().replace(position, envelope(2, title="second"))
    stored = place.events().at(position)
    assert (stored.topic, b"talent-1" in stored.text) == (MASKED_TOPIC, False)
    place.projector().catch_up()
    check_rebuild(place)


def test_of_an_event_that_names_a_forgotten_person_nothing_is_kept_when_it_is_set_aside(place: Place) -> None:
    project(place, envelope(1, talentId="t-ana", coachId="c-1"))
    place.appointments().forget(talent_id="t-ana")
    position = store_unchecked(place, 2, "appointment-1", TOPIC, b'{"talentId": "t-ana"')
    place.events().set_aside(position, reason="the disk")
    place.projector().catch_up()
    [item] = place.events().quarantine.list()
    assert (item.refused.content, item.refused.code) == (b"", RefusalCode.SET_ASIDE)
    everything_stored, _ = everything(place)
    assert not [one for one in everything_stored if b"t-ana" in one.text]
    check_rebuild(place)


def test_a_forgotten_person_keeps_no_tombstone_of_what_is_set_aside(place: Place) -> None:
    project(place, envelope(1, talentId="t-1", coachId="c-1"), envelope(2, talentId="t-2", coachId="c-1"))
    place.appointments().forget(talent_id="t-1")  # the read models still show what was folded before
    damage_stored(place, 1, b"{}")
    place.events().set_aside(1, reason="the disk")
    marker = Marker.of(place.events().at(place.events().head()))
    assert ("t-1" in marker.talents, marker.coaches) == (False, ("c-1",))
    place.projector().catch_up()
    check_rebuild(place)


def test_what_takes_a_place_when_it_is_retried_is_counted_as_appended(place: Place) -> None:
    position = poisoned(place)
    place.events().append([as_json(envelope(2))])
    place.events().set_aside(position, reason="the disk")
    before = place.events().recorder.outcomes()
    assert place.events().quarantine.retry().accepted == 1
    assert place.events().recorder.outcomes().appended == before.appended + 1
