"""The views for people who ask in SQL: they read the tables of the generation that serves the newest fold."""

from __future__ import annotations

import sqlite3
from importlib import resources
from typing import Final

from domain.appointment import current_fold_version
from domain.storage.sqlite.database import run_script

VIEWS_SQL: Final = (resources.files("projections.stores.sqlite") / "views.sql").read_text("utf-8")
VIEWS: Final = ("current_appointment", "current_talent_schedule", "current_coach_schedule")


def move_views(cursor: sqlite3.Cursor) -> None:
    """Makes the views anew on the generation that serves the newest fold, in the cursor's transaction.

    Leaves them to newer code where that has a generation. Readers hold nobody up.
    """
    cursor.execute("SELECT fold_version, generation FROM serving ORDER BY fold_version DESC LIMIT 1")
    [fold_version, generation] = cursor.fetchone()
    if fold_version > current_fold_version():
        return
    for view in VIEWS:
        cursor.execute(f"DROP VIEW IF EXISTS {view}")
    run_script(cursor, VIEWS_SQL.format(generation=generation))
