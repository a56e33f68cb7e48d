"""What we know now: the projector, the read models of talents and coaches, and the questions to ask them."""

from projections.appointments import Appointments, InstallationStatus
from projections.projector import Projector
from projections.queries.changes import Change, Changes
from projections.queries.conflicts import Conflict, Conflicts
from projections.queries.figures import Figures
from projections.queries.history import FieldChange, History, RevisionChange
from projections.queries.schedule import AppointmentAnswer, Owners, Schedule
from projections.queries.schedules import Schedules
from projections.rebuilding.old_generations import DroppedGenerations
from projections.rebuilding.rebuild import DifferencesFound, Progress, RebuildReport
from projections.rebuilding.verification import Difference, Verification
from projections.rows import Side
from projections.stores.base import OwnerCounts, Stamp

__all__ = [
    "AppointmentAnswer",
    "Appointments",
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
    "InstallationStatus",
    "OwnerCounts",
    "Owners",
    "Progress",
    "Projector",
    "RebuildReport",
    "RevisionChange",
    "Schedule",
    "Schedules",
    "Side",
    "Stamp",
    "Verification",
]
