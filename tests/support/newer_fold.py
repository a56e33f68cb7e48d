"""Code of version 2 of the fold, which gives every appointment the title AFTER; processes start quickly with it."""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from domain import appointment as appointment_module
from domain.appointment import FoldedAppointment, Revision
from domain.envelope import Snapshot


def _with_new_title(snapshot: Snapshot, revisions: tuple[Revision, ...]) -> FoldedAppointment:
    return FoldedAppointment(replace(snapshot, title="AFTER"), revisions)


# Changed is the module of the fold alone: whoever folds or asks for its version, meets the new one.
NEWER_FOLD: Final[dict[str, Any]] = {
    "FOLD_VERSION": 2,
    "FoldedAppointment": _with_new_title,  # what `fold` makes
}


def become_newer() -> None:
    """Turns this process, for good, into one that runs code of version 2."""
    for name, value in NEWER_FOLD.items():
        setattr(appointment_module, name, value)
