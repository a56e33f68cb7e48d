"""The times at which envelopes arrived."""

from __future__ import annotations

from datetime import UTC, datetime


def arrival_now() -> datetime:
    """The time of arrival of what is appended now, in whole milliseconds as it is shown to people."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def arrival_of(stored: datetime | str | None) -> datetime | None:
    """Converts a time of arrival from a database to UTC."""
    moment = datetime.fromisoformat(stored) if isinstance(stored, str) else stored
    return moment and moment.astimezone(UTC)
