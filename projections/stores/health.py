"""What an adapter keeps of an installation's health, besides the signs of life of followers; never content."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.identifiers import Generation


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfinishedRebuild:
    """A rebuild that is under way or was interrupted.

    Attributes:
        generation: the generation that it makes.
        phase: the phase in which it gave its last sign of life; None when it gave none.
        partitions: into how many parts history was divided.
        partitions_loaded: how many of them are loaded.
        seen_at: when it gave its last sign of life, by the clock of the database; else when it began.
        silent_seconds: how long ago that was, by the same clock.
    """

    generation: Generation
    phase: str | None
    partitions: int
    partitions_loaded: int
    seen_at: datetime
    silent_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationNote:
    """The last comparison of all of a generation with history.

    Attributes:
        generation: the generation that was compared.
        verified_at: when, by the clock of the database.
        checked: how many appointments were compared.
        differences: how many differences were found; a verification stops after 1,000.
    """

    generation: Generation
    verified_at: datetime
    checked: int
    differences: int


class Health(Protocol):
    """Where it is kept. Writing here wakes nobody on PostgreSQL. Every method raises the errors of `Store`."""

    def sign_rebuild(self, phase: str) -> None:
        """Notes that the rebuild under way lives, in the place of the sign before."""

    def unfinished_rebuild(self, generation: Generation) -> UnfinishedRebuild:
        """How far the rebuild that makes a generation is."""

    def note_verification(self, generation: Generation, *, checked: int, differences: int) -> None:
        """Notes the result of a verification of everything, in the place of the one before."""

    def last_verification(self) -> VerificationNote | None:
        """The last verification; None when there was none."""

    def projected_at(self, generation: Generation) -> datetime | None:
        """When a projector last committed a batch to a generation; None when nobody did, or before that was noted."""
