"""The views for people who ask in SQL: they read the tables of the generation that serves."""

from __future__ import annotations

import sqlite3
from importlib import resources
from typing import Final

from domain.storage.sqlite.database import run_script

VIEWS_SQL: Final = (resources.files("projections.stores.sqlite") / "views.sql").read_text("utf-8")
VIEWS: Final = ("current_appointment", "current_talent_schedule", "current_coach_schedule")


def move_views(cursor: sqlite3.Cursor) -> None:
    """Makes the views anew on the generation that serves, in the cursor's transaction. Readers hold nobody up."""
    [generation] = cursor.execute("SELECT generation FROM serving").fetchone()
    for view in VIEWS:
        cursor.execute(f"DROP VIEW IF EXISTS {view}")
    run_script(cursor, VIEWS_SQL.format(generation=generation))
