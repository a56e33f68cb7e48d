"""The shapes of the API's answers, for its OpenAPI document; a test holds every answer against them."""

from __future__ import annotations

from datetime import datetime

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

from domain.envelope import AppointmentType, CancelationReason, CanceledBy, Status

_exact = with_config(ConfigDict(extra="forbid"))


@_exact
class StampDocument(TypedDict):
    """What an answer is true of."""

    position: int
    lag: int
    generation: int


@_exact
class LifecycleDocument(TypedDict):
    """A change of status."""

    status: Status
    event_id: int
    at: datetime
    canceled_by: CanceledBy | None
    cancelation_reason: CancelationReason | None


@_exact
class AppointmentDocument(TypedDict):
    """One appointment."""

    id: str
    talent_id: str
    coach_id: str
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
    event_id: int
    revision: int
    reschedules: int
    irregular: bool


@_exact
class AppointmentWithLifecycleDocument(AppointmentDocument, StampDocument):
    """The document of `appointment ID --json`."""

    lifecycle: list[LifecycleDocument]


@_exact
class _ScheduleDocument(StampDocument):
    as_of: datetime | None
    known_at: datetime | None
    appointments: list[AppointmentDocument]
    next: str | None


@_exact
class TalentDocument(_ScheduleDocument):
    """The document of `talent ID --json`."""

    talent_id: str


@_exact
class CoachDocument(_ScheduleDocument):
    """The document of `coach ID --json`."""

    coach_id: str


@_exact
class _CountsDocument(TypedDict):
    PLANNED: int
    DONE: int
    CANCELED: int


@_exact
class TalentCountsDocument(_CountsDocument):
    """A talent with a schedule."""

    talent_id: str


@_exact
class CoachCountsDocument(_CountsDocument):
    """A coach with a schedule."""

    coach_id: str


@_exact
class TalentsDocument(StampDocument):
    """The document of `talents --json`."""

    talents: list[TalentCountsDocument]
    next: str | None


@_exact
class CoachesDocument(StampDocument):
    """The document of `coaches --json`."""

    coaches: list[CoachCountsDocument]
    next: str | None


@_exact
class ChangeDocument(TypedDict):
    """What to put into a copy of a schedule; null is what to take out of it."""

    id: str
    removed: bool
    appointment: AppointmentDocument | None


@_exact
class ChangesDocument(StampDocument):
    """The document of `changes --json`."""

    changes: list[ChangeDocument]
    token: str


@_exact
class ConflictDocument(TypedDict):
    """Two appointments, and the time in which both are on."""

    first: AppointmentDocument
    second: AppointmentDocument
    start: datetime
    end: datetime


@_exact
class ConflictsDocument(StampDocument):
    """The document of `conflicts --json`."""

    conflicts: list[ConflictDocument]


@_exact
class FiguresDocument(StampDocument):
    """The document of `figures --json`."""

    appointments: int
    by_status: dict[str, int]
    canceled_by: dict[str, int]
    cancelation_reasons: dict[str, int]
    no_shows: int
    reschedules: int
    hours_planned: float
    hours_done: float


@_exact
class FieldChangeDocument(TypedDict):
    """One field before and after a revision."""

    field: str
    old: str | int | bool | None
    new: str | int | bool | None


@_exact
class RevisionDocument(TypedDict):
    """What one envelope changed."""

    event_id: int
    at: datetime
    arrived_at: datetime | None
    position: int
    late: bool
    changes: list[FieldChangeDocument]


@_exact
class HistoryDocument(TypedDict):
    """The document of `history ID --json`."""

    id: str
    revisions: list[RevisionDocument]
