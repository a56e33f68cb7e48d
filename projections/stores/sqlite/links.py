"""The links of calendar feeds in an SQLite file."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from typing_extensions import override

from domain.storage.sqlite.database import SQLiteDatabase
from projections.rows import Side
from projections.stores.links import Links

_FIND: Final = "SELECT token FROM calendar_link WHERE side = :side AND owner_id = :owner_id"

_KEEP: Final = """
    INSERT INTO calendar_link (side, owner_id, token, created_at)
    VALUES (:side, :owner_id, :token, :created_at)
    ON CONFLICT (side, owner_id) DO NOTHING
"""

_REMOVE: Final = "DELETE FROM calendar_link WHERE side = :side AND owner_id = :owner_id"

_OWNER: Final = "SELECT side, owner_id FROM calendar_link WHERE token = :token"


class SQLiteLinks(Links):
    """The table `calendar_link`."""

    def __init__(self, database: SQLiteDatabase) -> None:
        self._database = database

    @override
    def token_of(self, side: Side, owner_id: str) -> str | None:
        with self._database.reading() as cursor:
            row = cursor.execute(_FIND, {"side": side, "owner_id": owner_id}).fetchone()
        return None if row is None else str(row[0])

    @override
    def keep(self, side: Side, owner_id: str, token: str) -> None:
        created_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._database.writing() as cursor:
            cursor.execute(_KEEP, {"side": side, "owner_id": owner_id, "token": token, "created_at": created_at})

    @override
    def remove(self, side: Side, owner_id: str) -> bool:
        with self._database.writing() as cursor:
            return cursor.execute(_REMOVE, {"side": side, "owner_id": owner_id}).rowcount > 0

    @override
    def owner_of(self, token: str) -> tuple[Side, str] | None:
        with self._database.reading() as cursor:
            row = cursor.execute(_OWNER, {"token": token}).fetchone()
        return None if row is None else (Side(row[0]), row[1])
