"""The links of calendar feeds in memory."""

from __future__ import annotations

from typing_extensions import override

from domain.storage.memory.database import MemoryDatabase
from projections.rows import Side
from projections.stores.links import Links
from projections.stores.memory.store import ReadModels


class MemoryLinks(Links):
    """The links beside the read models of a name."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    @property
    def _tokens(self) -> dict[tuple[Side, str], str]:
        return ReadModels.of(self._database).calendar_links

    @override
    def token_of(self, side: Side, owner_id: str) -> str | None:
        with self._database.contents.lock:
            return self._tokens.get((side, owner_id))

    @override
    def keep(self, side: Side, owner_id: str, token: str) -> None:
        with self._database.contents.lock:
            self._tokens.setdefault((side, owner_id), token)

    @override
    def remove(self, side: Side, owner_id: str) -> bool:
        with self._database.contents.lock:
            return self._tokens.pop((side, owner_id), None) is not None

    @override
    def owner_of(self, token: str) -> tuple[Side, str] | None:
        with self._database.contents.lock:
            return next((owner for owner, kept in self._tokens.items() if kept == token), None)
