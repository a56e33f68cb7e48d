"""Where an installation stands: positions, lag, counts, and what it knows of its own health."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from domain.errors import NotAllowed, StorageError
from domain.event_store import EventStore
from domain.identifiers import Generation, Position
from domain.storage import Database
from projections.logs import LogEvent, tell
from projections.queries.documents import document_of
from projections.stores import health_of, store_of
from projections.stores.base import FollowerSign, Store
from projections.stores.catalogue import GenerationState
from projections.stores.health import UnfinishedRebuild, VerificationNote


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallationStatus:
    """Where an installation stands.

    Attributes:
        events: how many envelopes are stored.
        position: the position up to which the serving read models are projected.
        lag: how many positions the event store is ahead of that.
        generation: the generation of the read models that serves.
        appointments: how many appointments it holds; None for a role that may not read them.
        quarantined: how many items wait in the quarantine.
        set_aside: how many events the fold passes over, since somebody set them aside.
        oldest_unprojected_seconds: how long ago the first envelope that is not projected arrived; None when there is
            none, or its arrival was not recorded.
        blocked_at: the position of the event that the projector stopped in front of, since it cannot be folded; or
            None.
        followers: the last signs of life of those who project for this version of the fold, latest first; a day old
            at most.
        unfinished_rebuild: the generation that a running or interrupted rebuild makes, or None.
        rebuild: how far that is, and when it was last seen; or None.
        last_verification: the last comparison of all of a generation with history, or None.
        projected_at: when a projector last committed a batch to the generation that serves, or None.
        replica_position: what `position` is on the replica that answers questions; None without one, or when
            it gives no answer.
        unscrubbed: how many erasures the files may still show: see `appointments scrub`.
    """

    events: int
    position: Position
    lag: int
    generation: Generation
    appointments: int | None
    quarantined: int
    set_aside: int
    oldest_unprojected_seconds: float | None
    unfinished_rebuild: Generation | None
    blocked_at: Position | None
    followers: tuple[FollowerSign, ...]
    rebuild: UnfinishedRebuild | None
    last_verification: VerificationNote | None
    projected_at: datetime | None
    replica_position: Position | None
    unscrubbed: int

    def to_json(self) -> dict[str, Any]:
        """The document of `appointments status --json`."""
        return document_of(asdict(self))


def status_of(database: Database, *, replica: Database | None = None) -> InstallationStatus:
    """Positions, lag, counts and health; each is asked for by itself, so they may be a moment apart."""
    events, store, health = EventStore(database), store_of(database), health_of(database)
    stamp = store.stamp()
    followers = tuple(one for one in store.followers() if one.fold_version == stamp.fold_version)
    unfinished = _unfinished_rebuild(store)
    return InstallationStatus(
        events=events.count(),
        position=stamp.position,
        lag=stamp.lag,
        generation=stamp.generation,
        appointments=_appointments_count(store),
        quarantined=len(events.quarantine),
        set_aside=events.set_aside_count(),
        oldest_unprojected_seconds=events.seconds_since_arrival_after(stamp.position),
        unfinished_rebuild=unfinished,
        blocked_at=min(
            (one.blocked_at for one in followers if one.blocked_at and one.blocked_at > stamp.position),
            default=None,
        ),
        followers=followers,
        rebuild=None if unfinished is None else health.unfinished_rebuild(unfinished),
        last_verification=health.last_verification(),
        projected_at=health.projected_at(stamp.generation),
        replica_position=_position(replica) if replica else None,
        unscrubbed=events.recorder.ledger.unscrubbed_count(),
    )


def note_verification(database: Database, generation: Generation, *, checked: int, differences: int) -> None:
    """Notes the result of a verification for the status; a role that may only read verifies without a note."""
    try:
        health_of(database).note_verification(generation, checked=checked, differences=differences)
    except StorageError as error:
        tell(LogEvent.NOT_NOTED, reason=str(error))


def _appointments_count(store: Store) -> int | None:
    try:
        return store.appointments_count()
    except NotAllowed:  # the monitor's role
        return None


def _position(replica: Database) -> Position | None:
    try:
        return store_of(replica).stamp().position
    except StorageError:  # which the answer says by having no position
        return None


def _unfinished_rebuild(store: Store) -> Generation | None:
    unfinished = store.catalogue().made_by_this_fold(GenerationState.BUILDING)
    return unfinished[-1].number if unfinished else None
