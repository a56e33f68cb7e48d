"""The exit statuses of commands; the README lists them."""

from __future__ import annotations

from typing import Final

from domain.errors import AppointmentsError, NotAllowed, StorageError

EXIT_FOUND: Final = 1
"""A check or a strict run found something, or what was asked for is not there."""

EXIT_UNUSABLE: Final = 2
"""Wrong usage, or a database or file that cannot be used."""

EXIT_DEFECT: Final = 70
"""A defect of this program. EX_SOFTWARE of sysexits.h."""

EXIT_LATER: Final = 75
"""Part of the work is done and reported; the rest may work later. EX_TEMPFAIL of sysexits.h."""

EXIT_NOT_ALLOWED: Final = 77
"""Part of the work is done and reported; the role lacks a right for the rest. EX_NOPERM of sysexits.h."""


class PartlyDone(AppointmentsError):  # noqa: N818 - named after what went wrong
    """Part of the work is committed; the message says which part, and why the rest is not."""

    def __init__(self, message: str, cause: StorageError) -> None:
        super().__init__(message)
        self.exit_status = EXIT_NOT_ALLOWED if isinstance(cause, NotAllowed) else EXIT_LATER
