"""Erasing a person from the read models in a PostgreSQL schema."""

from __future__ import annotations

from typing import Final

from typing_extensions import override

from domain.errors import NotAllowed
from domain.person import Person
from domain.storage.base import AppendTransaction
from domain.storage.postgres.append import PostgresAppend
from domain.storage.postgres.database import PostgresDatabase
from domain.storage.postgres.maintenance import maintain
from projections.stores.catalogue import GenerationState
from projections.stores.erasing import FORGOTTEN_OWNER, Erasing, Retired

_END_LINK: Final = """
    UPDATE {schema}.calendar_link
    SET owner_id = %(owner)s
    WHERE side = %(side)s
    AND owner_id = %(id)s
"""

# The table, for the reason that a switch locks it as a whole.
_LOCK_SERVING: Final = "LOCK TABLE {schema}.serving IN EXCLUSIVE MODE"

_END_PREVIOUS: Final = "UPDATE {schema}.serving SET previous = NULL"

_RETIRE: Final = """
    UPDATE {schema}.generation
    SET state = %(retired)s
    WHERE state NOT IN (%(retired)s, %(dropped)s)
    AND number NOT IN (SELECT generation FROM {schema}.serving)
"""

_SERVING: Final = "SELECT generation FROM {schema}.serving"

_COUNT: Final = "SELECT COUNT(*) FROM {schema}.{side}_schedule_{generation} WHERE {side}_id = %(id)s"

_COUNT_RETIRED: Final = "SELECT COUNT(*) FROM {schema}.generation WHERE state = %(retired)s"

_COUNT_LINKS: Final = """
    SELECT COUNT(*)
    FROM {schema}.calendar_link
    WHERE side = %(side)s
    AND owner_id = %(id)s
"""

_TABLES: Final = """
    SELECT tablename
    FROM pg_tables
    WHERE schemaname = %(schema)s
    ORDER BY tablename
"""

_LEFT_STATISTICS: Final = "the planner's older statistics, pg_statistic, which the database's owner may VACUUM FULL"

_LEFT_ONLINE: Final = "the free space within the pages of the tables"


class PostgresErasing(Erasing):
    """Erases in a PostgreSQL schema."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    @override
    def retire(self, append: AppendTransaction, person: Person, digest: str) -> Retired:
        assert isinstance(append, PostgresAppend)  # noqa: S101 - of this database
        database, cursor = self._database, append.cursor
        owner = f"{FORGOTTEN_OWNER}{digest}"
        cursor.execute(database.statement(_LOCK_SERVING))
        cursor.execute(database.statement(_END_LINK), {"side": str(person.side), "id": person.id, "owner": owner})
        links = cursor.rowcount
        cursor.execute(database.statement(_END_PREVIOUS))
        states = {"retired": GenerationState.RETIRED.value, "dropped": GenerationState.DROPPED.value}
        cursor.execute(database.statement(_RETIRE), states)
        return Retired(links, cursor.rowcount)

    @override
    def rows(self, person: Person) -> int:
        count = 0
        for [generation] in self._database.fetch(self._database.statement(_SERVING)):
            statement = self._database.statement(_COUNT, side=person.side, generation=generation)
            [[found]] = self._database.fetch(statement, {"id": person.id})
            count += found
        return count

    @override
    def retired(self) -> int:
        parameters = {"retired": GenerationState.RETIRED.value}
        [[count]] = self._database.fetch(self._database.statement(_COUNT_RETIRED), parameters)
        return int(count)

    @override
    def calendar_links(self, person: Person) -> int:
        parameters = {"side": str(person.side), "id": person.id}
        [[count]] = self._database.fetch(self._database.statement(_COUNT_LINKS), parameters)
        return int(count)

    @override
    def scrub(self) -> list[str]:
        for [table] in self._tables():
            maintain(self._database, "VACUUM (FULL, ANALYZE) {schema}.{table}", table=table)
        try:
            maintain(self._database, "VACUUM (FULL) pg_catalog.pg_statistic")
        except NotAllowed:
            return [_LEFT_STATISTICS]
        return []

    @override
    def scrub_online(self) -> list[str]:
        """VACUUM empties what is dead, and new indexes are made beside the old ones."""
        for [table] in self._tables():
            maintain(self._database, "VACUUM (ANALYZE) {schema}.{table}", table=table)
            maintain(self._database, "REINDEX TABLE CONCURRENTLY {schema}.{table}", table=table)
        return [_LEFT_ONLINE]

    def _tables(self) -> list[tuple[str]]:
        return self._database.fetch(_TABLES.encode(), {"schema": self._database.schema})
