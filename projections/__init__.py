"""What we know now: the projector, the read models of talents and coaches, and the questions to ask them."""

from projections.answers import Owners, Schedule
from projections.changes import Change, Changes
from projections.conflicts import Conflict, Conflicts
from projections.figures import Figures
from projections.history import History
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
from projections.verify import Difference, verify

__all__ = [
    "Change",
    "Changes",
    "Conflict",
    "Conflicts",
    "Difference",
    "DifferencesFound",
    "DroppedGenerations",
    "Figures",
    "History",
    "Owners",
    "Progress",
    "Projector",
    "RebuildReport",
    "Schedule",
    "Schedules",
    "drop_old",
    "rebuild",
    "rollback",
    "verify",
]
