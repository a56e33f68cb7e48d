"""The links of calendar feeds in a PostgreSQL schema."""

from __future__ import annotations

from typing import Final

from typing_extensions import override

from domain.storage.postgres.database import PostgresDatabase
from projections.rows import Side
from projections.stores.links import Links

_FIND: Final = "SELECT token FROM {schema}.calendar_link WHERE side = %(side)s AND owner_id = %(owner_id)s"

_KEEP: Final = """
    INSERT INTO {schema}.calendar_link (side, owner_id, token, created_at)
    VALUES (%(side)s, %(owner_id)s, %(token)s, now())
    ON CONFLICT (side, owner_id) DO NOTHING
"""

_REMOVE: Final = "DELETE FROM {schema}.calendar_link WHERE side = %(side)s AND owner_id = %(owner_id)s"

_OWNER: Final = "SELECT side, owner_id FROM {schema}.calendar_link WHERE token = %(token)s"


class PostgresLinks(Links):
    """The table `calendar_link`."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    @override
    def token_of(self, side: Side, owner_id: str) -> str | None:
        statement = self._database.statement(_FIND)
        rows = self._database.fetch(statement, {"side": str(side), "owner_id": owner_id})
        return str(rows[0][0]) if rows else None

    @override
    def keep(self, side: Side, owner_id: str, token: str) -> None:
        statement = self._database.statement(_KEEP)
        with self._database.writing() as cursor:
            cursor.execute(statement, {"side": str(side), "owner_id": owner_id, "token": token})

    @override
    def remove(self, side: Side, owner_id: str) -> bool:
        statement = self._database.statement(_REMOVE)
        with self._database.writing() as cursor:
            return cursor.execute(statement, {"side": str(side), "owner_id": owner_id}).rowcount > 0

    @override
    def owner_of(self, token: str) -> tuple[Side, str] | None:
        rows = self._database.fetch(self._database.statement(_OWNER), {"token": token})
        return (Side(rows[0][0]), rows[0][1]) if rows else None
