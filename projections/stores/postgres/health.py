"""What an installation in a PostgreSQL schema knows of its own health."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from typing_extensions import override

from domain.identifiers import Generation
from domain.storage.postgres.database import PostgresDatabase
from projections.stores.health import Health, UnfinishedRebuild, VerificationNote

_SIGN: Final = """
    INSERT INTO {schema}.rebuild_sign (singleton, phase, seen_at)
    VALUES (1, %(phase)s, clock_timestamp())
    ON CONFLICT (singleton) DO UPDATE SET phase = excluded.phase, seen_at = excluded.seen_at
"""

_UNFINISHED: Final = """
    SELECT
        rebuild_sign.phase,
        (SELECT COUNT(*) FROM {schema}.rebuild_partition WHERE generation = generation.number),
        (SELECT COUNT(*) FROM {schema}.rebuild_partition WHERE generation = generation.number AND is_loaded),
        COALESCE(rebuild_sign.seen_at, generation.created_at),
        EXTRACT(EPOCH FROM clock_timestamp() - COALESCE(rebuild_sign.seen_at, generation.created_at))::float8
    FROM {schema}.generation
    LEFT JOIN {schema}.rebuild_sign ON rebuild_sign.seen_at >= generation.created_at
    WHERE generation.number = %(generation)s
"""

_NOTE: Final = """
    INSERT INTO {schema}.verification (singleton, generation, verified_at, checked, differences)
    VALUES (1, %(generation)s, clock_timestamp(), %(checked)s, %(differences)s)
    ON CONFLICT (singleton) DO UPDATE SET
        generation = excluded.generation,
        verified_at = excluded.verified_at,
        checked = excluded.checked,
        differences = excluded.differences
"""

_LAST_VERIFICATION: Final = "SELECT generation, verified_at, checked, differences FROM {schema}.verification"

_PROJECTED_AT: Final = "SELECT projected_at FROM {schema}.generation WHERE number = %(generation)s"


class PostgresHealth(Health):
    """The health of an installation in a PostgreSQL schema."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    @override
    def sign_rebuild(self, phase: str) -> None:
        with self._database.writing() as cursor:
            cursor.execute(self._database.statement(_SIGN), {"phase": phase})

    @override
    def unfinished_rebuild(self, generation: Generation) -> UnfinishedRebuild:
        [row] = self._database.fetch(self._database.statement(_UNFINISHED), {"generation": generation})
        phase, partitions, loaded, seen_at, silent_seconds = row
        return UnfinishedRebuild(
            generation=generation, phase=phase, partitions=partitions, partitions_loaded=loaded,
            seen_at=seen_at.astimezone(UTC), silent_seconds=abs(silent_seconds),
        )  # fmt: skip

    @override
    def note_verification(self, generation: Generation, *, checked: int, differences: int) -> None:
        parameters = {"generation": generation, "checked": checked, "differences": differences}
        with self._database.writing() as cursor:
            cursor.execute(self._database.statement(_NOTE), parameters)

    @override
    def last_verification(self) -> VerificationNote | None:
        for generation, verified_at, checked, differences in self._database.fetch(
            self._database.statement(_LAST_VERIFICATION)
        ):
            return VerificationNote(
                generation=generation,
                verified_at=verified_at.astimezone(UTC),
                checked=checked,
                differences=differences,
            )
        return None

    @override
    def projected_at(self, generation: Generation) -> datetime | None:
        [[at]] = self._database.fetch(self._database.statement(_PROJECTED_AT), {"generation": generation})
        return None if at is None else at.astimezone(UTC)
