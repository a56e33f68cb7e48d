"""The ledger of forgotten persons: on every backend it tells who is forgotten, and holds no id."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from domain import Envelope, read_envelope
from domain.ledger import Ledger
from domain.masking import MaskedEnvelope
from domain.person import Person, Side
from domain.receipt import Found, Receipt
from domain.storage.base import Recorder
from tests.conftest import Place
from tests.support.builders import COACH, TALENT, envelope

ANA = Person(Side.TALENT, TALENT)
AT = datetime(2026, 7, 1, 9, 30, tzinfo=UTC)


@pytest.fixture
def recorder(place: Place) -> Recorder:
    events = place.events()
    events.install()
    return events.recorder


def receipt_of(ledger: Ledger, person: Person = ANA, *, reference: str | None = "ticket 1") -> Receipt:
    places = {"envelopes": Found(3), "quarantine": Found(0, verified=True)}
    digest = ledger.digest(person)
    return Receipt(at=AT, side=person.side, digest=digest, key=ledger.key, reference=reference, places=places)


def forget(recorder: Recorder, person: Person = ANA) -> Receipt:
    with recorder.appending() as append:
        receipt = receipt_of(append.ledger, person)
        return replace(receipt, number=append.forget(receipt))


def envelope_of(**fields: object) -> Envelope:
    found = read_envelope(envelope(**fields))  # type: ignore[arg-type]
    assert isinstance(found, Envelope)
    return found


def test_nobody_is_forgotten_at_first(recorder: Recorder) -> None:
    ledger = recorder.ledger.read()
    assert not ledger
    assert ledger.version == 0
    assert not ledger.is_forgotten(ANA)
    assert ledger.masked(envelope_of()) == envelope_of()


def test_who_is_forgotten_is_known_to_every_append_and_reader_from_then_on(recorder: Recorder, place: Place) -> None:
    other = place.appointments().events.recorder
    assert not other.ledger.read()
    forget(recorder)
    for ledger in (recorder.ledger.read(), other.ledger.read()):
        assert ledger.is_forgotten(ANA)
        assert not ledger.is_forgotten(Person(Side.COACH, TALENT))
        assert not ledger.is_forgotten(Person(Side.TALENT, "talent-2"))
    with other.appending() as append:
        assert append.ledger.is_forgotten(ANA)


def test_a_ledger_that_is_known_is_not_asked_for_again(recorder: Recorder) -> None:
    forget(recorder)
    known = recorder.ledger.read()
    assert recorder.ledger.read(version=known.version) is known


def test_an_append_that_fails_forgets_nobody(recorder: Recorder) -> None:
    with recorder.appending() as append:
        receipt = receipt_of(append.ledger)
    with pytest.raises(ZeroDivisionError), recorder.appending() as append:
        append.lift(replace(receipt, number=append.forget(receipt) // 0))
    assert recorder.ledger.receipts() == []
    assert recorder.ledger.read().version == 0


def test_receipts_are_numbered_and_kept_as_they_are(recorder: Recorder) -> None:
    first, second = forget(recorder), forget(recorder, Person(Side.COACH, COACH))
    assert (first.number, second.number) == (1, 2)
    assert recorder.ledger.receipts() == [first, second]
    assert recorder.ledger.unscrubbed_count() == 2
    scrubbed = replace(first, scrubbed_at=AT, places={"envelopes": Found(3, verified=True)})
    recorder.ledger.update(scrubbed)
    assert recorder.ledger.receipts() == [scrubbed, second]
    assert recorder.ledger.unscrubbed_count() == 1
    assert recorder.ledger.read().is_forgotten(ANA)


def test_a_person_who_returns_can_be_forgotten_again(recorder: Recorder) -> None:
    first = forget(recorder)
    with recorder.appending() as append:
        append.lift(replace(first, lifted_at=AT))
    assert not recorder.ledger.read().is_forgotten(ANA)
    assert forget(recorder).number == 2
    assert recorder.ledger.read().is_forgotten(ANA)
    assert [one.lifted_at for one in recorder.ledger.receipts()] == [AT, None]


def test_two_installations_have_two_secrets() -> None:
    ours, theirs = Ledger(b"1" * 32, 0), Ledger(b"2" * 32, 0)
    assert ours.digest(ANA) != theirs.digest(ANA)
    assert ours.key != theirs.key


def test_a_receipt_says_what_its_document_says() -> None:
    receipt = receipt_of(Ledger(b"1" * 32, 0))
    document = receipt.to_json()
    assert Receipt.from_json(document) == receipt
    assert document["out_of_scope"] == ["WAL archives", "replicas", "backups", "the publisher", "exported calendars"]
    assert not document["verified"]
    assert TALENT not in str(document)


@pytest.fixture
def forgotten() -> Callable[..., Ledger]:
    def forgotten(*persons: Person) -> Ledger:
        digests = [Ledger(b"s" * 32, 0).digest(one) for one in persons]
        return Ledger(b"s" * 32, len(persons), digests)

    return forgotten


@pytest.mark.parametrize(
    ("persons", "ids"),
    [
        ([ANA], ("forgotten", COACH)),
        ([Person(Side.COACH, COACH)], (TALENT, "forgotten")),
        ([ANA, Person(Side.COACH, COACH)], ("forgotten", "forgotten")),
    ],
)
def test_what_names_a_forgotten_person_is_masked(
    forgotten: Callable[..., Ledger], persons: list[Person], ids: tuple[str, str]
) -> None:
    masked = forgotten(*persons).masked(envelope_of(title="with Ana"))
    assert isinstance(masked, MaskedEnvelope)
    assert (masked.snapshot.talent_id, masked.snapshot.coach_id) == ids
    assert masked.snapshot.title == ""


def test_what_mentions_a_forgotten_person_loses_its_texts_and_keeps_its_own_persons(
    forgotten: Callable[..., Ledger],
) -> None:
    masked = forgotten(ANA).masked(envelope_of(talentId="talent-2", description=f"like {TALENT}."))
    assert (masked.snapshot.talent_id, masked.snapshot.description) == ("talent-2", None)


def test_what_has_nothing_to_do_with_a_forgotten_person_stays_as_it_is(forgotten: Callable[..., Ledger]) -> None:
    for other in (envelope_of(talentId="talent-10"), envelope_of(talentId="talent-2", coachId=TALENT)):
        assert forgotten(ANA).masked(other) is other
