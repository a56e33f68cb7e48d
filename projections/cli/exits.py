"""The exit statuses of commands; the README lists them."""

from __future__ import annotations

import errno
from typing import Final

from domain.envelope import EnvelopeRefused
from domain.errors import (
    AppointmentsError,
    InputUnreadable,
    NotAllowed,
    NotRebuilt,
    RebuildRunning,
    StorageError,
    StorageUnavailable,
    UsageError,
)

EXIT_FOUND: Final = 1
"""A check or a strict run found something, or what was asked for is not there."""

EXIT_UNUSABLE: Final = 2
"""Wrong usage, or a database or file that cannot be used."""

EXIT_DEFECT: Final = 70
"""A defect of this program. EX_SOFTWARE of sysexits.h."""

EXIT_LATER: Final = 75
"""The same may work later: the server is down, locked or full, or not rebuilt yet. EX_TEMPFAIL of sysexits.h."""

EXIT_NOT_ALLOWED: Final = 77
"""The role lacks a right. EX_NOPERM of sysexits.h."""


class PartlyDone(AppointmentsError):  # noqa: N818 - named after what went wrong
    """Part of the work is committed; the message says which part, and why the rest is not."""

    def __init__(self, message: str, cause: StorageError) -> None:
        super().__init__(message)
        self.exit_status = EXIT_NOT_ALLOWED if isinstance(cause, NotAllowed) else EXIT_LATER


_STATUSES: Final[tuple[tuple[type[AppointmentsError], int], ...]] = (
    (StorageUnavailable, EXIT_LATER),
    (RebuildRunning, EXIT_LATER),
    (NotRebuilt, EXIT_LATER),
    (NotAllowed, EXIT_NOT_ALLOWED),
    (UsageError, EXIT_UNUSABLE),
    (StorageError, EXIT_UNUSABLE),
    (InputUnreadable, EXIT_UNUSABLE),
    (EnvelopeRefused, EXIT_UNUSABLE),
)


def exit_status_of(error: AppointmentsError) -> int:
    """The exit status of a command that ended with an error of the product."""
    if isinstance(error, PartlyDone):
        return error.exit_status
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), EXIT_FOUND)


def exit_status_of_output(error: OSError) -> int:
    """The exit status of a command whose output could not be written: a disk that is full may have space later."""
    return EXIT_LATER if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else EXIT_UNUSABLE
