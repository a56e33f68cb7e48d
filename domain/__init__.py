"""What happened: envelopes, the appointments they tell of, and the event store that keeps them."""

from domain.appointment import Appointment, LifecycleStep
from domain.door import read_envelope
from domain.envelope import (
    AppointmentType,
    CancelationReason,
    CanceledBy,
    Envelope,
    EnvelopeRefused,
    RefusalCode,
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
from domain.items import PAUSE

__all__ = [
    "PAUSE",
    "AppendReport",
    "Appointment",
    "AppointmentNotFound",
    "AppointmentType",
    "AppointmentsError",
    "CancelationReason",
    "CanceledBy",
    "Envelope",
    "EnvelopeRefused",
    "EventStore",
    "InputUnreadable",
    "InvalidCursor",
    "InvalidToken",
    "LifecycleStep",
    "NotInstalled",
    "PoisonEvent",
    "QuarantinedItemNotFound",
    "ReadModelBehind",
    "RebuildFailed",
    "RebuildRunning",
    "RefusalCode",
    "Status",
    "StorageError",
    "StorageUnavailable",
    "UsageError",
    "VersionMismatch",
    "read_envelope",
]
