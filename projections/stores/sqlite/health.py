"""What an installation in an SQLite file knows of its own health."""

from __future__ import annotations

from datetime import datetime

from typing_extensions import override

from domain.identifiers import Generation
from domain.storage.sqlite.database import SQLiteDatabase
from projections.stores.health import Health, UnfinishedRebuild, VerificationNote


class SQLiteHealth(Health):
    """The health of an installation in an SQLite file."""

    def __init__(self, database: SQLiteDatabase) -> None:
        self._database = database

    @override
    def sign_rebuild(self, phase: str) -> None:
        with self._database.writing() as cursor:
            cursor.execute(
                """
                INSERT INTO rebuild_sign (singleton, phase, seen_at)
                VALUES (1, ?, strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'))
                ON CONFLICT (singleton) DO UPDATE SET phase = excluded.phase, seen_at = excluded.seen_at
                """,
                (phase,),
            )

    @override
    def unfinished_rebuild(self, generation: Generation) -> UnfinishedRebuild:
        with self._database.reading() as cursor:
            cursor.execute(
                """
                SELECT
                    rebuild_sign.phase,
                    (SELECT COUNT(*) FROM rebuild_partition AS one WHERE one.generation = generation.number),
                    (
                        SELECT COUNT(*) FROM rebuild_partition AS one
                        WHERE one.generation = generation.number AND one.is_loaded
                    ),
                    COALESCE(rebuild_sign.seen_at, generation.created_at),
                    (julianday('now') - julianday(COALESCE(rebuild_sign.seen_at, generation.created_at))) * 86400
                FROM generation
                LEFT JOIN rebuild_sign ON julianday(rebuild_sign.seen_at) >= julianday(generation.created_at)
                WHERE generation.number = ?
                """,
                (generation,),
            )
            phase, partitions, loaded, seen_at, silent_seconds = cursor.fetchone()
        return UnfinishedRebuild(
            generation=generation, phase=phase, partitions=partitions, partitions_loaded=loaded,
            seen_at=datetime.fromisoformat(seen_at), silent_seconds=abs(silent_seconds),
        )  # fmt: skip

    @override
    def note_verification(self, generation: Generation, *, checked: int, differences: int) -> None:
        with self._database.writing() as cursor:
            cursor.execute(
                """
                INSERT INTO verification (singleton, generation, verified_at, checked, differences)
                VALUES (1, ?, strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'), ?, ?)
                ON CONFLICT (singleton) DO UPDATE SET
                    generation = excluded.generation,
                    verified_at = excluded.verified_at,
                    checked = excluded.checked,
                    differences = excluded.differences
                """,
                (generation, checked, differences),
            )

    @override
    def last_verification(self) -> VerificationNote | None:
        with self._database.reading() as cursor:
            row = cursor.execute("SELECT generation, verified_at, checked, differences FROM verification").fetchone()
        if row is None:
            return None
        generation, verified_at, checked, differences = row
        return VerificationNote(
            generation=generation, verified_at=datetime.fromisoformat(verified_at), checked=checked,
            differences=differences,
        )  # fmt: skip

    @override
    def projected_at(self, generation: Generation) -> datetime | None:
        with self._database.reading() as cursor:
            [at] = cursor.execute("SELECT projected_at FROM generation WHERE number = ?", (generation,)).fetchone()
        return None if at is None else datetime.fromisoformat(at)
