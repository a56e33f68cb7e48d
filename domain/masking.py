"""What stays of an envelope when one of its persons is forgotten, and which persons a text mentions."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from domain.envelope import EVENT_NAME, PAYLOAD_VERSION, Envelope, Snapshot
from domain.person import Side

FORGOTTEN: Final = "forgotten"
"""The id of every forgotten person: a pseudonym of each could be traced back to them."""

_KEPT: Final = ("id", "status", "appointment_type", "canceled_by", "cancelation_reason")
_TIMES: Final = ("created_at", "updated_at", "deleted_at", "start_date", "end_date")

_WORDS: Final = (re.compile(r"\S+"), re.compile(r"[\w-]+"), re.compile(r"[^\W_]+(?:-[^\W_]+)*"))
_EDGES: Final = re.compile(r"^[\W_]+|[\W_]+$")


class MaskedEnvelope(Envelope, frozen=True, gc=False):
    """An envelope without what belonged to a forgotten person."""


def mask(envelope: Envelope, sides: Collection[Side]) -> MaskedEnvelope:
    """Returns the envelope with only what the other person's schedule needs.

    That is: when, what state, and whom it was with, unless that is a forgotten side; no text, and no field that the
    contract does not name. Masking twice is masking once, for all the sides together.
    """
    told = envelope.snapshot
    kept: dict[str, Any] = {name: getattr(told, name) for name in (*_KEPT, *_TIMES)}
    snapshot = Snapshot(
        talent_id=FORGOTTEN if Side.TALENT in sides else told.talent_id,  # type: ignore[arg-type]
        coach_id=FORGOTTEN if Side.COACH in sides else told.coach_id,  # type: ignore[arg-type]
        title="",
        description=None,
        subphase_id=None,
        talent_block_id=None,
        **kept,
    )
    return MaskedEnvelope(envelope.event_id, envelope.published_at, snapshot, _text(envelope, snapshot))


def _text(envelope: Envelope, snapshot: Snapshot) -> bytes:
    """The envelope's JSON, as the publisher would have written it."""
    appointment = {_camel(name): _plain(getattr(snapshot, name)) for name in Snapshot.__struct_fields__}
    return msgspec.json.encode(
        {
            "id": envelope.event_id,
            "createdAt": _plain(envelope.published_at),
            "eventName": EVENT_NAME,
            "eventData": {"version": PAYLOAD_VERSION, "appointment": appointment},
        }
    )


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


_Kept = Mapping[str, "_Kept | None"]
"""The keys of an object that masking keeps: None for a value, otherwise what is kept of the object there."""

_KEPT_OF_ENVELOPE: Final[_Kept] = {
    "id": None,
    "createdAt": None,
    "eventName": None,
    "eventData": {
        "version": None,
        "appointment": dict.fromkeys([_camel(name) for name in (*_KEPT, *_TIMES, "talent_id", "coach_id")]),
    },
}

_NAMES: Final = frozenset({*map(_camel, Snapshot.__struct_fields__), *_KEPT_OF_ENVELOPE, "version", "appointment"})


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with all of its keys, those given twice included."""


def words_masked(text: bytes) -> set[str]:
    """Returns the words of all that masking would take out of an envelope: one may be the id of a person.

    A text as a whole is a word too, so an id with blanks in it is found where nothing else stands beside it.
    """
    return set().union(*map(words, texts_masked(text)))


def texts_masked(text: bytes) -> Iterator[str]:
    """Yields all texts that masking would take out of an envelope."""
    return _removed(json.loads(text, object_pairs_hook=_Pairs), _KEPT_OF_ENVELOPE)


def words_in(content: bytes) -> set[str]:
    """Returns the words of anything that was received, whether it is JSON or not."""
    found = set(words(content.decode("utf-8", "replace")))
    try:
        document = json.loads(content, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return found
    return found.union(*map(words, _removed(document, {})))


def words(text: str) -> Iterator[str]:
    """Yields what may be an id in a text: all of it, and what blanks or punctuation set apart."""
    yield text
    for pattern in _WORDS:
        yield from pattern.findall(text)
    for one in text.split():
        yield _EDGES.sub("", one)


def _removed(value: object, kept: _Kept) -> Iterator[str]:
    """The texts in a JSON value, and its unusual keys, without what is kept; of equal keys the last one is."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, _Pairs):
        last = {key: index for index, (key, _) in enumerate(value)}
        for index, (key, inner) in enumerate(value):
            if key not in _NAMES:
                yield key
            is_kept = key in kept and last[key] == index
            if not is_kept:
                yield from _removed(inner, {})
            elif (below := kept[key]) is not None:
                yield from _removed(inner, below)
    elif isinstance(value, list):
        for inner in value:
            yield from _removed(inner, {})
