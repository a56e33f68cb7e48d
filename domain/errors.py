"""Everything that can go wrong, as a tree.

AppointmentsError
├── EnvelopeRefused          an envelope the door does not accept: code, field, expected, found
├── InputUnreadable          a file that cannot be read: source, reason
├── UsageError               a question that makes no sense: FROM after TO, a limit of 0
│   ├── InvalidCursor        a cursor of another schedule, or not one of ours
│   └── InvalidToken         a change token that cannot be used; start over without one
├── AppointmentNotFound      no accepted envelope names this appointment
├── QuarantinedItemNotFound  no quarantined item has this number
├── ReadModelBehind          the read model did not reach the asked position in time
├── PoisonEvent              a stored event the fold cannot take: position, appointment, envelope id
├── RebuildFailed            a new generation could not be made; the old one serves
│   ├── RebuildRunning       another rebuild is under way
│   └── DifferencesFound     a new generation does not equal history: differences
└── StorageError             the database cannot be used
    ├── NotInstalled         there is no installation; run `appointments init`
    ├── NotAllowed           the role lacks a right; the README lists the rights each role needs
    ├── VersionMismatch      made by another version of the fold or the tables
    └── StorageUnavailable   it may work later: locked, full, unreachable
"""

from __future__ import annotations


class AppointmentsError(Exception):
    """The base of every error that this product raises on purpose. It can be passed from process to process."""

    def __reduce__(self) -> tuple[object, ...]:
        return _remade, (type(self), self.args, self.__dict__)


def _remade(kind: type[AppointmentsError], arguments: tuple[object, ...], facts: dict[str, object]) -> object:
    """An error as it was, without calling its `__init__`: that takes facts, and not the text they were made into."""
    error = kind.__new__(kind, *arguments)
    error.args = arguments  # an OSError, such as TimeoutError, takes them in its __init__
    error.__dict__.update(facts)
    return error


class InputUnreadable(AppointmentsError):  # noqa: N818 - named after what went wrong
    """A file that cannot be read: its `source`, which is its path where it has one, and the `reason`."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"cannot read {source}: {reason}")
        self.source = source
        self.reason = reason


class UsageError(AppointmentsError, ValueError):
    """What was asked makes no sense; `argument` names what is wrong, where it is one argument."""

    def __init__(self, message: str, *, argument: str | None = None) -> None:
        super().__init__(message)
        self.argument = argument


class InvalidCursor(UsageError):  # noqa: N818 - named after what went wrong
    """A paging cursor that does not belong to this question."""

    def __init__(self, message: str, *, argument: str = "after") -> None:
        super().__init__(message, argument=argument)


class InvalidToken(UsageError):  # noqa: N818
    """A change token of another question, another version of the fold, or another event store."""

    def __init__(self, message: str, *, argument: str = "since") -> None:
        super().__init__(message, argument=argument)


class AppointmentNotFound(AppointmentsError, LookupError):  # noqa: N818
    """No accepted envelope names this appointment."""

    def __init__(self, appointment_id: str) -> None:
        super().__init__(f"no appointment has the id {appointment_id!r}")
        self.appointment_id = appointment_id


class QuarantinedItemNotFound(AppointmentsError, LookupError):  # noqa: N818
    """No quarantined item has this number."""

    def __init__(self, number: int) -> None:
        super().__init__(f"no quarantined item has the number {number}")
        self.number = number


class ReadModelBehind(AppointmentsError, TimeoutError):  # noqa: N818
    """The read model did not reach the asked position within the asked time.

    Attributes:
        at_least: the asked position.
        position: where the read model was when the time was up.
        seconds: the asked time.
        head: where the event store ended then; below `at_least` no projector could have reached it.
    """

    def __init__(self, at_least: int, position: int, seconds: float, *, head: int) -> None:
        cause = (
            f"the event store ends at {head}"
            if at_least > head
            else "is a projector running? (appointments project --follow)"
        )
        super().__init__(
            f"the read model is at position {position} and did not reach {at_least} within {seconds:g} s; {cause}"
        )
        self.at_least = at_least
        self.position = position
        self.seconds = seconds
        self.head = head


class PoisonEvent(AppointmentsError):  # noqa: N818
    """A stored event that the fold cannot take; the projector stops in front of it."""

    def __init__(self, position: int, appointment_id: str, event_id: int, reason: str) -> None:
        super().__init__(
            f"the event at position {position} (appointment {appointment_id!r}, envelope {event_id}) "
            f"cannot be folded: {reason}"
        )
        self.position = position
        self.appointment_id = appointment_id
        self.event_id = event_id
        self.reason = reason


class RebuildFailed(AppointmentsError):  # noqa: N818
    """A new generation could not be made or switched to; the old one serves."""


class RebuildRunning(RebuildFailed):
    """Another rebuild is under way."""


class StorageError(AppointmentsError):
    """The database cannot be used.

    Attributes:
        place: where the installation is, without a secret; None where no database was met yet.
        sqlstate: the five letters of PostgreSQL's error code; None where PostgreSQL gave none.
    """

    def __init__(self, message: str, *, place: str | None = None, sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.place = place
        self.sqlstate = sqlstate


class NotInstalled(StorageError):  # noqa: N818
    """There is no installation at this place."""


class NotAllowed(StorageError):  # noqa: N818
    """The role may not do what was asked."""


class VersionMismatch(StorageError):  # noqa: N818
    """The data was made by another version of the fold or of the tables: `found`, where `expected` was expected."""

    def __init__(self, message: str, *, expected: int, found: int, place: str | None = None) -> None:
        super().__init__(message, place=place)
        self.expected = expected
        self.found = found


class StorageUnavailable(StorageError):  # noqa: N818
    """The database cannot be used now, but may be later: locked, full, unreachable."""
