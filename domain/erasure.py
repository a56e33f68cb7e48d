"""Takes a person out of the event store: what is stored is masked in place, with a marker for each appointment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from typing import Final, NamedTuple

from domain.envelope import Envelope
from domain.errors import PoisonEvent
from domain.identifiers import AppointmentId, EventId, Position
from domain.ledger import Ledger
from domain.markers import Change, Marker, SetAside
from domain.masking import mask, words, words_in, words_masked
from domain.person import Person, Side
from domain.receipt import Found
from domain.storage.base import (
    AppendTransaction,
    QuarantinedItem,
    QuarantineFilter,
    Recorder,
    Refused,
    Rewritten,
    StoredEnvelope,
)
from domain.storage.forgotten import SEARCHED_MAX, Needles
from domain.topics import MARKER_TOPIC, MASKED_TOPIC, SET_ASIDE_TOPIC, TOPIC, envelope_of, topic_of

_READ_EVENTS: Final = 1_000

_REASON: Final = "its content was not kept, since it names a forgotten person"

Search = Callable[[Position], Sequence[StoredEnvelope]]
"""The next stored events after a position that may hold an id."""


@dataclass(slots=True)
class Erased:
    """What of a person was found in the event store: the positions of each appointment that were changed.

    Attributes:
        envelopes: how many envelopes of the person there were.
        mentions: how many others mentioned them.
        quarantined: how many refused items did.
    """

    streams: dict[AppointmentId, list[Position]] = field(default_factory=dict)
    envelopes: int = 0
    mentions: int = 0
    quarantined: int = 0

    @property
    def places(self) -> dict[str, Found]:
        """The counts, as a receipt has them."""
        return {
            "envelopes": Found(self.envelopes),
            "mentions": Found(self.mentions),
            "quarantine": Found(self.quarantined),
        }


class Candidates(NamedTuple):
    """The events up to a position that may hold an id, found before the lock is taken that erasing needs."""

    event_ids: list[EventId]
    upto: Position


def candidates(recorder: Recorder, person: Person) -> Candidates:
    """Searches all that is stored, which takes a second for some hundred thousand events."""
    needles, upto = Needles.of(person.id), recorder.head()
    pages = _pages(lambda after: recorder.search(needles, after=after), Position(0))
    return Candidates([one.event_id for page in pages for one in page if one.position <= upto], upto)


def erase(append: AppendTransaction, person: Person, found: Candidates, *, at: datetime) -> Erased:
    """Masks what is stored of a person, with a marker for each appointment, and empties the refused items.

    Raises:
        PoisonEvent: a stored event that names the person cannot be read, so that nothing could be masked in it.
    """
    needles = Needles.of(person.id)
    erased = Erased()
    if _is_changed(append, after=found.upto):  # then an older event may hold the id by now
        found = Candidates([], Position(0))
    for first in range(0, len(found.event_ids), SEARCHED_MAX):
        again = append.stored(found.event_ids[first : first + SEARCHED_MAX])
        append.rewrite(_found(sorted(again.values()), person, erased))
    for page in _pages(lambda after: append.search(needles, after=after), found.upto):
        append.rewrite(_found(page, person, erased))
    append.mark(
        [(one, _marker(one, positions, at).to_json()) for one, positions in erased.streams.items()], MARKER_TOPIC
    )
    for item in _quarantined(append.search_quarantine(needles), person):
        append.replace(item.number, emptied(item.refused, append.ledger))
        erased.quarantined += 1
    return erased


def _is_changed(append: AppendTransaction, *, after: Position) -> bool:
    """Whether a marker after a position says that stored events were changed in place."""
    said = b'"change":'
    pages = _pages(lambda position: append.search(Needles(said, said), after=position), after)
    return any(one.topic == MARKER_TOPIC for page in pages for one in page)


def what_is_stored(recorder: Recorder, person: Person) -> Erased:
    """What `erase` would find of a person, and after it must not find."""
    needles = Needles.of(person.id)
    erased = Erased()
    for page in _pages(lambda after: recorder.search(needles, after=after), Position(0)):
        _found(page, person, erased)
    erased.quarantined = sum(1 for _ in _quarantined(recorder.search_quarantine(needles), person))
    return erased


def insert(append: AppendTransaction, envelopes: Sequence[Envelope], ledger: Ledger) -> None:
    """Stores envelopes at the next positions, in this order, each as what it is: masked or as received."""
    if not ledger:
        append.insert(envelopes, TOPIC)
        return
    for topic, alike in groupby(envelopes, key=topic_of):
        append.insert(list(alike), topic)


def recognised(recorder: Recorder, ledger: Ledger) -> set[Person]:
    """The persons of a ledger whom something that is stored names or mentions; reads everything."""
    head, after, found = recorder.head(), Position(0), set[Person]()
    while page := recorder.read(after=after, upto=head, limit=_READ_EVENTS):
        for stored in page:
            found |= ledger.recognised(words_in(stored.text))
        after = page[-1].position
    for item in recorder.quarantine.items(QuarantineFilter()):
        found |= ledger.recognised(_words_of(item.refused))
    return found


def without_content(refused: Sequence[Refused], ledger: Ledger) -> list[Refused]:
    """The refused items as they are to be kept: without the content of those that name a forgotten person."""
    if not ledger:
        return list(refused)
    return [emptied(one, ledger) if ledger.mentions(_words_of(one)) else one for one in refused]


def emptied(refused: Refused, ledger: Ledger) -> Refused:
    """The item without its content, and with a digest that nobody can compare with a content they have."""
    if is_emptied(refused):
        return refused
    return replace(refused, content=b"", reason=_REASON, sha256=ledger.blinded(refused.sha256))


def is_emptied(refused: Refused) -> bool:
    """Whether the content of an item was left out, since it named a forgotten person."""
    return refused.length > 0 and not refused.content


def _pages(search: Search, after: Position) -> Iterator[Sequence[StoredEnvelope]]:
    while page := search(after):
        yield page
        after = page[-1].position


def _found(page: Sequence[StoredEnvelope], person: Person, erased: Erased) -> list[Rewritten]:
    """What is to stand in the place of those events that name or mention the person; counts them."""
    changed = []
    for stored in page:
        rewritten = _without_person(stored, person, erased)
        if rewritten is not None:
            changed.append(rewritten)
            erased.streams.setdefault(stored.appointment_id, []).append(stored.position)
    return changed


def _without_person(stored: StoredEnvelope, person: Person, erased: Erased) -> Rewritten | None:
    if stored.topic == MARKER_TOPIC:
        return _marker_without(stored, person, erased)
    if stored.topic == SET_ASIDE_TOPIC:
        return _set_aside_without(stored, person, erased)
    try:
        envelope = envelope_of(stored)
    except PoisonEvent:
        if person.id in words_in(stored.text):
            raise
        return None
    if person.side.owner_of(envelope.snapshot) == person.id:
        erased.envelopes += 1
        return Rewritten(stored.position, MASKED_TOPIC, mask(envelope, [person.side]).text)
    if person.id in words_masked(stored.text):
        erased.mentions += 1
        return Rewritten(stored.position, MASKED_TOPIC, mask(envelope, []).text)
    return None


def _set_aside_without(stored: StoredEnvelope, person: Person, erased: Erased) -> Rewritten | None:
    if person.id not in words_in(stored.text):
        return None
    record = SetAside.of(stored)
    kept = replace(
        record,
        by=_unless_named(record.by, person) or "",
        reason=_unless_named(record.reason, person) or "",
        poison=_unless_named(record.poison, person) or "",
    )
    erased.mentions += 1
    return Rewritten(stored.position, stored.topic, kept.to_json())


def _marker_without(stored: StoredEnvelope, person: Person, erased: Erased) -> Rewritten | None:
    """The marker without the person, who may have a tombstone by it, be its author, or be in its reason."""
    marker = Marker.of(stored)
    kept = replace(
        marker,
        talents=_without(marker.talents, person, Side.TALENT),
        coaches=_without(marker.coaches, person, Side.COACH),
        reason=_unless_named(marker.reason, person),
        by=_unless_named(marker.by, person),
    )
    if kept == marker:
        return None
    erased.mentions += 1
    return Rewritten(stored.position, stored.topic, kept.to_json())


def _unless_named(text: str | None, person: Person) -> str | None:
    return None if text is not None and person.id in words(text) else text


def _without(ids: tuple[str, ...], person: Person, side: Side) -> tuple[str, ...]:
    return tuple(one for one in ids if (side, one) != person)


def _marker(appointment_id: AppointmentId, positions: Sequence[Position], at: datetime) -> Marker:
    return Marker(appointment_id=appointment_id, change=Change.FORGOTTEN, at=at, positions=tuple(positions))


def _quarantined(items: Sequence[QuarantinedItem], person: Person) -> Iterator[QuarantinedItem]:
    return (one for one in items if not is_emptied(one.refused) and person.id in _words_of(one.refused))


def _words_of(refused: Refused) -> set[str]:
    return words_in(refused.content) | words_in(refused.reason.encode("utf-8", "replace"))
