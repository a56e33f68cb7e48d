"""In whose schedules the read models show an appointment by one of its events."""

from __future__ import annotations

from domain.appointment import current_fold_version
from domain.errors import NotAllowed, NotInstalled, VersionMismatch
from domain.set_aside import Owners
from domain.storage import Database
from domain.storage.base import StoredEnvelope
from projections.rows import folded_from
from projections.stores import store_of


def owners_shown(database: Database, stored: StoredEnvelope) -> Owners:
    """The talent and the coach whom a stored event names, by what was folded of it; nobody when nothing was.

    Nobody, too, for a role that may not read the read models, and where they are of another version.
    """
    try:
        stamp, body = store_of(database).appointment(stored.appointment_id)
    except (NotAllowed, NotInstalled, VersionMismatch):
        return Owners()
    if body is None or stamp.fold_version != current_fold_version():
        return Owners()
    found = [one for one in folded_from(body).revisions if one.event_id == stored.event_id]
    return Owners(frozenset(one.talent_id for one in found), frozenset(one.coach_id for one in found))
