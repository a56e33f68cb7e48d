"""What a person needs to see to understand why an item is in the quarantine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from difflib import unified_diff

from domain.contract import read_envelope
from domain.decision import StoredTextUnreadable, event_data_of
from domain.envelope import EnvelopeRefused, RefusalCode
from domain.event_store import EventStore
from domain.identifiers import EventId
from domain.storage.base import QuarantinedItem

_CHARACTERS_BEFORE = 60
_CHARACTERS_AFTER = 20
"""Together they fit the narrowest usual terminal: in a wrapped line the caret would point at something else."""


def explain(item: QuarantinedItem, events: EventStore) -> list[str]:
    """Lines of text: what came from where, the reason, and what shows it."""
    return [
        f"Item {item.number}: {item.refused.code}, from {place_of(item)}",
        item.refused.reason,
        *_evidence(item, events),
    ]


def place_of(item: QuarantinedItem) -> str:
    """Where an item came from, and how often."""
    line = "" if item.refused.line is None else f", line {item.refused.line}"
    times = "" if item.count == 1 else f", {item.count} times"
    return f"{item.refused.source}{line}{times}"


def _evidence(item: QuarantinedItem, events: EventStore) -> Iterator[str]:
    refused = item.refused
    match refused.code:
        case RefusalCode.TOO_LARGE:
            kept = len(refused.content)
            yield f"{refused.length:,} bytes came, SHA-256 {refused.sha256}; the first {kept:,} are kept"
        case RefusalCode.CONFLICT:
            yield from _both_contents(refused.content, events.stored_text(EventId(refused.event_id or 0)))
        case RefusalCode.MALFORMED_JSON:
            yield from _caret(refused.content)
        case _:
            yield refused.content.decode("utf-8", "backslashreplace")


def _caret(content: bytes) -> Iterator[str]:
    """The line around the place where JSON breaks, and a caret under that place."""
    try:
        read_envelope(content)
    except EnvelopeRefused as error:
        if error.offset is None:
            return
        before = content[: error.offset].decode("utf-8", "backslashreplace").split("\n")[-1]
        after = content[error.offset :].decode("utf-8", "backslashreplace").split("\n")[0]
        yield before[-_CHARACTERS_BEFORE:] + after[:_CHARACTERS_AFTER]
        yield " " * len(before[-_CHARACTERS_BEFORE:]) + "^"


def _both_contents(refused: bytes, stored: bytes | None) -> Iterator[str]:
    """The lines of both contents, those that differ marked: - stored, + refused."""
    if stored is None:
        return
    yield "- as stored, + as refused:"
    first, second = _lines_of(stored), _lines_of(refused)
    _, _, _, *lines = unified_diff(first, second, n=len(first) + len(second), lineterm="")
    yield from (f"{line[0]} {line[1:]}" for line in lines)


def _lines_of(text: bytes) -> list[str]:
    """What an envelope says, one value a line; of one that was damaged after it was stored, the text as it is."""
    try:
        event_data_of(text)
    except StoredTextUnreadable:
        return text.decode("utf-8", "backslashreplace").splitlines()
    return json.dumps(json.loads(text)["eventData"], ensure_ascii=False, indent=2, sort_keys=True).splitlines()
