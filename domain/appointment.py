"""An appointment, and the fold that makes it from its envelopes, in whatever order and however often they come."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import asdict, astuple

from domain.envelope import AppointmentType, CancelationReason, CanceledBy, Envelope, Snapshot, Status
from domain.identifiers import AppointmentId, CoachId, EventId, TalentId
from domain.masking import FORGOTTEN

FOLD_VERSION: Final = 2
"""The version of the fold and of the rows made from it: raise it when either changes, and rebuild.

Read it with `current_fold_version()`, so that a test can replace it in one place.
"""

_CANCELED: Final = Status.CANCELED
_REGULAR_PATHS: Final = {
    (Status.PLANNED,),
    (Status.PLANNED, Status.DONE),
    (Status.PLANNED, Status.CANCELED),
}


def current_fold_version() -> int:
    """Returns the version of this code's fold."""
    return FOLD_VERSION


class Revision(Struct, frozen=True, array_like=True, gc=False):
    """The part of one envelope that is kept to fold later ones; `at` is the envelope's `createdAt`."""

    event_id: EventId
    at: datetime
    status: Status
    canceled_by: CanceledBy | None
    cancelation_reason: CancelationReason | None
    start_date: datetime | None
    end_date: datetime | None
    talent_id: TalentId
    coach_id: CoachId


class FoldedAppointment(Struct, frozen=True, gc=False):
    """The state of the fold: the newest snapshot of an appointment and its revisions by ascending event id."""

    snapshot: Snapshot
    revisions: tuple[Revision, ...]


@dataclass(frozen=True, slots=True)
class LifecycleStep:
    """A change of status; `canceled_by` and `cancelation_reason` are None unless it is CANCELED."""

    status: Status
    event_id: EventId
    at: datetime
    canceled_by: CanceledBy | None = None
    cancelation_reason: CancelationReason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Appointment:
    """One appointment, folded from its accepted envelopes. Times are in UTC, with milliseconds.

    Attributes:
        event_id: the highest envelope id; every snapshot field comes from that envelope.
        revision: the number of distinct envelopes.
        reschedules: how often `start_date` or `end_date` changed.
        irregular: whether any step was other than PLANNED to DONE or PLANNED to CANCELED.
        lifecycle: each change of status, in the publisher's order.
    """

    id: AppointmentId
    talent_id: TalentId
    coach_id: CoachId
    status: Status
    title: str
    description: str | None
    start_date: datetime | None = None
    end_date: datetime | None = None
    appointment_type: AppointmentType
    subphase_id: str | None
    talent_block_id: str | None
    canceled_by: CanceledBy | None = None
    cancelation_reason: CancelationReason | None = None
    cancelation_explanation: str | None = None
    created_at: datetime
    updated_at: datetime | None = None
    deleted_at: datetime | None = None
    event_id: EventId
    revision: int
    reschedules: int
    irregular: bool
    lifecycle: tuple[LifecycleStep, ...]

    @property
    def heading(self) -> str:
        """The title to show: of an appointment with a forgotten person, which has none, "forgotten"."""
        return self.title or (FORGOTTEN if FORGOTTEN in (self.talent_id, self.coach_id) else "")

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields in the order of the JSON interface, without the lifecycle."""
        return {name: getattr(self, name) for name in APPOINTMENT_FIELDS}


APPOINTMENT_FIELDS: Final = tuple(name for name in Appointment.__slots__ if name != "lifecycle")

DERIVED_FIELDS: Final = ("lifecycle", "event_id", "revision", "reschedules", "irregular")
"""The fields of an appointment that no snapshot has."""


def fold(folded: FoldedAppointment | None, envelopes: Iterable[Envelope]) -> FoldedAppointment:
    """Folds envelopes of one appointment into its state; `folded` is None for a new appointment.

    The result depends only on the set of all envelopes folded so far, not on their order, grouping or repetition.
    It is `folded` itself when no envelope is new.
    """
    revisions = {revision.event_id: revision for revision in folded.revisions} if folded else {}
    known = len(revisions)
    newest = folded.revisions[-1].event_id if folded else 0
    snapshot = folded.snapshot if folded else None
    for envelope in envelopes:
        event_id = envelope.event_id
        if event_id in revisions:
            continue
        told = envelope.snapshot
        revisions[event_id] = Revision(
            event_id,
            envelope.published_at,
            told.status,
            told.canceled_by,
            told.cancelation_reason,
            told.start_date,
            told.end_date,
            told.talent_id,
            told.coach_id,
        )
        if event_id > newest:
            newest, snapshot = event_id, told
    if folded and len(revisions) == known:
        return folded
    if snapshot is None:
        raise ValueError("nothing to fold")
    return FoldedAppointment(snapshot, tuple([revisions[event_id] for event_id in sorted(revisions)]))


def appointment_of(folded: FoldedAppointment) -> Appointment:
    """Returns the appointment of a folded state."""
    steps, *derived = derived_values(folded)
    lifecycle = tuple(LifecycleStep(*astuple(step)) for step in steps)
    return Appointment(**asdict(folded.snapshot), **dict(zip(DERIVED_FIELDS, (lifecycle, *derived), strict=True)))


class _Step(Struct, frozen=True, gc=False, omit_defaults=True):
    """A `LifecycleStep` on its way into a row: much quicker to make."""

    status: Status
    event_id: EventId
    at: datetime
    canceled_by: CanceledBy | None = None
    cancelation_reason: CancelationReason | None = None


def derived_values(folded: FoldedAppointment) -> tuple[Any, ...]:
    """The values of `DERIVED_FIELDS`; steps of the lifecycle are encoded as those of a `LifecycleStep` would be."""
    revisions = folded.revisions
    before = revisions[0]
    lifecycle, reschedules = [_step(before)], 0
    for revision in revisions[1:]:
        if revision.start_date != before.start_date or revision.end_date != before.end_date:
            reschedules += 1
        if revision.status is not before.status:
            lifecycle.append(_step(revision))
        before = revision
    path = tuple([step.status for step in lifecycle])
    irregular = path not in _REGULAR_PATHS
    return lifecycle, before.event_id, len(revisions), reschedules, irregular


def _step(revision: Revision) -> _Step:
    if revision.status is not _CANCELED:
        return _Step(revision.status, revision.event_id, revision.at)
    return _Step(revision.status, revision.event_id, revision.at, revision.canceled_by, revision.cancelation_reason)
