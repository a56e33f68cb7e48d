"""The links by which a talent or a coach subscribes to the own schedule in a calendar."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain.arguments import identifier, text
from domain.errors import Forgotten
from domain.person import Person, Side
from domain.storage import Database, recorder_of
from projections.queries.filters import owner_of
from projections.stores import links_of
from projections.stores.erasing import FORGOTTEN_OWNER

_TOKEN_BYTES = 32
_TOKEN_CHARACTERS_MAX = 200


@dataclass(frozen=True, slots=True)
class CalendarLink:
    """The link of one person. Whoever knows the token reads that person's schedule, and nothing else."""

    side: Side
    owner_id: str
    token: str

    @property
    def path(self) -> str:
        """The path of the feed on the HTTP service."""
        return f"/calendar/{self.token}.ics"

    def to_json(self) -> dict[str, Any]:
        """The document of `appointments calendar-link --json`."""
        return {f"{self.side}_id": self.owner_id, "path": self.path}


class CalendarLinks:
    """The calendar links of one installation. Every method raises a `StorageError` when it cannot be used."""

    def __init__(self, database: Database) -> None:
        self._links = links_of(database)
        self._recorder = recorder_of(database)

    def link(self, *, talent_id: str | UUID | None = None, coach_id: str | UUID | None = None) -> CalendarLink:
        """The link of a talent or a coach, made with a token that nobody can guess when there is none.

        Raises:
            Forgotten: the person was forgotten.
        """
        side, owner_id = _person(talent_id, coach_id)
        if self._recorder.ledger.read().is_forgotten(Person(side, owner_id)):
            raise Forgotten(side)
        token = self._links.token_of(side, owner_id)
        while token is None:  # until one is kept, ours or that of somebody who came first
            self._links.keep(side, owner_id, secrets.token_urlsafe(_TOKEN_BYTES))
            token = self._links.token_of(side, owner_id)
        return CalendarLink(side, owner_id, token)

    def revoke(self, *, talent_id: str | UUID | None = None, coach_id: str | UUID | None = None) -> bool:
        """Ends the feed of a talent or a coach for good; returns whether there was one. The next link is another."""
        return self._links.remove(*_person(talent_id, coach_id))

    def find(self, token: str) -> CalendarLink | None:
        """The link of a token; None when it was never given, or is revoked.

        Raises:
            Forgotten: its person was forgotten.
        """
        token = text("token", token)
        if not token.isascii() or not token.isprintable() or len(token) > _TOKEN_CHARACTERS_MAX:
            return None
        owner = self._links.owner_of(token)
        if owner is None:
            return None
        side, owner_id = owner
        if owner_id.startswith(FORGOTTEN_OWNER):
            raise Forgotten(side)
        return CalendarLink(side, owner_id, token)


def _person(talent_id: str | UUID | None, coach_id: str | UUID | None) -> tuple[Side, str]:
    side, owner_id = owner_of(talent_id, coach_id)
    return side, identifier(f"{side}_id", owner_id)
