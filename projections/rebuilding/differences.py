"""Compares rows of a generation with the rows that history gives, field by field."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from projections.rows import AppointmentRow, Rows, ScheduleRow, Side

DIFFERENCES_MAX: Final = 1000
"""A verification stops after this many, so that it needs a bounded amount of memory."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between a generation and history.

    Attributes:
        table: `appointment`, `talent_schedule`, `coach_schedule` or `generation`.
        owner_id: the talent or coach whose schedule has the row; None for other tables.
        field: the column, or the field of its JSON body; `row` for a whole row that is missing or too many.
        expected: the value according to history, or None if there is none.
        found: the value in the generation, or None if there is none.
    """

    table: str
    appointment_id: str | None
    owner_id: str | None
    field: str
    expected: Any
    found: Any

    def __str__(self) -> str:
        of = f" of {self.owner_id!r}" if self.owner_id else ""
        where = f"{self.table} {self.appointment_id!r}{of}"
        return f"{where}: {self.field}: expected {self.expected!r}, found {self.found!r}"


AnyRow = AppointmentRow | ScheduleRow
"""A row of any of the three tables."""


def differences_of(expected: Rows, found: Rows) -> Iterator[Difference]:
    """Yields how the rows found differ from those expected; for rows that are too many see `rows_too_many`."""
    yield from _table_differences("appointment", expected.appointments, found.appointments)
    for side in Side:
        yield from _table_differences(f"{side}_schedule", expected.of(side), found.of(side))


def _table_differences(table: str, expected: Iterable[AnyRow], found: Iterable[AnyRow]) -> Iterator[Difference]:
    found_by_key = {_key(row): row for row in found}
    for row in expected:
        other = found_by_key.get(_key(row))
        if other is None:
            yield _difference(table, row, "row", "a row", None)
        elif row != other:
            yield from _field_differences(table, row, other)


def _field_differences(table: str, expected: AnyRow, found: AnyRow) -> Iterator[Difference]:
    for name in type(expected)._fields:
        before, after = getattr(expected, name), getattr(found, name)
        if before == after:
            continue
        if name == "body" and before is not None and after is not None:
            yield from _body_differences(table, expected, before, after)
        else:
            yield _difference(table, expected, name, before, after)


def _body_differences(table: str, row: AnyRow, expected: str, found: str) -> Iterator[Difference]:
    try:
        after = msgspec.json.decode(found, type=dict[str, Any])
    except msgspec.MsgspecError:
        yield _difference(table, row, "body", expected, found)
        return
    after = _fields(after)
    before = _fields(msgspec.json.decode(expected, type=dict[str, Any]))
    differing = [name for name in before | after if before.get(name) != after.get(name)]
    for name in differing:
        yield _difference(table, row, name, before.get(name), after.get(name))
    if not differing:
        yield _difference(table, row, "body", expected, found)


def _fields(document: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flattens nested documents: a field of a field is named like `snapshot.title`."""
    fields: dict[str, Any] = {}
    for name, value in document.items():
        fields |= _fields(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return fields


def rows_too_many(table: str, present: Iterable[AnyRow], wanted: Iterable[AnyRow]) -> Iterator[Difference]:
    """Yields a difference for each row that is present and not wanted."""
    keys = {_key(row) for row in wanted}
    return (_difference(table, row, "row", None, "a row") for row in present if _key(row) not in keys)


def _key(row: AnyRow) -> tuple[str, str]:
    return row.appointment_id, row.owner_id if isinstance(row, ScheduleRow) else ""


def _difference(table: str, row: AnyRow, field: str, expected: object, found: object) -> Difference:
    owner_id = row.owner_id if isinstance(row, ScheduleRow) else None
    return Difference(table, row.appointment_id, owner_id, field, expected, found)
