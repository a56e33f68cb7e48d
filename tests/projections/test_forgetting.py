"""Forgetting a person: what is masked, what the other side keeps, what comes later, and what is proven."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.erasure import candidates, erase
from domain.errors import Forgotten, PoisonEvent, RebuildFailed, UsageError
from domain.person import Person, Side
from domain.receipt import Receipt
from domain.topics import MASKED_TOPIC, TOPIC
from projections import Appointments, Progress
from tests.conftest import Place
from tests.support.builders import COACH, TALENT, as_json, envelope
from tests.support.damage import damage_stored
from tests.support.marking import rewrite

AS_OF = datetime(2023, 7, 3, tzinfo=UTC)
ANA = Person(Side.TALENT, TALENT)


def appended(place: Place, *envelopes: dict[str, Any] | bytes) -> Appointments:
    appointments = place.appointments()
    appointments.events.append(one if isinstance(one, bytes) else as_json(one) for one in envelopes)
    appointments.projector.catch_up()
    return appointments


def texts(appointments: Appointments) -> bytes:
    recorder = appointments.events.recorder
    stored = recorder.read(after=0, upto=recorder.head(), limit=10**6)  # type: ignore[arg-type]
    kept = [one.refused.content + one.refused.reason.encode() for one in appointments.events.quarantine.list()]
    return b"".join([*(one.text for one in stored), *kept])


def test_the_coach_still_sees_when_they_were_busy_and_nothing_else(place: Place) -> None:
    appointments = appended(place, envelope(1, description="Ana said", subphaseId="s"), envelope(2, id="other"))
    appointments.forget(talent_id=TALENT)
    one, _ = appointments.schedules.coach(COACH)
    assert (one.talent_id, one.title, one.description, one.subphase_id) == ("forgotten", "", None, None)
    assert one.start_date == datetime(2023, 7, 10, 9, tzinfo=UTC)
    assert appointments.schedules.coach(COACH, as_of=AS_OF)[0] == one
    assert appointments.verify().differences == []
    assert TALENT.encode() not in texts(appointments)
    assert {one.owner_id for one in appointments.schedules.talents()} == set()


def test_a_forgotten_coach_leaves_the_talents_schedule(place: Place) -> None:
    appointments = appended(place, envelope(1))
    appointments.forget(coach_id=COACH)
    assert appointments.schedules.talent(TALENT)[0].coach_id == "forgotten"
    assert COACH.encode() not in texts(appointments)


def test_whatever_is_asked_of_the_person_answers_that_they_are_forgotten(place: Place) -> None:
    appointments = appended(place, envelope(1))
    token = appointments.schedules.changes(talent_id=TALENT).token
    link = appointments.calendar_links.link(talent_id=TALENT)
    appointments.forget(talent_id=TALENT)
    schedules = appointments.schedules
    for ask in (
        lambda: schedules.talent(TALENT),
        lambda: schedules.talent(TALENT, as_of=AS_OF),
        lambda: schedules.changes(talent_id=TALENT),
        lambda: schedules.changes(talent_id=TALENT, since=token),
        lambda: schedules.conflicts(talent_id=TALENT),
        lambda: schedules.figures(talent_id=TALENT),
        lambda: schedules.token(Side.TALENT, TALENT),
        lambda: list(schedules.pages(talent_id=TALENT)),
        lambda: schedules.schedule_stream(Side.TALENT, TALENT, {}).__enter__(),
        lambda: schedules.schedule_stream(Side.TALENT, TALENT, {"as_of": AS_OF}).__enter__(),
        lambda: appointments.calendar_links.find(link.token),
        lambda: appointments.calendar_links.link(talent_id=TALENT),
    ):
        with pytest.raises(Forgotten, match="this talent was forgotten"):
            ask()
    assert len(schedules.coach(TALENT)) == 0


def test_the_answer_is_forgotten_before_any_projector_has_come(place: Place) -> None:
    appointments = appended(place, envelope(1))
    appointments.forgetting.erase(ANA)
    with pytest.raises(Forgotten):
        appointments.schedules.talent(TALENT)
    assert appointments.verify().differences == []


def test_a_copy_kept_by_the_other_sides_change_feed_learns_of_it(place: Place) -> None:
    appointments = appended(place, envelope(1), envelope(2, id="kept", talentId="talent-2"))
    token = appointments.schedules.changes(coach_id=COACH).token
    appointments.forget(talent_id=TALENT)
    [change] = appointments.schedules.changes(coach_id=COACH, since=token)
    assert change.appointment is not None
    assert (change.id, change.appointment.talent_id, change.appointment.title) == ("appointment-1", "forgotten", "")


def test_a_masked_envelope_keeps_its_position_its_id_and_its_duplicates(place: Place) -> None:
    appointments = appended(place, envelope(1), envelope(2, status="DONE"))
    before = [one.position for one in appointments.events.stream("appointment-1")]
    appointments.forget(talent_id=TALENT)
    masked = [one for one in appointments.events.stream("appointment-1") if one.event_id > 0]
    assert [one.position for one in masked] == before
    assert {one.topic for one in masked} == {MASKED_TOPIC}
    report = appointments.events.append([envelope(1), envelope(2, title="other", id="elsewhere")])
    assert (report.duplicates, report.quarantined) == (2, 0)


def test_what_comes_later_is_masked_before_it_is_stored(place: Place) -> None:
    appointments = appended(place, envelope(1))
    appointments.forget(talent_id=TALENT)
    report = appointments.events.append(
        [
            envelope(3, talentId="talent-2", id="b"),
            envelope(2, status="CANCELED"),
            envelope(4, talentId="t-3", id="c"),
        ]
    )
    assert (report.appended, report.masked) == (3, 1)
    assert TALENT.encode() not in texts(appointments)
    appointments.projector.catch_up()
    by_id = {str(one.id): one for one in appointments.schedules.coach(COACH)}
    assert by_id["appointment-1"].status == "CANCELED"
    assert by_id["b"].talent_id == "talent-2"
    assert [one.topic for one in appointments.events.stream("b")] == [TOPIC]
    assert appointments.verify().differences == []


def test_a_conflict_among_what_is_masked_is_a_duplicate_within_a_batch_too(place: Place) -> None:
    appointments = appended(place)
    appointments.forget(talent_id=TALENT)
    report = appointments.events.append([envelope(1), envelope(1, title="other")])
    assert (report.appended, report.masked, report.duplicates, report.quarantined) == (1, 1, 1, 0)


def test_mentions_are_masked_wherever_they_are(place: Place) -> None:
    mention = envelope(2, id="b", talentId="talent-2", title="Bea", description=f"instead of {TALENT}")
    unknown = envelope(3, id="c", talentId="talent-3") | {"routing": [{"who": TALENT}]}
    harmless = envelope(4, id="d", talentId="talent-10", title="Dan")
    appointments = appended(place, envelope(1), mention, unknown, harmless)
    receipt = appointments.forget(talent_id=TALENT)
    assert (receipt.places["envelopes"].count, receipt.places["mentions"].count) == (1, 2)
    assert (receipt.envelopes, receipt.streams, receipt.verified) == (3, 3, True)
    assert appointments.schedules.talent("talent-2")[0].title == ""
    assert appointments.schedules.talent("talent-10")[0].title == "Dan"
    assert appointments.events.stored_text(4) == as_json(harmless)  # type: ignore[arg-type]
    assert appointments.events.append([mention | {"id": 5}]).masked == 1


def test_refused_items_that_name_the_person_lose_their_content_before_and_after(place: Place) -> None:
    refused = [as_json(envelope(5, startDate="soon")), f'{{"talentId": "{TALENT}"'.encode()]
    other = as_json(envelope(6, talentId="talent-2", startDate="soon"))
    appointments = appended(place, *refused, other)
    receipt = appointments.forget(talent_id=TALENT)
    assert receipt.places["quarantine"].count == 2
    again = appointments.events.append(refused)
    assert again.quarantined == 2
    items = list(appointments.events.quarantine.list())
    assert [(one.refused.content, one.count) for one in items] == [(b"", 2), (b"", 2), (other, 1)]
    assert TALENT.encode() not in texts(appointments)
    assert appointments.events.quarantine.retry().accepted == 0
    assert len(appointments.events.quarantine) == 3


def test_a_receipt_says_what_was_done_and_no_id(place: Place) -> None:
    appointments = appended(place, envelope(1), envelope(2, status="DONE"), envelope(3, id="b"))
    appointments.calendar_links.link(talent_id=TALENT)
    receipt = appointments.forget(talent_id=TALENT, reference="ticket 7")
    assert (receipt.number, receipt.side, receipt.reference) == (1, "talent", "ticket 7")
    assert (receipt.envelopes, receipt.streams) == (3, 2)
    assert {name: one.count for name, one in receipt.places.items()} == {
        "envelopes": 3, "mentions": 0, "quarantine": 0, "calendar_links": 1, "read_models": 2, "generations": 0
    }  # fmt: skip
    assert receipt.verified
    assert TALENT not in json.dumps(receipt.to_json())
    assert appointments.forgetting.receipts() == [receipt]
    assert appointments.status().unscrubbed == 1


def test_the_second_time_nothing_is_done(place: Place) -> None:
    appointments = appended(place, envelope(1))
    receipt, head = appointments.forget(talent_id=TALENT), appointments.events.head()
    assert appointments.forget(talent_id=TALENT, reference="other") == receipt
    assert appointments.events.head() == head


def test_somebody_who_is_not_known_yet_can_be_forgotten(place: Place) -> None:
    appointments = appended(place, envelope(1, talentId="talent-2"))
    receipt = appointments.forget(talent_id=TALENT)
    assert (receipt.envelopes, receipt.verified) == (0, True)
    assert appointments.events.append([envelope(2, id="b")]).masked == 1


def test_a_preview_changes_nothing_and_counts_the_same(place: Place) -> None:
    appointments = appended(place, envelope(1), b'{"talentId": "talent-1"')
    preview, head = appointments.forgetting.preview(ANA), appointments.events.head()
    assert appointments.forgetting.receipts() == []
    receipt = appointments.forget(talent_id=TALENT)
    assert receipt.places["quarantine"].count == preview.places["quarantine"].count == 1
    assert (preview.envelopes, preview.streams) == (receipt.envelopes, receipt.streams)
    assert appointments.events.head() == head + 1


def test_who_returns_is_stored_again_and_what_was_masked_stays_masked(place: Place) -> None:
    appointments = appended(place, envelope(1))
    appointments.forget(talent_id=TALENT)
    lifted = appointments.forgetting.lift(ANA)
    assert lifted is not None
    assert lifted.lifted_at is not None
    appointments.events.append([envelope(1), envelope(2, id="b")])
    appointments.projector.catch_up()
    assert [one.id for one in appointments.schedules.talent(TALENT)] == ["b"]
    assert appointments.forgetting.lift(ANA) is None
    assert appointments.forget(talent_id=TALENT).number == 2


def test_older_generations_are_dropped_and_a_rollback_past_an_erasure_is_refused(place: Place) -> None:
    appointments = appended(place, envelope(1))
    appointments.rebuild(processes=1)
    receipt = appointments.forget(talent_id=TALENT)
    assert receipt.places["generations"].count == 1
    assert [one.state for one in appointments.catalogue().generations] == ["dropped", "ready"]
    with pytest.raises(RebuildFailed, match="when a person is forgotten"):
        appointments.rollback()
    assert appointments.rebuild(processes=1).generation == 3
    assert appointments.verify().differences == []
    assert appointments.schedules.coach(COACH)[0].talent_id == "forgotten"


def test_a_stored_event_that_cannot_be_read_keeps_everything_as_it_was(place: Place) -> None:
    appointments = appended(place, envelope(1), envelope(2, id="b"))
    damage_stored(place, 2, as_json(envelope(2, id="b")).replace(b'"version":1', b'"version":2'))
    with pytest.raises(PoisonEvent):
        appointments.forget(talent_id=TALENT)
    assert appointments.forgetting.receipts() == []
    assert len(appointments.schedules.talent(TALENT)) == 2


@pytest.mark.parametrize("person_id", ["", " ", "a\0", "é" * 300])
def test_an_id_that_is_none_is_refused(place: Place, person_id: str) -> None:
    appointments = appended(place, envelope(1))
    with pytest.raises(UsageError):
        appointments.forget(talent_id=person_id)
    assert appointments.forgetting.receipts() == []


def test_one_person_at_a_time_and_not_the_one_who_stands_for_all(place: Place) -> None:
    appointments = appended(place, envelope(1))
    with pytest.raises(UsageError, match="one of the two"):
        appointments.forget(talent_id=TALENT, coach_id=COACH)
    with pytest.raises(UsageError, match="stands for everybody"):
        appointments.forget(talent_id="forgotten")


def test_an_export_gives_the_same_masked_schedules_elsewhere(place: Place, tmp_path_factory: Any) -> None:
    appointments = appended(place, envelope(1), envelope(2, status="DONE"), envelope(3, id="b", talentId="talent-2"))
    appointments.forget(talent_id=TALENT)
    with Appointments.open(f"sqlite:///{tmp_path_factory.mktemp('other')}/other.db") as other:
        report = other.events.append(appointments.events.lines())
        other.projector.catch_up()
        assert (report.appended, report.quarantined) == (3, 0)
        assert list(other.schedules.coach(COACH)) == list(appointments.schedules.coach(COACH))


def test_a_rebuild_that_is_under_way_begins_anew(place: Place) -> None:
    appointments = appended(place, envelope(1), envelope(2, id="b", talentId="talent-2"))
    forgetting = place.appointments()
    receipts: list[Receipt] = []

    def forget_before_the_switch(progress: Progress) -> None:
        if progress.phase == "switch" and not receipts:
            receipts.append(forgetting.forget(talent_id=TALENT))

    report = appointments.rebuild(processes=1, progress=forget_before_the_switch)
    assert report.generation == 3
    assert [one.state for one in appointments.catalogue().generations] == ["ready", "dropped", "ready"]
    assert appointments.schedules.coach(COACH)[0].talent_id == "forgotten"
    assert appointments.verify().differences == []
    assert appointments.forgetting.verified(ANA, receipts[0]).verified


def test_writers_who_deliver_while_a_person_is_forgotten_store_nothing_that_names_them(durable_place: Place) -> None:
    appointments = appended(durable_place, envelope(1))

    def write(writer: int) -> None:
        mine = durable_place.appointments().events
        for number in range(10):
            event_id = 100 * writer + number
            mine.append([as_json(envelope(event_id, id=f"a-{event_id}"))])

    with ThreadPoolExecutor(8) as writers:
        deliveries = [writers.submit(write, writer) for writer in range(1, 9)]
        receipt = appointments.forget(talent_id=TALENT)
        for one in deliveries:
            one.result()
    appointments.projector.catch_up()
    assert TALENT.encode() not in texts(appointments)
    assert appointments.forgetting.verified(ANA, receipt).verified
    assert len(appointments.schedules.coach(COACH)) == 81
    assert appointments.verify().differences == []


def test_what_is_stored_or_changed_after_the_search_is_erased_too(place: Place) -> None:
    appointments = appended(place, envelope(1), envelope(2, id="b", talentId="talent-2"))
    recorder = appointments.events.recorder
    found = candidates(recorder, ANA)
    rewrite(place, 2, envelope(2, id="b", talentId="talent-2", description=TALENT))
    appointments.events.append([as_json(envelope(3, id="c"))])
    with recorder.appending() as append:
        erased = erase(append, ANA, found, at=AS_OF)
    assert (erased.envelopes, erased.mentions) == (2, 1)
    assert TALENT.encode() not in texts(appointments)
    appointments.projector.catch_up()
    assert appointments.verify().differences == []
