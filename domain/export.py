"""Stored envelopes as JSON Lines, for another event store or another program."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from domain.identifiers import Position
from domain.storage.base import Recorder
from domain.topics import has_envelope

_BATCH_ENVELOPES: Final = 200
_BLANK_FOR_BREAK: Final = bytes.maketrans(b"\r\n", b"  ")


def exported_lines(recorder: Recorder, *, start: Position, upto: Position) -> Iterator[bytes]:
    """Yields the stored envelopes from one position to another, each as JSON on one line; not what was set aside."""
    after = Position(start - 1)
    while batch := recorder.read(after=after, upto=upto, limit=_BATCH_ENVELOPES):
        yield from (on_one_line(stored.text) for stored in batch if has_envelope(stored))
        after = batch[-1].position
        batch.clear()  # or it would be held while the next one is read


def on_one_line(text: bytes) -> bytes:
    """Returns JSON without line breaks: between its values they are blanks, and strings hold them only as escapes."""
    return text.translate(_BLANK_FOR_BREAK).strip()
