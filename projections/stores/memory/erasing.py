"""Erasing a person from the read models in memory."""

from __future__ import annotations

from dataclasses import replace

from typing_extensions import override

from domain.person import Person
from domain.storage.base import AppendTransaction
from domain.storage.memory.append import MemoryAppend
from domain.storage.memory.database import MemoryDatabase
from projections.stores.catalogue import GenerationState, Pointer
from projections.stores.erasing import FORGOTTEN_OWNER, Erasing, Retired
from projections.stores.memory.store import ReadModels


class MemoryErasing(Erasing):
    """Erases in a `memory:NAME`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    @property
    def _models(self) -> ReadModels:
        return ReadModels.of(self._database)

    @override
    def retire(self, append: AppendTransaction, person: Person, digest: str) -> Retired:
        """Does it when the append commits."""
        assert isinstance(append, MemoryAppend)  # noqa: S101 - of this database
        models = self._models
        serving = {pointer.serving for pointer in models.pointers.values()}
        others = [
            tables
            for number, tables in models.generations.items()
            if number not in serving and tables.info.state in (GenerationState.READY, GenerationState.BUILDING)
        ]

        def commit() -> None:
            token = models.calendar_links.pop((person.side, person.id), None)
            if token is not None:
                models.calendar_links[person.side, f"{FORGOTTEN_OWNER}{digest}"] = token
            for fold_version, pointer in list(models.pointers.items()):
                models.pointers[fold_version] = Pointer(pointer.serving, None)
            for tables in others:
                tables.info = replace(tables.info, state=GenerationState.RETIRED)

        append.at_commit(commit)
        return Retired(int((person.side, person.id) in models.calendar_links), len(others))

    @override
    def rows(self, person: Person) -> int:
        with self._database.contents.lock:
            models = self._models
            serving = [models.tables(pointer.serving) for pointer in models.pointers.values()]
            return sum(len(tables.schedules[person.side].get(person.id, {})) for tables in serving)

    @override
    def retired(self) -> int:
        with self._database.contents.lock:
            states = [tables.info.state for tables in self._models.generations.values()]
            return states.count(GenerationState.RETIRED)

    @override
    def calendar_links(self, person: Person) -> int:
        with self._database.contents.lock:
            return int((person.side, person.id) in self._models.calendar_links)

    @override
    def scrub(self) -> list[str]:
        """Does nothing: in memory nothing overwritten is kept."""
        return []

    @override
    def scrub_online(self) -> list[str]:
        """Does nothing: in memory nothing overwritten is kept."""
        return []
