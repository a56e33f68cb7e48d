"""What an installation in memory knows of its own health."""

from __future__ import annotations

from datetime import UTC, datetime

from typing_extensions import override

from domain.identifiers import Generation
from domain.storage.memory.database import MemoryDatabase
from projections.stores.health import Health, UnfinishedRebuild, VerificationNote
from projections.stores.memory.store import ReadModels


class MemoryHealth(Health):
    """The health of a `memory:NAME`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    @property
    def _models(self) -> ReadModels:
        return ReadModels.of(self._database)

    @override
    def sign_rebuild(self, phase: str) -> None:
        with self._database.contents.lock:
            self._models.rebuild_sign = (phase, datetime.now(UTC))

    @override
    def unfinished_rebuild(self, generation: Generation) -> UnfinishedRebuild:
        with self._database.contents.lock:
            models = self._models
            created_at = models.generations[generation].info.created_at
            phase, seen_at = models.rebuild_sign or (None, created_at)
            if seen_at < created_at:
                phase, seen_at = None, created_at
            tallies = [tally for _, tally in models.partitions.get(generation, {}).values()]
        return UnfinishedRebuild(
            generation=generation, phase=phase, partitions=len(tallies),
            partitions_loaded=sum(one is not None for one in tallies), seen_at=seen_at,
            silent_seconds=abs((datetime.now(UTC) - seen_at).total_seconds()),
        )  # fmt: skip

    @override
    def note_verification(self, generation: Generation, *, checked: int, differences: int) -> None:
        with self._database.contents.lock:
            self._models.verification = VerificationNote(
                generation=generation, verified_at=datetime.now(UTC), checked=checked, differences=differences
            )

    @override
    def last_verification(self) -> VerificationNote | None:
        return self._models.verification

    @override
    def projected_at(self, generation: Generation) -> datetime | None:
        return self._models.generations[generation].projected_at
