"""Statements that no transaction may contain, such as VACUUM."""

from __future__ import annotations

from psycopg.errors import Diagnostic

from domain.errors import NotAllowed
from domain.storage.postgres.database import PostgresDatabase


def maintain(database: PostgresDatabase, template: str, **names: object) -> None:
    """Runs one such statement, which takes as long as it must.

    Raises:
        NotAllowed: the role may not do it, of which PostgreSQL only warns.
    """
    warnings: list[str] = []
    with database._translated(), database.connection() as connection:  # noqa: SLF001 - two halves of one adapter
        connection.deadline = None

        def note(notice: Diagnostic) -> None:
            if notice.severity_nonlocalized == "WARNING":
                warnings.append(notice.message_primary or "no reason given")

        connection.add_notice_handler(note)
        try:
            connection.execute(database.statement(template, **names))
        finally:
            connection.remove_notice_handler(note)
    if warnings:
        raise NotAllowed(f"PostgreSQL did not do it: {warnings[0]}", place=database.place)
