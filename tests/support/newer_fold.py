"""Code of the next version of the fold, which gives every appointment the title AFTER; it starts quickly."""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from domain import appointment as appointment_module
from domain.appointment import FoldedAppointment, Revision, current_fold_version
from domain.envelope import Snapshot

NEWER_VERSION: Final = current_fold_version() + 1


def _with_new_title(snapshot: Snapshot, revisions: tuple[Revision, ...]) -> FoldedAppointment:
    return FoldedAppointment(replace(snapshot, title="AFTER"), revisions)


# Changed is the module of the fold alone: whoever folds or asks for its version, meets the new one.
NEWER_FOLD: Final[dict[str, Any]] = {
    "FOLD_VERSION": NEWER_VERSION,
    "FoldedAppointment": _with_new_title,  # what `fold` makes
}


def become_newer() -> None:
    """Turns this process, for good, into one that runs code of the next version."""
    for name, value in NEWER_FOLD.items():
        setattr(appointment_module, name, value)
