"""What an adapter of the read models promises to erasures, beside what base.py and generations.py say."""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

from domain.person import Person
from domain.storage.base import AppendTransaction

FORGOTTEN_OWNER: Final = "forgotten:"
"""How the owner of a forgotten person's calendar link begins; a digest follows."""


class Retired(NamedTuple):
    """How many calendar links an erasure ended, and how many generations it took out of use."""

    calendar_links: int
    generations: int


class Erasing(Protocol):
    """Erases a person from the read models. Every method raises the errors that those of `Store` raise."""

    def retire(self, append: AppendTransaction, person: Person, digest: str) -> Retired:
        """In the append's transaction: ends the person's calendar link, and retires what serves no code.

        Projectors erase the person from the generations that serve. A generation that a rebuild makes is retired too:
        the rebuild begins anew. The link stays as one of a forgotten person, under the digest.
        """

    def rows(self, person: Person) -> int:
        """How many rows and tombstones the person has in the generations that serve."""

    def retired(self) -> int:
        """How many generations are retired whose tables are still there."""

    def calendar_links(self, person: Person) -> int:
        """How many calendar links the person has."""

    def scrub(self) -> list[str]:
        """Writes every table anew, so that nothing overwritten stays in the files; returns what it had to leave."""

    def scrub_online(self) -> list[str]:
        """Does what of that holds up nobody; returns what it left."""
