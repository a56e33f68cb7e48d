"""The version of the tables, of the event store and of the read models' catalogue alike."""

from __future__ import annotations

from typing import Final

from domain.errors import VersionMismatch

TABLES_VERSION: Final = 2
"""The version of the tables of the event store and of the read models' catalogue; each keeps it in a row.

1 had no `event_store`, so no epoch, no ledger of forgotten persons, and did not say when an envelope arrived.
"""


def check_tables_version(found: int) -> None:
    """Raises `VersionMismatch` when the tables were made by another version of this product."""
    if found != TABLES_VERSION:
        raise VersionMismatch(
            f"the tables are of version {found} and this code knows version {TABLES_VERSION}"
            + (": upgrade this code" if found > TABLES_VERSION else "; run: appointments init"),
            expected=TABLES_VERSION,
            found=found,
        )
