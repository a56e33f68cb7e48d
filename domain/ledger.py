"""Who is forgotten: a list of digests, which tells whether an id is on it and holds no id."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from domain.envelope import Envelope
from domain.masking import mask, texts_masked, words
from domain.person import Person, Side

_SIDES: Final = tuple(Side)

_REMEMBERED_MAX: Final = 100_000
"""How many answers a ledger keeps in memory; most texts of an envelope are those of many others."""


class Ledger:
    """The forgotten persons of one installation.

    Attributes:
        version: rises with each change of the ledger; 0 as long as nobody was ever forgotten.
    """

    def __init__(self, secret: bytes, version: int, digests: Iterable[str] = ()) -> None:
        self.version: Final = version
        self._secret = secret
        self._digests = frozenset(digests)
        self._answer = lru_cache(maxsize=_REMEMBERED_MAX)(self._look_up)
        self._answer_of_text = lru_cache(maxsize=_REMEMBERED_MAX)(self._look_up_words)

    def __bool__(self) -> bool:
        """Whether anybody is forgotten."""
        return bool(self._digests)

    @property
    def key(self) -> str:
        """Names the secret without telling it: ledgers with the same key have the same digests."""
        return self._hmac(b"key")[:16]

    def digest(self, person: Person) -> str:
        """The digest of a person: HMAC-SHA256 of side and id, in hex."""
        return self._hmac(f"{person.side}:{person.id}".encode("utf-8", "surrogatepass"))

    def has(self, digest: str) -> bool:
        """Whether a digest is that of a forgotten person."""
        return digest in self._digests

    def of(self, digests: Iterable[str]) -> Ledger:
        """Another ledger under the same secret."""
        return Ledger(self._secret, self.version, digests)

    def is_forgotten(self, person: Person) -> bool:
        """Whether the person is forgotten."""
        return bool(self._digests) and self._answer(person)

    def masked(self, envelope: Envelope) -> Envelope:
        """The envelope as it is to be stored: masked where it names or mentions a forgotten person, else itself."""
        if not self._digests:
            return envelope
        named = envelope.snapshot
        sides = [side for side in Side if self._answer(Person(side, side.owner_of(named)))]
        if sides or any(map(self._answer_of_text, texts_masked(envelope.text))):
            return mask(envelope, sides)
        return envelope

    def recognised(self, found: Iterable[str]) -> set[Person]:
        """The forgotten persons whose ids are among the words."""
        return {person for word in found for side in _SIDES if self._answer(person := Person(side, word))}

    def mentions(self, found: Iterable[str]) -> bool:
        """Whether one of the words is the id of a forgotten person."""
        return bool(self._digests) and any(self._answer(Person(side, word)) for word in found for side in _SIDES)

    def blinded(self, sha256: str) -> str:
        """A digest in the place of another, which only those who have the secret can compare with a content."""
        return self._hmac(sha256.encode())

    def _look_up_words(self, text: str) -> bool:
        return self.mentions(set(words(text)))

    def _look_up(self, person: Person) -> bool:
        return self.digest(person) in self._digests

    def _hmac(self, message: bytes) -> str:
        return hmac.digest(self._secret, message, hashlib.sha256).hex()
