"""Loading a rebuild's rows into PostgreSQL, and reading them back, both with counts and digests to compare."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from psycopg import Cursor, sql

from domain.identifiers import Generation, Position
from domain.storage.postgres.database import PostgresDatabase, Row
from projections.rows import Side
from projections.stores.generations import TABLES, Folded, Partition, Portion
from projections.stores.postgres.binary_rows import HEADER, TRAILER, appointment_bytes, rows_in, schedule_bytes
from projections.stores.tally import Sum, Tally, sum_of_bytes

_PORTION_BLOCKS: Final = 2000

_COPY_APPOINTMENTS: Final = """
    COPY {schema}.appointment_{generation} (appointment_id, position, body) FROM STDIN (FORMAT BINARY)
"""

_COPY_SCHEDULE: Final = """
    COPY {schema}.{side}_schedule_{generation} (
        {side}_id, appointment_id, position, counterpart_id, status, appointment_type, subphase_id, starts_at,
        ends_at, is_deleted, body
    )
    FROM STDIN (FORMAT BINARY)
"""

_SET_TALLY: Final = """
    UPDATE {schema}.rebuild_partition
    SET tally = %(tally)s
    WHERE generation = %(generation)s
    AND number = %(number)s
"""

_TALLIES: Final = """
    SELECT number, first, until, upto, tally
    FROM {schema}.rebuild_partition
    WHERE generation = %(generation)s
    AND tally IS NOT NULL
    ORDER BY number
"""

_ENVELOPES: Final = """
    SELECT COUNT(*), COALESCE(SUM(originator_version), 0)
    FROM {schema}.stored_events
    WHERE notification_id <= %(upto)s
"""

_BLOCKS: Final = "SELECT pg_relation_size(%(table)s::regclass) / current_setting('block_size')::bigint"

_READ_APPOINTMENTS: Final = """
    COPY (
        SELECT appointment_id, position, body
        FROM {schema}.appointment_{generation}
        WHERE ctid >= %(first)s::tid
        AND ctid < %(until)s::tid
    )
    TO STDOUT (FORMAT BINARY)
"""

_READ_SCHEDULE: Final = """
    COPY (
        SELECT
            {side}_id, appointment_id, position, counterpart_id, status, appointment_type, subphase_id, starts_at,
            ends_at, is_deleted, body
        FROM {schema}.{side}_schedule_{generation}
        WHERE ctid >= %(first)s::tid
        AND ctid < %(until)s::tid
    )
    TO STDOUT (FORMAT BINARY)
"""


def load_rows(
    database: PostgresDatabase, cursor: Cursor[Row], generation: Generation, number: int, folded: Folded
) -> None:
    """Loads the rows of a partition, and stores their counts and digests in the catalogue."""
    appointments = list(map(appointment_bytes, folded.rows.appointments))
    _copy(cursor, database.statement(_COPY_APPOINTMENTS, generation=generation), appointments)
    sums = [sum_of_bytes(appointments)]
    for side in Side:
        rows = list(map(schedule_bytes, folded.rows.of(side)))
        _copy(cursor, database.statement(_COPY_SCHEDULE, generation=generation, side=side), rows)
        sums.append(sum_of_bytes(rows))
    tally = Tally(folded.envelopes, folded.texts, *sums)
    parameters = {"generation": generation, "number": number, "tally": tally.to_json()}
    cursor.execute(database.statement(_SET_TALLY), parameters)


def _copy(cursor: Cursor[Row], statement: bytes, rows: Iterable[bytes]) -> None:
    with cursor.copy(statement) as copy:
        copy.write(b"".join([HEADER, *rows, TRAILER]))


def tallies(database: PostgresDatabase, generation: Generation) -> list[tuple[Partition, Tally]]:
    """Returns the loaded partitions, each with its counts and digests."""
    rows = database.fetch(database.statement(_TALLIES), {"generation": generation})
    return [(Partition(*partition), Tally.from_json(tally)) for *partition, tally in rows]


def envelopes(database: PostgresDatabase, upto: Position) -> Sum:
    """Counts the envelopes up to a position, and adds up their ids."""
    with database.snapshot() as cursor:  # reads all of history: a question's time would not do
        [[count, total]] = cursor.execute(database.statement(_ENVELOPES), {"upto": upto}).fetchall()
        return Sum.of(count, int(total))


def portions(database: PostgresDatabase, generation: Generation) -> list[Portion]:
    """Divides the tables into portions of 16 MB, to be read in parallel; they begin and end at a block."""
    found = []
    for table in TABLES:
        name = sql.Identifier(database.schema, f"{table}_{generation}").as_string(None)
        [[blocks]] = database.fetch(_BLOCKS.encode(), {"table": name})
        found += [Portion(table, first, first + _PORTION_BLOCKS) for first in range(0, blocks, _PORTION_BLOCKS)]
    return found


def read_back(database: PostgresDatabase, generation: Generation, portion: Portion) -> Sum:
    """Reads a portion with COPY, counts its rows and makes their digest."""
    names: dict[str, Any] = {"generation": generation}
    template = _READ_APPOINTMENTS
    if portion.table != TABLES[0]:
        template, names["side"] = _READ_SCHEDULE, portion.table.removesuffix("_schedule")
    parameters = {"first": f"({portion.first},0)", "until": f"({portion.until},0)"}
    with database.snapshot() as cursor, cursor.copy(database.statement(template, **names), parameters) as copy:
        return sum_of_bytes(rows_in(copy))
