"""Which generations of the read models there are, and which of them serves the code of each version of the fold."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from domain.appointment import current_fold_version
from domain.errors import NotRebuilt, VersionMismatch
from domain.identifiers import Generation, Position


class GenerationState(StrEnum):
    """The stages of a generation's life."""

    BUILDING = "building"
    READY = "ready"
    RETIRED = "retired"
    """No longer needed; dropped as soon as nobody holds its tables."""
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class GenerationInfo:
    """One generation in the catalogue."""

    number: Generation
    fold_version: int
    position: Position
    state: GenerationState
    created_at: datetime


class Pointer(NamedTuple):
    """Which generation serves the code of one version of the fold, and which one served it before."""

    serving: Generation
    previous: Generation | None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every generation there ever was, ordered by number, and the pointer of each version of the fold."""

    pointers: Mapping[int, Pointer]
    generations: tuple[GenerationInfo, ...]

    @property
    def pointer(self) -> Pointer:
        """The pointer of the fold that this code has.

        Raises:
            VersionMismatch: there is none.
        """
        found = self.pointers.get(current_fold_version())
        if found is None:
            raise no_pointer(self.pointers)
        return found

    @property
    def serving(self) -> Generation:
        """The generation that serves this code."""
        return self.pointer.serving

    @property
    def previous(self) -> Generation | None:
        """The generation that served this code before."""
        return self.pointer.previous

    def made_by_this_fold(self, *states: GenerationState) -> list[GenerationInfo]:
        """The generations in these states that this version of the fold made: this code drops no other."""
        known = current_fold_version()
        return [one for one in self.generations if one.fold_version == known and one.state in states]


def no_pointer(versions: Collection[int]) -> VersionMismatch:
    """The error of this code where only these other versions of the fold have a pointer."""
    known, newest = current_fold_version(), max(versions)
    kind, remedy = (
        (NotRebuilt, "; run: appointments rebuild") if newest < known else (VersionMismatch, ": upgrade this code")
    )
    return kind(
        f"the read models were made by version {newest} of the fold and this code knows version {known}{remedy}",
        expected=known,
        found=newest,
    )
