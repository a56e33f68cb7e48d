"""Reads what an address says: the id in a segment of its path, and parameters that may be given once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from typing import Final
from urllib.parse import unquote

from starlette.datastructures import QueryParams

from domain.errors import UsageError

SEALED: Final = "[0-9A-Za-z_-]{16,4096}"
"""The form of cursors and of tokens. What has it and means nothing here is no mistake of form."""

_NOT_ENCODED: Final = re.compile("%(?![0-9A-Fa-f]{2})")


def id_of(segment: str) -> str:
    """The id that a segment of the path stands for, as it was sent, percent signs, slashes and all.

    Raises:
        UsageError: it is not percent-encoded UTF-8.
    """
    try:
        if _NOT_ENCODED.search(segment) is None:
            return unquote(segment, errors="strict")
    except UnicodeDecodeError:
        pass
    raise UsageError("expected an id as percent-encoded UTF-8", argument="id")


def check_given_once(parameters: QueryParams, *, but: Collection[str] = ()) -> None:
    """Checks that no parameter is given several times, except those that may be.

    Raises:
        UsageError: one is; the message names it.
    """
    for name, times in Counter(name for name, _ in parameters.multi_items()).items():
        if times > 1 and name not in but:
            raise UsageError(f"{name[:60]}: expected once, found {times} times", argument=name)


def check_token(text: str) -> None:
    """Checks that a change token has the form of one.

    Raises:
        UsageError: it has not.
    """
    if re.fullmatch(SEALED, text) is None:
        raise UsageError(f"since: expected a token of changes, found {text[:60]!r}", argument="since")
