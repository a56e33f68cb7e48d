"""Explains to a person why an item is in the quarantine."""

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
"""Before and after together fit 80 columns; in a wrapped line the caret would point at the wrong place."""


def explain(item: QuarantinedItem, events: EventStore) -> list[str]:
    """Returns lines of text: the item's source, the reason of its refusal, and the content that shows it."""
    return [
        f"Item {item.number}: {item.refused.code}, from {place_of(item)}",
        item.refused.reason,
        *_evidence(item, events),
    ]


def place_of(item: QuarantinedItem) -> str:
    """Returns where an item came from, and how often."""
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
    """Yields the line with the syntax error, and a caret under its place."""
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
    """Yields a diff of the stored and the refused envelope, with all equal lines."""
    if stored is None:
        return
    yield "- as stored, + as refused:"
    first, second = _lines_of(stored), _lines_of(refused)
    _, _, _, *lines = unified_diff(first, second, n=len(first) + len(second), lineterm="")
    yield from (f"{line[0]} {line[1:]}" for line in lines)


def _lines_of(text: bytes) -> list[str]:
    """Returns an envelope's `eventData`, one value a line; the whole text if it was damaged in the database."""
    try:
        event_data_of(text)
    except StoredTextUnreadable:
        return text.decode("utf-8", "backslashreplace").splitlines()
    return json.dumps(json.loads(text)["eventData"], ensure_ascii=False, indent=2, sort_keys=True).splitlines()
