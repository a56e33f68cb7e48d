"""What happened: the published envelopes, and the appointments they describe.

envelope        the values of the contract
contract        validates JSON: an envelope or a refusal; contract_types has the contract's fields
decoding        decodes stored envelopes, without a second validation
appointment     folds envelopes into an appointment
topics          what a stored event is: an envelope, set aside, or a marker
markers         events that say that stored envelopes were changed in place
poison          folds stored events, and finds those that cannot be folded
set_aside       lets the fold pass over such an event, or sound content take its place
corrections     what an event store offers for such events
masking         what stays of a forgotten person's envelope
ledger          who is forgotten, by digest; receipt is the record of each erasure
person          a talent or a coach
event_store     appends, reads and counts envelopes
decision        what becomes of an item: refused, ignored, new, a duplicate, or in conflict
pulling         takes envelopes from the outbox of another database
quarantine      what could not be accepted; retrying appends it after all
export          what is stored, as lines that can be ingested elsewhere
errors          every error, drawn as a tree
identifiers     the types of ids, positions and generations
arguments       checks the arguments of public methods
syntax          finds and describes errors in JSON
input/          files, pipes and iterables to items and batches
storage/        URLs, connections, and the event store's tables: memory, SQLite, PostgreSQL

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
    ContradictoryFilters,
    EventNotFound,
    FoldVersionNotFound,
    Forgotten,
    InputUnreadable,
    InvalidCursor,
    InvalidToken,
    NotAllowed,
    NotInstalled,
    NotPoison,
    NotRebuilt,
    PoisonEvent,
    QuarantinedItemNotFound,
    ReadModelBehind,
    RebuildFailed,
    RebuildRunning,
    StorageError,
    StorageUnavailable,
    Superseded,
    UsageError,
    VersionMismatch,
)
from domain.event_store import AppendReport, EventStore
from domain.identifiers import AppointmentId, CoachId, EventId, Generation, Position, TalentId
from domain.input.files import BinaryFile, Input
from domain.input.items import PAUSE, Item, Pause
from domain.ledger import Ledger
from domain.markers import SetAside
from domain.person import Person
from domain.quarantine import Quarantine, RetryReport
from domain.receipt import Found, Receipt
from domain.storage.base import (
    AppendTransaction,
    OutboxCursor,
    Outcomes,
    QuarantineCount,
    QuarantinedItem,
    QuarantineFilter,
    QuarantineTable,
    Recorder,
    Refused,
    Rewritten,
    StoredEnvelope,
)
from domain.storage.forgotten import LedgerTable, Needles

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
    "ContradictoryFilters",
    "Envelope",
    "EnvelopeRefused",
    "EventId",
    "EventNotFound",
    "EventStore",
    "FoldVersionNotFound",
    "Forgotten",
    "Found",
    "Generation",
    "Ignored",
    "Input",
    "InputUnreadable",
    "InvalidCursor",
    "InvalidToken",
    "Item",
    "Ledger",
    "LedgerTable",
    "LifecycleStep",
    "Needles",
    "NotAllowed",
    "NotInstalled",
    "NotPoison",
    "NotRebuilt",
    "OutboxCursor",
    "Outcomes",
    "Pause",
    "Person",
    "PoisonEvent",
    "Position",
    "Quarantine",
    "QuarantineCount",
    "QuarantineFilter",
    "QuarantineTable",
    "QuarantinedItem",
    "QuarantinedItemNotFound",
    "ReadModelBehind",
    "RebuildFailed",
    "RebuildRunning",
    "Receipt",
    "Recorder",
    "RefusalCode",
    "Refused",
    "RetryReport",
    "Rewritten",
    "SetAside",
    "Snapshot",
    "Status",
    "StorageError",
    "StorageUnavailable",
    "StoredEnvelope",
    "Superseded",
    "TalentId",
    "UsageError",
    "VersionMismatch",
    "read_envelope",
]
