"""What we know now: the schedules of talents and coaches, projected from what happened.

appointments   `Appointments`, the object to open
projector      reads envelopes in batches, folds them and writes rows      rows  the rows of an appointment
shown          in whose schedules an appointment is shown by one of its events
following      what a follower tells, and how long it waits for a database  logs  the names and forms of what is told
follower       a projector that follows in a thread of a longer-running command
outbox         pulls envelopes from the outbox of another database
status         where an installation stands, and how healthy it is
forgetting     takes a person out of the event store and the read models
calendar_links the links of calendar feeds: made, found and revoked
queries/       schedules, changes, conflicts, figures and history, with their filters and cursors
rebuilding/    makes the next generation of the read models and compares it with history
status         positions, lag, counts and followers
metrics        the state of an installation for Prometheus
stores/        the tables of the read models: memory, SQLite, PostgreSQL
cli/           the command line                                            web/  the HTTP service
"""

from projections.appointments import Appointments
from projections.calendar_links import CalendarLink, CalendarLinks
from projections.forgetting import Forgetting
from projections.outbox import Outbox
from projections.projector import Projector
from projections.queries.changes import Change, Changes, ChangesStream
from projections.queries.conflicts import Conflict, Conflicts
from projections.queries.figures import Figures
from projections.queries.filters import Filters
from projections.queries.history import FieldChange, History, RevisionChange
from projections.queries.schedule import AppointmentAnswer, Owners, Schedule
from projections.queries.schedules import Schedules
from projections.queries.streaming import ScheduleStream
from projections.rebuilding.differences import Difference
from projections.rebuilding.fold_versions import GenerationStatus
from projections.rebuilding.old_generations import DroppedGenerations
from projections.rebuilding.progress import Progress
from projections.rebuilding.rebuild import DifferencesFound, RebuildReport
from projections.rebuilding.verification import Verification
from projections.rows import Side
from projections.status import InstallationStatus
from projections.stores.base import FollowerSign, OwnerCounts, Stamp
from projections.stores.catalogue import Catalogue, GenerationInfo, GenerationState, Pointer
from projections.stores.health import UnfinishedRebuild, VerificationNote

__all__ = [
    "AppointmentAnswer",
    "Appointments",
    "CalendarLink",
    "CalendarLinks",
    "Catalogue",
    "Change",
    "Changes",
    "ChangesStream",
    "Conflict",
    "Conflicts",
    "Difference",
    "DifferencesFound",
    "DroppedGenerations",
    "FieldChange",
    "Figures",
    "Filters",
    "FollowerSign",
    "Forgetting",
    "GenerationInfo",
    "GenerationState",
    "GenerationStatus",
    "History",
    "InstallationStatus",
    "Outbox",
    "OwnerCounts",
    "Owners",
    "Pointer",
    "Progress",
    "Projector",
    "RebuildReport",
    "RevisionChange",
    "Schedule",
    "ScheduleStream",
    "Schedules",
    "Side",
    "Stamp",
    "UnfinishedRebuild",
    "Verification",
    "VerificationNote",
]
