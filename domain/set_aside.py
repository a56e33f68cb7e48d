"""Past an event that cannot be folded: it is set aside, or sound content takes its place.

Its position and its id stay. Its bytes go to the quarantine, and who did it, when and why is recorded in a marker,
which also lets every projector fold the appointment anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from domain.decision import Replacement
from domain.decoding import decode_envelope
from domain.envelope import Envelope, EnvelopeRefused, RefusalCode
from domain.erasure import without_content
from domain.errors import EventNotFound, NotPoison, PoisonEvent
from domain.identifiers import Position
from domain.markers import Change, Marker, SetAside
from domain.person import Person, Side
from domain.poison import poison_at
from domain.quarantine import refused_by
from domain.storage.arrivals import arrival_now
from domain.storage.base import AppendTransaction, Refused, Rewritten, StoredEnvelope
from domain.topics import MARKER_TOPIC, SET_ASIDE_TOPIC, topic_of


class Owners(NamedTuple):
    """Talents and coaches in whose schedules an appointment is or was by one event."""

    talents: frozenset[str] = frozenset()
    coaches: frozenset[str] = frozenset()


class Who(NamedTuple):
    """Who changes a stored event, the user of the database or of the operating system unless named, and why."""

    by: str | None
    reason: str | None


def set_aside(append: AppendTransaction, position: Position, who: Who, *, shown: Owners) -> SetAside:
    """Lets the fold pass over an event that it cannot take.

    Args:
        append: the transaction in which everything of it happens.
        position: where the event is.
        who: who does it, and why.
        shown: in whose schedules the read models show the appointment by this event.

    Raises:
        EventNotFound: there is no event.
        NotPoison: it can be folded, is set aside already, or is none.
    """
    stored = event_at(append, position)
    poison = poison_of(append, stored)
    by, reason = who.by or append.user(), who.reason or "no reason given"
    at = arrival_now()
    record = SetAside(by=by, at=at, reason=reason, poison=poison.reason, topic=stored.topic)
    _keep(append, stored, f"set aside by {by}: {reason}; it cannot be folded: {poison.reason}", at)
    append.rewrite([Rewritten(position, SET_ASIDE_TOPIC, record.to_json())])
    _mark(append, stored, Change.SET_ASIDE, Who(by, reason), at, shown)
    return record


def replace(
    append: AppendTransaction, position: Position, envelope: Envelope, who: Who, *, shown: Owners
) -> StoredEnvelope:
    """Gives the place of an event that is set aside, or cannot be folded, to an envelope with its id.

    Returns what was there. The arguments are those of `set_aside`.

    Raises:
        EventNotFound: there is no event.
        NotPoison: it can be folded, or is none.
        EnvelopeRefused: the envelope has another id or appointment, or cannot be folded either.
    """
    stored = event_at(append, position)
    if stored.topic != SET_ASIDE_TOPIC:
        why = f": {who.reason}" if who.reason else ""
        poison = poison_of(append, stored).reason
        said = f"replaced by {who.by or append.user()}{why}; it could not be folded: {poison}"
        _keep(append, stored, said, arrival_now())
    _take_place(append, stored, append.ledger.masked(envelope), who, shown)
    return stored


def take_places(append: AppendTransaction, replacements: Sequence[Replacement]) -> list[Refused]:
    """Lets envelopes that were delivered again take the places of the events with their ids that are set aside.

    Returns those that cannot be folded either, refused.
    """
    refused = []
    for stored, envelope, item in replacements:
        try:
            _take_place(append, stored, envelope, Who(None, "it was delivered again"), Owners())
        except EnvelopeRefused as error:
            refused.append(refused_by(error, item))
    return refused


def event_at(append: AppendTransaction, position: Position) -> StoredEnvelope:
    """Returns the event at a position; raises `EventNotFound` when there is none."""
    stored = append.at(position)
    if stored is None:
        raise EventNotFound(position)
    return stored


def poison_of(append: AppendTransaction, stored: StoredEnvelope) -> PoisonEvent:
    """Returns why an event cannot be folded; raises `NotPoison` when it can, or there is nothing to fold."""
    if stored.event_id < 1:
        raise NotPoison(stored.position, "it is a marker, not an envelope")
    if stored.topic == SET_ASIDE_TOPIC:
        record = SetAside.of(stored)
        raise NotPoison(stored.position, f"it was set aside by {record.by} on {record.at:%Y-%m-%d at %H:%M:%S} UTC")
    poison = poison_at(stored.position, append.stream(stored.appointment_id))
    if poison is None:
        raise NotPoison(stored.position, "it can be folded")
    return poison


def _take_place(
    append: AppendTransaction, stored: StoredEnvelope, envelope: Envelope, who: Who, shown: Owners
) -> None:
    for field, expected, found in (
        ("id", stored.event_id, envelope.event_id),
        ("eventData.appointment.id", stored.appointment_id, envelope.snapshot.id),
    ):
        if found != expected:
            raise _refused(envelope, f"{expected!r}, as in the event it is to replace", f"{found!r}", field=field)
    topic = topic_of(envelope)
    replaced = stored._replace(topic=topic, text=envelope.text)
    others = [one for one in append.stream(stored.appointment_id) if one.position != stored.position]
    poison = poison_at(stored.position, [*others, replaced])
    if poison is not None:
        raise _refused(envelope, "an envelope that can be folded", f"one that cannot: {poison.reason}")
    at = arrival_now()
    append.rewrite([Rewritten(stored.position, topic, envelope.text, at)])
    _mark(append, stored, Change.REPLACED, Who(who.by or append.user(), who.reason), at, shown)


def _refused(envelope: Envelope, expected: str, found: str, *, field: str | None = None) -> EnvelopeRefused:
    error = EnvelopeRefused(RefusalCode.SET_ASIDE, field=field, expected=expected, found=found)
    error.event_id, error.appointment_id = envelope.event_id, envelope.snapshot.id
    return error


def _mark(
    append: AppendTransaction, stored: StoredEnvelope, change: Change, who: Who, at: datetime, shown: Owners
) -> None:
    named, ledger = _named_by(stored), append.ledger
    talents, coaches = shown.talents | named.talents, shown.coaches | named.coaches
    marker = Marker(
        appointment_id=stored.appointment_id,
        change=change,
        at=at,
        positions=(stored.position,),
        by=who.by,
        reason=who.reason,
        talents=tuple(one for one in sorted(talents) if not ledger.is_forgotten(Person(Side.TALENT, one))),
        coaches=tuple(one for one in sorted(coaches) if not ledger.is_forgotten(Person(Side.COACH, one))),
    )
    append.mark([(stored.appointment_id, marker.to_json())], MARKER_TOPIC)


def _named_by(stored: StoredEnvelope) -> Owners:
    """Whom the text of an event names, if it can be decoded: another version's fold may have shown it to them."""
    try:
        snapshot = decode_envelope(stored.text).snapshot
    except (ValueError, OverflowError):
        return Owners()
    return Owners(frozenset({snapshot.talent_id}), frozenset({snapshot.coach_id}))


def _keep(append: AppendTransaction, stored: StoredEnvelope, reason: str, at: datetime) -> None:
    """Puts the bytes of an event into the quarantine, unless they name a forgotten person."""
    refused = Refused(
        code=RefusalCode.SET_ASIDE,
        reason=reason,
        source=f"position {stored.position}",
        line=None,
        received_at=at,
        content=stored.text,
        length=len(stored.text),
        sha256=hashlib.sha256(stored.text).hexdigest(),
        event_id=stored.event_id,
        appointment_id=stored.appointment_id,
    )
    append.quarantine(without_content([refused], append.ledger))
