"""An appointment and the one fold that makes it from its envelopes, in any order and with any repetition."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Final, NamedTuple

from domain.envelope import AppointmentType, CancelationReason, CanceledBy, Envelope, Snapshot, Status
from domain.identifiers import AppointmentId, CoachId, EventId, TalentId

FOLD_VERSION: Final = 1
"""The version of the fold and of the rows made from it. A change of either asks for a rebuild.

Asked for through `current_fold_version`, so that a test which runs code of another version has one place to say so.
"""

_REGULAR_STEPS: Final = {(Status.PLANNED, Status.DONE), (Status.PLANNED, Status.CANCELED)}


def current_fold_version() -> int:
    """The version of the fold that this code has."""
    return FOLD_VERSION


class Revision(NamedTuple):
    """What one envelope said, as far as later envelopes need to know; `at` is the envelope's `createdAt`."""

    event_id: EventId
    at: datetime
    status: Status
    canceled_by: CanceledBy | None
    cancelation_reason: CancelationReason | None
    start_date: datetime | None
    end_date: datetime | None
    talent_id: TalentId
    coach_id: CoachId


@dataclass(frozen=True, slots=True)
class FoldedAppointment:
    """All that is known of one appointment: its newest snapshot and its revisions by ascending event id."""

    snapshot: Snapshot
    revisions: tuple[Revision, ...]


@dataclass(frozen=True, slots=True)
class LifecycleStep:
    """A change of status; `canceled_by` and `cancelation_reason` are None unless it is CANCELED."""

    status: Status
    event_id: EventId
    at: datetime
    canceled_by: CanceledBy | None
    cancelation_reason: CancelationReason | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Appointment:
    """One appointment as its accepted envelopes tell it. Times are UTC with milliseconds.

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
    start_date: datetime | None
    end_date: datetime | None
    appointment_type: AppointmentType
    subphase_id: str | None
    talent_block_id: str | None
    canceled_by: CanceledBy | None
    cancelation_reason: CancelationReason | None
    cancelation_explanation: str | None
    created_at: datetime
    updated_at: datetime | None
    deleted_at: datetime | None
    event_id: EventId
    revision: int
    reschedules: int
    irregular: bool
    lifecycle: tuple[LifecycleStep, ...]

    def to_dict(self) -> dict[str, Any]:
        """The fields of one appointment, in the order of the JSON interface, without its lifecycle."""
        return {name: getattr(self, name) for name in APPOINTMENT_FIELDS}


APPOINTMENT_FIELDS: Final = tuple(name for name in Appointment.__slots__ if name != "lifecycle")


def fold(folded: FoldedAppointment | None, envelopes: Iterable[Envelope]) -> FoldedAppointment:
    """Folds more envelopes of one appointment into what is known of it.

    The result depends only on the set of all envelopes ever folded: not on their order, grouping or repetition.
    Without new envelopes it is `folded` itself. `folded` and `envelopes` are not both empty.
    """
    revisions = {revision.event_id: revision for revision in folded.revisions} if folded else {}
    known = len(revisions)
    newest = folded.revisions[-1].event_id if folded else 0
    snapshot = folded.snapshot if folded else None
    for envelope in envelopes:
        if envelope.event_id in revisions:
            continue
        revisions[envelope.event_id] = _revision(envelope)
        if envelope.event_id > newest:
            newest, snapshot = envelope.event_id, envelope.snapshot
    if folded and len(revisions) == known:
        return folded
    if snapshot is None:
        raise ValueError("nothing to fold")
    return FoldedAppointment(snapshot, tuple(revisions[event_id] for event_id in sorted(revisions)))


def _revision(envelope: Envelope) -> Revision:
    snapshot = envelope.snapshot
    return Revision(
        envelope.event_id,
        envelope.published_at,
        snapshot.status,
        snapshot.canceled_by,
        snapshot.cancelation_reason,
        snapshot.start_date,
        snapshot.end_date,
        snapshot.talent_id,
        snapshot.coach_id,
    )


def appointment_of(folded: FoldedAppointment) -> Appointment:
    """The appointment that a caller sees."""
    snapshot, revisions = folded.snapshot, folded.revisions
    lifecycle = _lifecycle(revisions)
    return Appointment(
        id=snapshot.id,
        talent_id=snapshot.talent_id,
        coach_id=snapshot.coach_id,
        status=snapshot.status,
        title=snapshot.title,
        description=snapshot.description,
        start_date=snapshot.start_date,
        end_date=snapshot.end_date,
        appointment_type=snapshot.appointment_type,
        subphase_id=snapshot.subphase_id,
        talent_block_id=snapshot.talent_block_id,
        canceled_by=snapshot.canceled_by,
        cancelation_reason=snapshot.cancelation_reason,
        cancelation_explanation=snapshot.cancelation_explanation,
        created_at=snapshot.created_at,
        updated_at=snapshot.updated_at,
        deleted_at=snapshot.deleted_at,
        event_id=revisions[-1].event_id,
        revision=len(revisions),
        reschedules=_reschedules(revisions),
        irregular=_is_irregular(lifecycle),
        lifecycle=lifecycle,
    )


def _lifecycle(revisions: Sequence[Revision]) -> tuple[LifecycleStep, ...]:
    steps: list[LifecycleStep] = []
    for revision in revisions:
        if steps and steps[-1].status is revision.status:
            continue
        is_canceled = revision.status is Status.CANCELED
        steps.append(
            LifecycleStep(
                revision.status,
                revision.event_id,
                revision.at,
                revision.canceled_by if is_canceled else None,
                revision.cancelation_reason if is_canceled else None,
            )
        )
    return tuple(steps)


def _reschedules(revisions: Sequence[Revision]) -> int:
    return sum(
        before.start_date != after.start_date or before.end_date != after.end_date
        for before, after in pairwise(revisions)
    )


def _is_irregular(lifecycle: Sequence[LifecycleStep]) -> bool:
    if lifecycle[0].status is not Status.PLANNED:
        return True
    return any((before.status, after.status) not in _REGULAR_STEPS for before, after in pairwise(lifecycle))
