"""Signatures of deliveries, as Standard Webhooks defines them: https://www.standardwebhooks.com.

The digest is made while the delivery arrives, over its bytes as they came, so that it needs no memory and a gzipped
delivery can be signed too. The library of that name takes whole texts only; the tests sign with it.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Mapping
from typing import Final

TOLERANCE_SECONDS: Final = 300
"""How far the time at which a delivery was signed may be from now."""

PREFIX: Final = "whsec_"
"""How a secret begins; base64 follows."""


class Signature:
    """The signature of one delivery that arrives in pieces, to be compared with those it presents."""

    def __init__(self, headers: Mapping[str, str], secrets: tuple[str, ...]) -> None:
        self._is_of_now = _is_of_now(headers.get("webhook-timestamp", ""))
        self._presented = list(_presented(headers.get("webhook-signature", "")))
        signed = f"{headers.get('webhook-id', '')}.{headers.get('webhook-timestamp', '')}.".encode()
        self._digests = [hmac.new(key_of(secret), signed, hashlib.sha256) for secret in secrets]

    @staticmethod
    def is_presented(headers: Mapping[str, str]) -> bool:
        """Whether a request says that it is signed."""
        return all(f"webhook-{name}" in headers for name in ("id", "timestamp", "signature"))

    def update(self, content: bytes) -> None:
        """Takes in the next piece of the delivery."""
        for digest in self._digests:
            digest.update(content)

    def is_valid(self) -> bool:
        """Whether one of the secrets signed the whole delivery, within the last minutes."""
        expected = [digest.digest() for digest in self._digests]
        matches = [hmac.compare_digest(one, other) for one in expected for other in self._presented]
        return self._is_of_now and any(matches)


def key_of(secret: str) -> bytes:
    """The key in a secret.

    Raises:
        ValueError: it is not `whsec_` and base64.
    """
    if not secret.startswith(PREFIX):
        raise ValueError(f"expected {PREFIX} and base64")
    return b64decode(secret.removeprefix(PREFIX), validate=True)


def _is_of_now(timestamp: str) -> bool:
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) < 16):
        return False
    return abs(time.time() - int(timestamp)) <= TOLERANCE_SECONDS


def _presented(signatures: str) -> list[bytes]:
    """The signatures of version 1 in a header; there are several while a secret is replaced."""
    found = []
    for signature in signatures.split(" "):
        version, _, text = signature.partition(",")
        if version == "v1":
            try:
                found.append(b64decode(text, validate=True))
            except (NotBase64, ValueError):
                continue
    return found
