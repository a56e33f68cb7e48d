"""What an event store offers for events that cannot be folded: why, and how to get past them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from domain.arguments import opaque, optional, whole_number
from domain.decision import read_item
from domain.envelope import EVENT_ID_MAX, EVENT_NAME, Envelope, EnvelopeRefused, Ignored, RefusalCode
from domain.errors import EventNotFound, PoisonEvent, UsageError
from domain.identifiers import Position
from domain.input.batches import EnvelopeInput, batches
from domain.input.items import Item
from domain.markers import SetAside
from domain.poison import poison_at
from domain.set_aside import Owners, Who, replace, set_aside
from domain.storage import Database, recorder_of
from domain.storage.base import Recorder, StoredEnvelope

Shown = Callable[[StoredEnvelope], Owners]
"""In whose schedules the read models show an appointment by one of its events."""


class Corrections:
    """Stored events by position; `EventStore` is the one to use.

    Args:
        database: where the event store is; whoever opened it closes it.
        shown: asked before an event is changed, so that change feeds tell of it to those who saw it.
    """

    def __init__(self, database: Database, *, shown: Shown | None = None) -> None:
        self._recorder: Final = recorder_of(database)
        self._shown = shown or (lambda _: Owners())
        self._installed = False

    @property
    def recorder(self) -> Recorder:
        """The database adapter, for reading stored envelopes in bulk."""
        return self._recorder

    def at(self, position: int) -> StoredEnvelope:
        """Returns the stored envelope at a position, not decoded.

        Raises:
            EventNotFound: there is none.
        """
        position = whole_number("position", position)
        if 1 <= position <= EVENT_ID_MAX:
            found = self._checked().read(after=Position(position - 1), upto=Position(position), limit=1)
            if found:
                return found[0]
        raise EventNotFound(position)

    def poison(self, position: int) -> PoisonEvent | None:
        """Returns why the event at a position cannot be folded; None when it can, or is passed over.

        Raises:
            EventNotFound: there is none.
        """
        stored = self.at(position)
        return poison_at(stored.position, self._recorder.stream(stored.appointment_id))

    def set_aside(self, position: int, *, reason: str, by: str | None = None) -> SetAside:
        """Lets the fold pass over an event that it cannot take, so that projectors go on; returns the record.

        The event keeps its position and its id; its bytes go to the quarantine. When its id is delivered again with
        sound content, or given some by `replace`, that takes its place.

        Args:
            position: where the event is.
            reason: why, for those who ask later.
            by: who does it; the user of the database (PostgreSQL) or of the operating system unless given.

        Raises:
            EventNotFound: there is no event.
            NotPoison: it can be folded, or is set aside already.
            StorageError: the database cannot be used. Whatever is raised, nothing is changed.
        """
        who = _who(by, opaque("reason", reason))
        stored = self.at(position)
        shown = self._shown(stored)
        with self._recorder.appending() as append:
            return set_aside(append, stored.position, who, shown=shown)

    def replace(
        self, position: int, envelope: EnvelopeInput, *, reason: str | None = None, by: str | None = None
    ) -> None:
        """Gives the place of an event that is set aside, or cannot be folded, to an envelope with its id.

        Its position stays, it counts as arrived now, and what was there is in the quarantine.

        Args:
            position: where the event is.
            envelope: JSON as bytes or str, or the parsed object.
            reason: why, for those who ask later.
            by: who does it; the user of the database (PostgreSQL) or of the operating system unless given.

        Raises:
            EventNotFound: there is no event.
            NotPoison: it can be folded.
            EnvelopeRefused: the envelope breaks the contract, has another id or appointment, or cannot be folded.
            StorageError: the database cannot be used. Whatever is raised, nothing is changed.
        """
        who = _who(by, optional(opaque, "reason", reason))
        [[item]] = batches([envelope])
        stored = self.at(position)
        shown = self._shown(stored)
        with self._recorder.appending() as append:
            replace(append, stored.position, append.ledger.masked(_envelope(item)), who, shown=shown)

    def set_aside_count(self) -> int:
        """Returns the number of events that are set aside."""
        return self._checked().set_aside_count()

    def _checked(self) -> Recorder:
        """Returns the database adapter after checking that its tables exist and are of this code's version."""
        if not self._installed:
            self._recorder.check()
            self._installed = True
        return self._recorder


def _envelope(item: Item) -> Envelope:
    outcome = read_item(item)
    if isinstance(outcome, Ignored):
        raise EnvelopeRefused(
            RefusalCode.INVALID_ENVELOPE, field="eventName", expected=repr(EVENT_NAME), found="another event"
        )
    return outcome


def _who(by: str | None, reason: str | None) -> Who:
    who = Who(optional(opaque, "by", by), reason)
    for name, value in zip(who._fields, who, strict=True):
        if value is not None and not value.strip():
            raise UsageError(f"{name}: expected text, found {value!r}", argument=name)
    return who
