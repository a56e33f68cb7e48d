"""Opaque cursors and tokens: what a later question needs to know, sealed against mix-ups and typing errors."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import Any

_DIGEST_BYTES = 9


def seal(content: list[Any], *, belongs_to: list[Any]) -> str:
    """Returns a text that `unseal` decodes for the same question. Opaque to clients; not encrypted."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    return base64.urlsafe_b64encode(_digest(text, belongs_to) + text).decode().rstrip("=")


def unseal(sealed: str, *, belongs_to: list[Any]) -> list[Any] | None:
    """The content of a sealed text; None when it is damaged or was sealed for another question."""
    try:
        raw = base64.b64decode(sealed + "=" * (-len(sealed) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    digest, text = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
    if digest != _digest(text, belongs_to):
        return None
    content: list[Any] = json.loads(text)
    return content


def _digest(text: bytes, belongs_to: list[Any]) -> bytes:
    question = json.dumps(belongs_to, sort_keys=True).encode()
    return hashlib.blake2b(text, digest_size=_DIGEST_BYTES, key=hashlib.blake2b(question).digest()).digest()
