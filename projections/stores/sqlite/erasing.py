"""Erasing a person from the read models in an SQLite file."""

from __future__ import annotations

from typing import Final

from typing_extensions import override

from domain.person import Person
from domain.storage.base import AppendTransaction
from domain.storage.sqlite.append import SQLiteAppend
from domain.storage.sqlite.database import SQLiteDatabase
from projections.stores.catalogue import GenerationState
from projections.stores.erasing import FORGOTTEN_OWNER, Erasing, Retired

_END_LINK: Final = """
    UPDATE calendar_link
    SET owner_id = :owner
    WHERE side = :side
    AND owner_id = :id
"""

_END_PREVIOUS: Final = "UPDATE serving SET previous = NULL"

_RETIRE: Final = """
    UPDATE generation
    SET state = :retired
    WHERE state NOT IN (:retired, :dropped)
    AND number NOT IN (SELECT generation FROM serving)
"""

_COUNT: Final = "SELECT COUNT(*) FROM {side}_schedule_{generation} WHERE {side}_id = :id"

_COUNT_RETIRED: Final = "SELECT COUNT(*) FROM generation WHERE state = :retired"

_COUNT_LINKS: Final = "SELECT COUNT(*) FROM calendar_link WHERE side = :side AND owner_id = :id"

_LEFT_OPEN: Final = "the write-ahead log, since somebody reads the file; run it again when nobody does"


class SQLiteErasing(Erasing):
    """Erases in an SQLite file."""

    def __init__(self, database: SQLiteDatabase) -> None:
        self._database = database

    @override
    def retire(self, append: AppendTransaction, person: Person, digest: str) -> Retired:
        assert isinstance(append, SQLiteAppend)  # noqa: S101 - of this database
        cursor = append.cursor
        cursor.execute(_END_LINK, {"side": person.side, "id": person.id, "owner": f"{FORGOTTEN_OWNER}{digest}"})
        links = cursor.rowcount
        cursor.execute(_END_PREVIOUS)
        cursor.execute(_RETIRE, {"retired": GenerationState.RETIRED, "dropped": GenerationState.DROPPED})
        return Retired(links, cursor.rowcount)

    @override
    def rows(self, person: Person) -> int:
        with self._database.snapshot() as cursor:
            serving = cursor.execute("SELECT generation FROM serving").fetchall()
            count = 0
            for [generation] in serving:
                cursor.execute(_COUNT.format(side=person.side, generation=generation), {"id": person.id})
                count += cursor.fetchone()[0]
            return count

    @override
    def retired(self) -> int:
        with self._database.reading() as cursor:
            cursor.execute(_COUNT_RETIRED, {"retired": GenerationState.RETIRED})
            return int(cursor.fetchone()[0])

    @override
    def calendar_links(self, person: Person) -> int:
        with self._database.reading() as cursor:
            cursor.execute(_COUNT_LINKS, {"side": person.side, "id": person.id})
            return int(cursor.fetchone()[0])

    @override
    def scrub(self) -> list[str]:
        self._database.vacuum()
        return [] if self._database.empty_log() else [_LEFT_OPEN]

    @override
    def scrub_online(self) -> list[str]:
        """Empties the write-ahead log: VACUUM holds the file as long as it takes to write it anew."""
        left = [] if self._database.empty_log() else [_LEFT_OPEN]
        return [*left, "the free space of the file"]
