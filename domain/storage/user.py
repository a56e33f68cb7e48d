"""Who runs this process."""

from __future__ import annotations

import getpass
import os


def user_of_system() -> str:
    """The name of the operating system's user, or the number of one without a name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
