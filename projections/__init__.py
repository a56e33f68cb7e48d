"""What we know now: the projector, the read models of talents and coaches, and the questions to ask them."""

from projections.answers import AppointmentAnswer, Owners, Schedule, Stamped
from projections.changes import Change, Changes
from projections.conflicts import Conflict, Conflicts
from projections.figures import Figures
from projections.history import FieldChange, History, RevisionChange
from projections.old_generations import DroppedGenerations, drop_old
from projections.projector import Projector
from projections.queries import Schedules
from projections.rebuild import (
    DifferencesFound,
    Progress,
    RebuildReport,
    rebuild,
    rollback,
)
from projections.schedule import Side
from projections.stores.base import OwnerCounts
from projections.verify import Difference, Verification, verification, verify

__all__ = [
    "AppointmentAnswer",
    "Change",
    "Changes",
    "Conflict",
    "Conflicts",
    "Difference",
    "DifferencesFound",
    "DroppedGenerations",
    "FieldChange",
    "Figures",
    "History",
    "OwnerCounts",
    "Owners",
    "Progress",
    "Projector",
    "RebuildReport",
    "RevisionChange",
    "Schedule",
    "Schedules",
    "Side",
    "Stamped",
    "Verification",
    "drop_old",
    "rebuild",
    "rollback",
    "verification",
    "verify",
]
