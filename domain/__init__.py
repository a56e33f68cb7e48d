"""What happened: envelopes, the appointments they tell of, and the event store that keeps them."""

from domain.appointment import Appointment, LifecycleStep
from domain.door import read_envelope
from domain.envelope import AppointmentType, CancelationReason, CanceledBy, Envelope, EnvelopeRefused, Status
from domain.errors import AppointmentsError
from domain.event_store import AppendReport, EventStore

__all__ = [
    "AppendReport",
    "Appointment",
    "AppointmentType",
    "AppointmentsError",
    "CancelationReason",
    "CanceledBy",
    "Envelope",
    "EnvelopeRefused",
    "EventStore",
    "LifecycleStep",
    "Status",
    "read_envelope",
]
