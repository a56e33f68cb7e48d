"""What happened: the published envelopes, and the appointments they describe.

envelope      the values of the contract                 contract    validates JSON: an envelope or a refusal
appointment   folds envelopes into an appointment        decoding    decodes stored envelopes, without validation
event_store   append and read envelopes                  decision    refused, new, duplicate or conflict
quarantine    what could not be accepted                 errors      every error, drawn as a tree
input/        files, pipes and iterables to batches      identifiers the types of ids and positions
storage/      URLs, connections and the tables of the event store: memory, SQLite, PostgreSQL
arguments     checks of public methods' arguments        syntax      places and names errors in JSON

Nothing here imports `projections`, which is what we know now.
"""

from domain.appointment import Appointment, LifecycleStep
from domain.contract import read_envelope
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
    NotAllowed,
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
from domain.input.files import BinaryFile, Input
from domain.input.items import PAUSE, Item, Pause
from domain.quarantine import Quarantine, RetryReport
from domain.storage.base import AppendTransaction, QuarantinedItem, Recorder, Refused, StoredEnvelope

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
    "NotAllowed",
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
