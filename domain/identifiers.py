"""Types for the ids and numbers that must not be confused. Ids are opaque text, compared by code point."""

from __future__ import annotations

from typing import NewType

AppointmentId = NewType("AppointmentId", str)
TalentId = NewType("TalentId", str)
CoachId = NewType("CoachId", str)

EventId = NewType("EventId", int)
"""An envelope's id: an integer of the publisher's outbox from 1 to 2^63-1, in the order of publication."""

Position = NewType("Position", int)
"""A place in the event store, in the order of arrival; 0 is before the first. Gaps are normal."""

Generation = NewType("Generation", int)
"""The number of one complete set of read-model tables. Numbers are not reused."""
