"""The fold of stored events, and which of them it cannot take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from domain.appointment import FoldedAppointment, fold
from domain.errors import PoisonEvent
from domain.identifiers import Position
from domain.storage.base import StoredEnvelope
from domain.topics import envelope_of, has_envelope


def fold_stored(
    before: FoldedAppointment | None, stored_events: Sequence[StoredEnvelope]
) -> FoldedAppointment | None:
    """Folds the envelopes among stored events of one appointment; None when there is not one.

    Raises:
        PoisonEvent: one of them, which the error names, cannot be folded.
    """
    stored_envelopes = [stored for stored in stored_events if has_envelope(stored)]
    if not stored_envelopes:
        return before
    try:
        return fold(before, map(envelope_of, stored_envelopes))
    except PoisonEvent:
        raise
    except Exception:  # whatever a fold may raise
        for stored in sorted(stored_envelopes):
            try:
                before = fold(before, [envelope_of(stored)])
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
                raise PoisonEvent(stored.position, stored.appointment_id, stored.event_id, reason) from error
        raise


def poison_at(position: Position, stream: Iterable[StoredEnvelope]) -> PoisonEvent | None:
    """Returns why the event at a position of a stream cannot be folded after those that arrived before it.

    Returns None when it can, or is none that the fold takes. Others that cannot be folded are passed over.
    """
    before: FoldedAppointment | None = None
    for stored in sorted(stream):
        try:
            before = fold_stored(before, [stored])
        except PoisonEvent as error:
            if stored.position == position:
                return error
        if stored.position == position:
            return None
    return None
