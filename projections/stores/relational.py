"""What the stores of both SQL databases share: running a query, its parameters, and the values made of its rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import chain, islice
from typing import Any, ClassVar, NamedTuple

from typing_extensions import override

from domain.appointment import current_fold_version
from domain.errors import NotInstalled
from domain.identifiers import AppointmentId, Generation
from domain.storage.base import StoredEnvelope, with_arrivals
from domain.storage.tables_version import check_tables_version
from projections.rows import ScheduleRow, Side
from projections.stores.base import (
    UNDATED_SORT_KEY,
    ChangesQuery,
    OwnerCounts,
    ScheduleChange,
    ScheduleQuery,
    Stamp,
    Store,
)

Row = tuple[Any, ...]


class Queries(NamedTuple):
    """The statements of one database; `{side}` and `{generation}` stand for the tables to read.

    Each selects the stamp, the version of the tables, and then the columns of the answer. When another generation
    serves than the one that was read, the answer's columns are NULL; otherwise its first column never is.
    """

    stamp: str
    schedule: str
    appointment: str
    owners: str
    changes: str
    streams: str
    appointments_count: str


class RelationalStore(Store):
    """A store that answers each query by one SQL statement, so from one snapshot."""

    queries: ClassVar[Queries]

    def __init__(self, place: str) -> None:
        self._place = place
        self._serving_generation: Generation | None = None

    @abstractmethod
    def fetch(self, query: str, parameters: Mapping[str, Any], *, side: Side, generation: Generation) -> list[Row]:
        """Runs one of the queries on the tables of a side and a generation."""

    @abstractmethod
    def scanning(
        self, query: str, parameters: Mapping[str, Any], *, side: Side, generation: Generation
    ) -> AbstractContextManager[Iterator[Row]]:
        """Runs one of the queries; its rows come while the block reads them."""

    @abstractmethod
    def array(self, texts: Sequence[str]) -> Any:
        """Packs several texts into one parameter."""

    @override
    def stamp(self) -> Stamp:
        stamp, _ = self._ask(self.queries.stamp, {})
        return stamp

    @override
    def schedule(self, query: ScheduleQuery) -> tuple[Stamp, list[str]]:
        stamp, rows = self._ask(self.queries.schedule, self._parameters_of(query), side=query.side)
        return stamp, [body for (body,) in rows]

    @override
    @contextmanager
    def scan_schedule(self, query: ScheduleQuery) -> Iterator[tuple[Stamp, Iterator[str]]]:
        with self._scan(self.queries.schedule, self._parameters_of(query), side=query.side) as (stamp, rows):
            yield stamp, (row[7] for row in rows)

    def _parameters_of(self, query: ScheduleQuery) -> dict[str, Any]:
        return {
            "owner_id": query.owner_id,
            "direction": query.direction,
            "undated": UNDATED_SORT_KEY,
            "include_deleted": query.include_deleted,
            "statuses": None if query.statuses is None else self.array(sorted(query.statuses)),
            "appointment_type": query.appointment_type,
            "subphase_id": query.subphase_id,
            "counterpart_id": query.counterpart_id,
            "ends_after": query.ends_after,
            "starts_before": query.starts_before,
            "past_before": query.past_before,
            "after_start": query.after and query.after.start,
            "after_id": query.after and query.after.appointment_id,
            "limit": query.limit,
        }

    @override
    def appointment(self, appointment_id: AppointmentId) -> tuple[Stamp, str | None]:
        stamp, rows = self._ask(self.queries.appointment, {"appointment_id": appointment_id})
        return stamp, rows[0][0] if rows else None

    @override
    def owners(self, side: Side, *, after: str | None, limit: int | None) -> tuple[Stamp, list[OwnerCounts]]:
        """Starts at the empty text, which sorts before every id."""
        stamp, rows = self._ask(self.queries.owners, {"after": after or "", "limit": limit}, side=side)
        return stamp, [OwnerCounts(*row) for row in rows]

    @override
    def changes(self, query: ChangesQuery) -> tuple[Stamp, list[ScheduleChange]]:
        stamp, rows = self._ask(self.queries.changes, _changes_parameters(query), side=query.side)
        return stamp, [ScheduleChange(row[1], row[2], ScheduleRow(*row)) for row in rows]

    @override
    @contextmanager
    def scan_changes(self, query: ChangesQuery) -> Iterator[tuple[Stamp, Iterator[ScheduleChange]]]:
        with self._scan(self.queries.changes, _changes_parameters(query), side=query.side) as (stamp, rows):
            yield stamp, (ScheduleChange(row[8], row[9], ScheduleRow(*row[7:])) for row in rows)

    @override
    @contextmanager
    def scan_streams(self, side: Side, owner_id: str) -> Iterator[tuple[Stamp, Iterator[StoredEnvelope]]]:
        with self._scan(self.queries.streams, {"owner_id": owner_id}, side=side) as (stamp, rows):
            yield stamp, with_arrivals(row[7:] for row in rows)

    @override
    def appointments_count(self) -> int:
        _, [[count]] = self._ask(self.queries.appointments_count, {})
        return int(count)

    def _ask(self, query: str, parameters: Mapping[str, Any], *, side: Side = Side.TALENT) -> tuple[Stamp, list[Row]]:
        """The stamp and the rows of an answer, both from the generation that serves this code.

        Reads the tables of the cached serving generation; repeats the query when another one serves by now.
        """
        parameters = {"fold_version": current_fold_version(), **parameters}
        while True:
            generation = self._serving_generation or self._read_serving_generation()
            try:
                rows = self.fetch(query, parameters, side=side, generation=generation)
            except NotInstalled:
                rows = []
            if self._is_answered(rows[:1], generation):
                return Stamp(*rows[0][:6]), [row[7:] for row in rows if row[7] is not None]

    @contextmanager
    def _scan(
        self, query: str, parameters: Mapping[str, Any], *, side: Side
    ) -> Iterator[tuple[Stamp, Iterator[Row]]]:
        """The same with whole rows that come while the block reads them."""
        parameters = {"fold_version": current_fold_version(), **parameters}
        while True:
            generation = self._serving_generation or self._read_serving_generation()
            with ExitStack() as stack:
                try:
                    rows = stack.enter_context(self.scanning(query, parameters, side=side, generation=generation))
                    first = list(islice(rows, 1))
                except NotInstalled:
                    rows, first = iter(()), []
                if self._is_answered(first, generation):
                    yield Stamp(*first[0][:6]), (row for row in chain(first, rows) if row[7] is not None)
                    return

    def _is_answered(self, first: Sequence[Row], generation: Generation) -> bool:
        """Whether a generation answered that serves; if not, which one serves was read anew.

        Raises:
            NotInstalled: it does serve, and has no tables.
        """
        if first:
            check_tables_version(first[0][6])
            if first[0][0] == generation:
                return True
        if self._read_serving_generation() == generation and not first:
            raise NotInstalled(
                f"a table of generation {generation} is missing; run: appointments rebuild", place=self._place
            )
        return False

    def _read_serving_generation(self) -> Generation:
        self._serving_generation = self.catalogue().serving
        return self._serving_generation


def _changes_parameters(query: ChangesQuery) -> dict[str, Any]:
    return {
        "owner_id": query.owner_id,
        "after": query.after,
        "after_id": query.after_id,
        "limit": query.limit,
    }
