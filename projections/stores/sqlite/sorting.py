"""Sorts more than should be held in memory, in a private file that SQLite removes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager

from projections.stores.base import SortKey


@contextmanager
def sorted_on_disk(keyed: Iterable[tuple[SortKey, str]]) -> Iterator[Iterator[str]]:
    """Opens an iterator over texts in the order of their keys, in bounded memory."""
    with closing(sqlite3.connect("")) as connection:
        connection.execute("CREATE TABLE keyed (start INTEGER, appointment_id TEXT, body TEXT)")
        connection.executemany("INSERT INTO keyed VALUES (?, ?, ?)", ((*key, body) for key, body in keyed))
        yield (body for (body,) in connection.execute("SELECT body FROM keyed ORDER BY start, appointment_id"))
