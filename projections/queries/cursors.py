"""Cursors and change tokens: opaque texts that a caller gives back with a later question.

A digest of their content and of the question they belong to tells mix-ups and typing errors.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import Any, NamedTuple

from domain.appointment import current_fold_version
from domain.errors import InvalidCursor, InvalidToken
from domain.identifiers import AppointmentId, Position

_DIGEST_BYTES = 9


def seal(content: list[Any], *, belongs_to: list[Any]) -> str:
    """Returns a text that `unseal` decodes for the same question. Opaque to clients; not encrypted."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    return base64.urlsafe_b64encode(_digest(text, belongs_to) + text).decode().rstrip("=")


def unseal(sealed: str, *, belongs_to: list[Any]) -> list[Any] | None:
    """Decodes what `seal` made; None when it is damaged or was made for another question."""
    try:
        raw = base64.b64decode(sealed + "=" * (-len(sealed) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    digest, text = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
    if digest != _digest(text, belongs_to):
        return None
    content: list[Any] = json.loads(text)
    return content


def unseal_cursor(cursor: str, *, belongs_to: list[Any]) -> list[Any]:
    """The content of a cursor.

    Raises:
        InvalidCursor: it is damaged, or belongs to another question.
    """
    content = unseal(cursor, belongs_to=belongs_to)
    if content is None:
        raise InvalidCursor("the cursor does not belong to this question; begin again without it")
    return content


class ChangeToken(NamedTuple):
    """What a change token says: how far a feed has been read, and of which event store.

    Attributes:
        listed: in the middle of the first answer, the place in the schedule up to which it was given.
        changed_id: in the middle of a later one, the id at the position up to which it was given.
    """

    position: Position
    epoch: str | None
    listed: tuple[int, str] | None = None
    changed_id: AppointmentId | None = None

    def check(self, epoch: str) -> None:
        """Raises `InvalidToken` unless the token is of the event store's present epoch."""
        if self.epoch != epoch:
            raise InvalidToken(
                "the token is of another event store, or of this one before it was restored; start over without it"
            )


def sealed_token(token: ChangeToken, belongs_to: list[Any]) -> str:
    """The text of a token, for callers to keep."""
    within = [] if token.listed is None and token.changed_id is None else [token.listed, token.changed_id]
    return seal([current_fold_version(), token.position, token.epoch, *within], belongs_to=belongs_to)


def unsealed_token(sealed: str, belongs_to: list[Any]) -> ChangeToken:
    """The token of a text that a caller kept.

    Raises:
        InvalidToken: it is damaged, or belongs to another question or another version of the fold.
    """
    content = unseal(sealed, belongs_to=belongs_to)
    if content is None:
        raise InvalidToken("the token does not belong to this question; start over without it")
    fold_version, position, *more = content  # those made before there were epochs have none
    if fold_version != current_fold_version():
        raise InvalidToken(
            f"the token is of version {fold_version} of the fold, this is version {current_fold_version()}; "
            "start over without it"
        )
    epoch, listed, changed_id = [*more, None, None, None][:3]
    return ChangeToken(Position(position), epoch, None if listed is None else tuple(listed), changed_id)


def _digest(text: bytes, belongs_to: list[Any]) -> bytes:
    question = json.dumps(belongs_to, sort_keys=True).encode()
    return hashlib.blake2b(text, digest_size=_DIGEST_BYTES, key=hashlib.blake2b(question).digest()).digest()
