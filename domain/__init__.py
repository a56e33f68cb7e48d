"""What happened: envelopes, the appointments they tell of, and the event store that keeps them."""

from domain.appointment import Appointment, LifecycleStep
from domain.door import read_envelope
from domain.envelope import (
    AppointmentType,
    CancelationReason,
    CanceledBy,
    Envelope,
    EnvelopeRefused,
    Ignored,
    RefusalCode,
    Snapshot,
    Status,
)
from domain.errors import (
    AppointmentNotFound,
    AppointmentsError,
    InputUnreadable,
    InvalidCursor,
    InvalidToken,
    NotInstalled,
    PoisonEvent,
    QuarantinedItemNotFound,
    ReadModelBehind,
    RebuildFailed,
    RebuildRunning,
    StorageError,
    StorageUnavailable,
    UsageError,
    VersionMismatch,
)
from domain.event_store import AppendReport, EventStore
from domain.identifiers import AppointmentId, CoachId, EventId, Generation, Position, TalentId
from domain.input import BinaryFile, Input
from domain.items import PAUSE, Item, Pause
from domain.quarantine import Quarantine, RetryReport
from domain.recorders.base import AppendTransaction, QuarantinedItem, Recorder, Refused, StoredEnvelope

__all__ = [
    "PAUSE",
    "AppendReport",
    "AppendTransaction",
    "Appointment",
    "AppointmentId",
    "AppointmentNotFound",
    "AppointmentType",
    "AppointmentsError",
    "BinaryFile",
    "CancelationReason",
    "CanceledBy",
    "CoachId",
    "Envelope",
    "EnvelopeRefused",
    "EventId",
    "EventStore",
    "Generation",
    "Ignored",
    "Input",
    "InputUnreadable",
    "InvalidCursor",
    "InvalidToken",
    "Item",
    "LifecycleStep",
    "NotInstalled",
    "Pause",
    "PoisonEvent",
    "Position",
    "Quarantine",
    "QuarantinedItem",
    "QuarantinedItemNotFound",
    "ReadModelBehind",
    "RebuildFailed",
    "RebuildRunning",
    "Recorder",
    "RefusalCode",
    "Refused",
    "RetryReport",
    "Snapshot",
    "Status",
    "StorageError",
    "StorageUnavailable",
    "StoredEnvelope",
    "TalentId",
    "UsageError",
    "VersionMismatch",
    "read_envelope",
]
