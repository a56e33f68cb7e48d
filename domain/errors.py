"""All errors that this product raises on purpose.

AppointmentsError
├── EnvelopeRefused          an item that breaks the contract (domain/envelope.py): code, field, expected, found
├── InputUnreadable          a file that cannot be read: source, reason
├── UsageError               arguments that make no sense, such as a limit of 0: argument
│   ├── ContradictoryFilters  two filters of which no appointment meets both
│   ├── InvalidCursor        a damaged cursor, or one of other filters
│   └── InvalidToken         a change token that cannot be used: start over without one
├── AppointmentNotFound      no accepted envelope has this appointment id
├── Forgotten                the talent or coach was forgotten: side
├── EventNotFound            no stored event has this position
├── FoldVersionNotFound      no generation is of this version of the fold
├── QuarantinedItemNotFound  no quarantined item has this number
├── ReadModelBehind          the read models did not reach a position in time
├── PoisonEvent              a stored event that cannot be folded: position, appointment_id, event_id, reason
├── NotPoison                an event that was to be set aside or replaced, and can be folded: position, reason
├── RebuildFailed            a new generation could not be made; the old one still serves
│   ├── RebuildRunning       another rebuild is under way
│   ├── Superseded           a person was forgotten while a generation was made: generation
│   └── DifferencesFound     a new generation differs from history (projections/rebuilding/rebuild.py): differences
└── StorageError             the database cannot be used
    ├── NotInstalled         there is no installation; run `appointments init`
    ├── NotAllowed           the role lacks a right; the README lists the rights each role needs
    ├── VersionMismatch      made by another version of the fold or the tables
    │   └── NotRebuilt       nothing is there of this newer version of the fold; run `appointments rebuild`
    └── StorageUnavailable   locked, full or unreachable: it may work later

The command line adds PartlyDone (projections/cli/exits.py). `AppointmentsError` without a subclass is never raised.
"""

from __future__ import annotations


class AppointmentsError(Exception):
    """The base of every error that this product raises on purpose. All of them can be pickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return _remade, (type(self), self.args, self.__dict__)


def _remade(kind: type[AppointmentsError], arguments: tuple[object, ...], facts: dict[str, object]) -> object:
    """Restores a pickled error without calling its `__init__`, whose parameters are not the error's `args`."""
    error = kind.__new__(kind, *arguments)
    error.args = arguments  # OSError, the base of TimeoutError, sets args in its __init__
    error.__dict__.update(facts)
    return error


class InputUnreadable(AppointmentsError):  # noqa: N818 - named after what went wrong
    """A file that cannot be read; `source` is its path or name."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"cannot read {source}: {reason}")
        self.source = source
        self.reason = reason


class UsageError(AppointmentsError, ValueError):
    """Arguments that make no sense; `argument` is the name of the wrong one, or None."""

    def __init__(self, message: str, *, argument: str | None = None) -> None:
        super().__init__(message)
        self.argument = argument


class ContradictoryFilters(UsageError):  # noqa: N818 - named after what went wrong
    """Two filters, each of which makes sense, and no appointment meets both."""


class InvalidCursor(UsageError):  # noqa: N818 - named after what went wrong
    """A paging cursor that is damaged or was given for other filters."""

    def __init__(self, message: str, *, argument: str = "after") -> None:
        super().__init__(message, argument=argument)


class InvalidToken(UsageError):  # noqa: N818
    """A change token that was given for another schedule, by another version of the fold or another event store."""

    def __init__(self, message: str, *, argument: str = "since") -> None:
        super().__init__(message, argument=argument)


class AppointmentNotFound(AppointmentsError, LookupError):  # noqa: N818
    """No accepted envelope has this appointment id."""

    def __init__(self, appointment_id: str) -> None:
        super().__init__(f"no appointment has the id {appointment_id!r}")
        self.appointment_id = appointment_id


class Forgotten(AppointmentsError, LookupError):  # noqa: N818
    """The talent or the coach was forgotten; `side` says which of both it is."""

    def __init__(self, side: str) -> None:
        super().__init__(f"this {side} was forgotten: nothing is kept that names them")
        self.side = side


class EventNotFound(AppointmentsError, LookupError):  # noqa: N818
    """No stored event has this position."""

    def __init__(self, position: int) -> None:
        super().__init__(f"no stored event has the position {position}")
        self.position = position


class FoldVersionNotFound(AppointmentsError, LookupError):  # noqa: N818
    """No generation of the read models is of this version of the fold."""

    def __init__(self, fold_version: int) -> None:
        super().__init__(f"there is no generation of version {fold_version} of the fold")
        self.fold_version = fold_version


class QuarantinedItemNotFound(AppointmentsError, LookupError):  # noqa: N818
    """No quarantined item has this number."""

    def __init__(self, number: int) -> None:
        super().__init__(f"no quarantined item has the number {number}")
        self.number = number


class ReadModelBehind(AppointmentsError, TimeoutError):  # noqa: N818
    """The read models did not reach the position `at_least` within the timeout.

    Attributes:
        at_least: the position to reach.
        position: the position that was reached.
        seconds: the timeout.
        head: the highest position of the event store; below `at_least`, no projector could have reached it.
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
    """A stored event that cannot be folded.

    Attributes:
        position: where the event is.
        appointment_id: what it is stored under.
        event_id: the same.
        reason: why it cannot be folded.
        stops_at: the projector stops before this position: the event's own, or, where its stream had to be folded
            anew, that of the marker which asks for it.
    """

    def __init__(self, position: int, appointment_id: str, event_id: int, reason: str) -> None:
        super().__init__(
            f"the event at position {position} (appointment {appointment_id!r}, envelope {event_id}) "
            f"cannot be folded: {reason}"
        )
        self.position = position
        self.appointment_id = appointment_id
        self.event_id = event_id
        self.reason = reason
        self.stops_at = position


class NotPoison(AppointmentsError):  # noqa: N818
    """An event stays as it is, since it does not keep the projector from going on."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(f"the event at position {position} stays as it is: {reason}")
        self.position = position
        self.reason = reason


class RebuildFailed(AppointmentsError):  # noqa: N818
    """A new generation could not be made or switched to; the old one still serves."""


class RebuildRunning(RebuildFailed):
    """Another rebuild is under way."""


class Superseded(RebuildFailed):
    """A person was forgotten while a generation was made or caught up, which may hold what named them."""

    def __init__(self, generation: int) -> None:
        super().__init__(f"a person was forgotten while generation {generation} was made or caught up; it is dropped")
        self.generation = generation


class StorageError(AppointmentsError):
    """The database cannot be used.

    Attributes:
        place: the URL of the installation, without its password; None before a database was chosen.
        sqlstate: PostgreSQL's five-character error code, or None.
    """

    def __init__(self, message: str, *, place: str | None = None, sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.place = place
        self.sqlstate = sqlstate


class NotInstalled(StorageError):  # noqa: N818
    """There is no installation at this place; run `appointments init`."""


class NotAllowed(StorageError):  # noqa: N818
    """The database role lacks a right."""


class VersionMismatch(StorageError):  # noqa: N818
    """The data is of version `found` of the fold or of the tables, while this code is of version `expected`."""

    def __init__(self, message: str, *, expected: int, found: int, place: str | None = None) -> None:
        super().__init__(message, place=place)
        self.expected = expected
        self.found = found


class NotRebuilt(VersionMismatch):
    """No read models are there of the fold that this code has, only of older ones; run `appointments rebuild`."""


class StorageUnavailable(StorageError):  # noqa: N818
    """The database is locked, full or unreachable; the same call may work later."""
