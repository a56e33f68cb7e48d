"""The kinds of id and number that must not be mixed. All ids are opaque text, compared by code point."""

from __future__ import annotations

from typing import NewType

AppointmentId = NewType("AppointmentId", str)
TalentId = NewType("TalentId", str)
CoachId = NewType("CoachId", str)

EventId = NewType("EventId", int)
"""The envelope's id: an integer of the publisher's outbox, the order of publication, from 1 to 2^63-1."""

Position = NewType("Position", int)
"""A place in the whole event store, in the order of arrival; 0 is before the first. Gaps are normal."""

Generation = NewType("Generation", int)
"""The number of one complete set of read-model tables; never used again."""
