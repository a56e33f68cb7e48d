"""The contract for the links of calendar feeds: a token for a talent or a coach, kept beside the read models."""

from __future__ import annotations

from typing import Protocol

from projections.rows import Side


class Links(Protocol):
    """Where the tokens are kept. Safe to use from several threads.

    A person has at most one token, and a token belongs to one person. Every method raises a `StorageError` when the
    database cannot be used, and `NotInstalled` when the table is not there.
    """

    def token_of(self, side: Side, owner_id: str) -> str | None:
        """The token of a person."""

    def keep(self, side: Side, owner_id: str, token: str) -> None:
        """Keeps a token for a person who has none; one who has one keeps it."""

    def remove(self, side: Side, owner_id: str) -> bool:
        """Forgets a person's token; returns whether there was one."""

    def owner_of(self, token: str) -> tuple[Side, str] | None:
        """Whose token it is."""
