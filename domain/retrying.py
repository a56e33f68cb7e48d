"""Quarantined items, appended after all: what was refused once may be acceptable to newer code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from domain.decision import decide, validated
from domain.envelope import Envelope, RefusalCode
from domain.erasure import insert, is_emptied, without_content
from domain.identifiers import Position
from domain.input.items import Item
from domain.quarantine import is_too_large
from domain.set_aside import take_places
from domain.storage.base import Outcomes, QuarantinedItem, Recorder, Refused, StoredEnvelope
from domain.topics import topic_of


def retry_batch(recorder: Recorder, items: Sequence[QuarantinedItem]) -> int:
    """Appends those quarantined items that are acceptable now; returns how many have left the quarantine."""
    judged = [
        (item, *_validated_again(item)) for item in items if not is_too_large(item) and not is_emptied(item.refused)
    ]
    changed = [
        (item, candidates, refused)
        for item, candidates, refused in judged
        if not any(_is_known(item, one) for one in refused)
    ]
    if not changed:
        return 0  # nothing to write: do not take the lock
    accepted = 0
    outcomes = Counter[str]()
    with recorder.appending() as append:
        stored = append.stored([envelope.event_id for _, candidates, _ in changed for envelope, _ in candidates])
        ledger = append.ledger
        for item, candidates, refused in changed:
            decision = decide([(ledger.masked(envelope), its) for envelope, its in candidates], stored)
            insert(append, decision.new, ledger)
            refused_again = take_places(append, decision.replacements)
            stored |= {one.event_id: _as_stored(one) for one in decision.accepted}
            still = next(iter(without_content(refused + decision.conflicts + refused_again, ledger)), None)
            if still is not None and _is_known(item, still):
                continue
            append.replace(item.number, still and replace(still, received_at=item.refused.received_at))
            accepted += still is None
            outcomes.update(appended=len(decision.accepted) - len(refused_again), duplicates=decision.duplicates)
        append.count(Outcomes(**outcomes))
    return accepted


def _is_known(item: QuarantinedItem, refused: Refused) -> bool:
    """Whether the reason is not new. What was set aside keeps the record of it."""
    kept = item.refused
    return kept.code is RefusalCode.SET_ASIDE or (refused.code, refused.reason) == (kept.code, kept.reason)


def _validated_again(item: QuarantinedItem) -> tuple[list[tuple[Envelope, Item]], list[Refused]]:
    kept = item.refused
    candidates, refused, _ = validated([Item(kept.content, kept.source, kept.line or 0, kept.length, None)])
    return candidates, refused


def _as_stored(envelope: Envelope) -> StoredEnvelope:
    """What a later item of the same batch is compared with."""
    return StoredEnvelope(Position(0), envelope.event_id, envelope.snapshot.id, topic_of(envelope), envelope.text)
