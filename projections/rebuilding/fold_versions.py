"""The generations of every version of the fold: which there are, and retiring those of a version that nobody uses."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

from domain.appointment import current_fold_version
from domain.arguments import whole_number
from domain.errors import FoldVersionNotFound, UsageError
from domain.event_store import EventStore
from domain.identifiers import Generation, Position
from domain.storage import Database
from projections.queries.documents import document_of
from projections.rebuilding.old_generations import DroppedGenerations
from projections.stores import generations_of, store_of
from projections.stores.catalogue import Catalogue, GenerationState
from projections.stores.generations import TABLES

_SILENCE_SECONDS_MAX: Final = 60.0
"""A follower that has given no sign of life for so long is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationStatus:
    """One generation that is there.

    Attributes:
        fold_version: the version of the fold that made it.
        serving: whether it answers the code of that version.
        lag: how many positions the event store is ahead of it.
        bytes: what its tables take on disk, with their indexes; 0 in memory.
        follower_seen_at: when a follower of that version last gave a sign of life; None when none did for a day, and
            for a generation that does not serve.
    """

    number: Generation
    fold_version: int
    state: GenerationState
    serving: bool
    position: Position
    lag: int
    bytes: int
    follower_seen_at: datetime | None

    def to_json(self) -> dict[str, Any]:
        """One entry of the document of `appointments generations --json`."""
        return document_of(asdict(self))


def generation_statuses(database: Database) -> list[GenerationStatus]:
    """Every generation that is there, by number; see `Appointments.generations`."""
    store = store_of(database)
    catalogue = store.catalogue()
    head, sizes, followers = EventStore(database).head(), store.sizes(), store.followers()
    serving = {pointer.serving for pointer in catalogue.pointers.values()}
    seen = {one.fold_version: one.seen_at for one in reversed(followers)}  # latest first
    return [
        GenerationStatus(
            number=info.number,
            fold_version=info.fold_version,
            state=info.state,
            serving=info.number in serving,
            position=info.position,
            lag=max(0, head - info.position),
            bytes=sum(sizes.get(f"{table}_{info.number}", 0) for table in TABLES),
            follower_seen_at=seen.get(info.fold_version) if info.number in serving else None,
        )
        for info in catalogue.generations
        if info.state is not GenerationState.DROPPED
    ]


def retirable(database: Database, fold_version: int) -> list[Generation]:
    """The generations that `retire` would drop; raises what it would raise."""
    fold_version = whole_number("fold_version", fold_version)
    store = store_of(database)
    catalogue = store.catalogue()
    generations = [
        info.number
        for info in catalogue.generations
        if info.fold_version == fold_version and info.state is not GenerationState.DROPPED
    ]
    if not generations:
        raise FoldVersionNotFound(fold_version)
    if (reason := _reason_to_keep(fold_version, catalogue)) is not None:
        raise UsageError(f"version {fold_version} of the fold stays: {reason}", argument="fold_version")
    for one in store.followers():
        silent_seconds = (datetime.now(UTC) - one.seen_at).total_seconds()
        if one.fold_version == fold_version and one.blocked_at is None and silent_seconds < _SILENCE_SECONDS_MAX:
            raise UsageError(
                f"version {fold_version} of the fold is in use: the follower {one.name} was seen "
                f"{silent_seconds:.0f} s ago; end it, and try again a minute later",
                argument="fold_version",
            )
    return generations


def _reason_to_keep(fold_version: int, catalogue: Catalogue) -> str | None:
    if fold_version == current_fold_version():
        return "it serves this code"
    if fold_version > current_fold_version():
        return "newer code made it"
    if fold_version >= max(catalogue.pointers):
        return "no newer one serves yet; run: appointments rebuild"
    return None


def retire(database: Database, fold_version: int) -> DroppedGenerations:
    """Drops the generations of a version; see `Appointments.retire_generations`."""
    generations = generations_of(database)
    retirable(database, fold_version)
    with generations.rebuilding():
        numbers = retirable(database, fold_version)
        generations.retire(fold_version)
        dropped = tuple(number for number in numbers if generations.drop(number))
    return DroppedGenerations(dropped, tuple(number for number in numbers if number not in dropped))
