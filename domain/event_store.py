"""The event store, which keeps each envelope once, in whatever order and however often it is delivered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from os import PathLike
from uuid import UUID

from domain.arguments import identifier, positive_number, whole_number
from domain.corrections import Corrections
from domain.decision import decide, validated
from domain.envelope import EVENT_ID_MAX, Envelope
from domain.erasure import insert, without_content
from domain.errors import NotInstalled
from domain.export import exported_lines
from domain.identifiers import AppointmentId, EventId, Position
from domain.input.batches import EnvelopeInput, batches, check_iterable
from domain.input.files import BinaryFile, Input, open_input
from domain.input.items import ITEM_BYTES_MAX, Item, Pause
from domain.masking import MaskedEnvelope
from domain.quarantine import Quarantine
from domain.retrying import retry_batch
from domain.set_aside import take_places
from domain.storage.base import OutboxCursor, Outcomes, QuarantinedItem, StoredEnvelope
from domain.topics import envelope_of, has_envelope

FileInput = str | PathLike[str] | BinaryFile | Input


@dataclass(frozen=True, slots=True)
class AppendReport:
    """How many items were read, and what became of them.

    `read` is always the sum of `appended`, `duplicates`, `ignored` and `quarantined`. `position` is the highest
    position in the event store after the append. Of those appended, `masked` were of a forgotten person, or mentioned
    one: what remained of them is stored.
    """

    read: int = 0
    appended: int = 0
    duplicates: int = 0
    ignored: int = 0
    quarantined: int = 0
    position: Position = Position(0)
    masked: int = 0

    def __add__(self, other: AppendReport) -> AppendReport:
        return AppendReport(
            self.read + other.read,
            self.appended + other.appended,
            self.duplicates + other.duplicates,
            self.ignored + other.ignored,
            self.quarantined + other.quarantined,
            max(self.position, other.position),
            self.masked + other.masked,
        )

    def to_json(self) -> dict[str, int]:
        """The document of `appointments ingest --json`; `masked` is in it where there were such."""
        document = {name: int(getattr(self, name)) for name in AppendReport.__slots__}
        return document if self.masked else {name: count for name, count in document.items() if name != "masked"}


class EventStore(Corrections):
    """The envelopes of all appointments in the order of their arrival. The first append creates missing tables.

    `Appointments.events` is the one to use.
    """

    def install(self) -> None:
        """Creates the tables unless they exist."""
        try:
            self._checked()
        except NotInstalled:
            self._recorder.create()

    def epoch(self) -> str:
        """Returns what tells this event store from every other, and from its own restored backups."""
        return self._checked().epoch()

    def renew_epoch(self) -> None:
        """Invalidates every change token given so far. Call it after a backup was restored.

        Raises:
            NotInstalled: there is no installation, so no backup was restored here.
        """
        self._checked().renew_epoch()

    def append(
        self,
        envelopes: Iterable[EnvelopeInput | Pause],
        *,
        progress: Callable[[AppendReport], None] | None = None,
    ) -> AppendReport:
        """Appends the envelopes of any iterable, lazily and in atomic batches.

        An envelope is JSON as bytes or str, or the parsed object. Anything else, and any envelope that cannot be
        accepted, is quarantined in the transaction of its batch. When this raises, the batches reported to
        `progress` are committed and nothing of a later one is; appending the same envelopes again is harmless.

        Ends a batch at 1,000 envelopes, at 32 MiB, 200 ms after the previous batch, or where the iterable yields
        `domain.PAUSE`. What was yielded since the last batch is not stored while the iterable blocks, so an iterable
        that may block should yield `PAUSE` first, as `append_file` does for pipes and sockets.

        Raises:
            TypeError: this is one envelope, or a file.
            StorageError: the database cannot be used.
        """
        check_iterable(envelopes)
        self.install()
        report = AppendReport()
        try:
            for batch in batches(envelopes):
                report += self.append_batch(batch)
                if progress is not None:
                    progress(report)
            return replace(report, position=max(report.position, self.head()))
        except BaseException as error:
            if report.read:
                error.add_note(f"{report.read:,} items were done; running it again completes the work")
            raise

    def append_file(
        self,
        file: FileInput,
        *,
        item_bytes_max: int = ITEM_BYTES_MAX,
        progress: Callable[[AppendReport], None] | None = None,
    ) -> AppendReport:
        """Appends the envelopes of a file, in bounded memory.

        Args:
            file: a path, `-` for standard input, or a file open in binary mode, which is read from its current
                position and left open. It holds one JSON object, one JSON array or JSON Lines, plain or gzipped.
            item_bytes_max: items above this size are quarantined as `too_large`.
            progress: called after each batch with what is committed so far.

        Raises:
            InputUnreadable: there is no such file, or it cannot be read.
            TypeError: it is neither a path nor a file in binary mode.
            StorageError: the database cannot be used.
        """
        return self.append_files([file], item_bytes_max=item_bytes_max, progress=progress)

    def append_files(
        self,
        files: Iterable[FileInput],
        *,
        item_bytes_max: int = ITEM_BYTES_MAX,
        progress: Callable[[AppendReport], None] | None = None,
    ) -> AppendReport:
        """Appends the envelopes of several files; all of them are opened before anything is appended."""
        if isinstance(files, str | bytes | PathLike) or hasattr(files, "read"):
            raise TypeError("append_files takes an iterable of files; for one: append_file(file)")
        item_bytes_max = positive_number("item_bytes_max", item_bytes_max)
        with ExitStack() as stack:
            inputs = [one if isinstance(one, Input) else stack.enter_context(open_input(one)) for one in files]
            items = chain.from_iterable(one.items(item_bytes_max=item_bytes_max) for one in inputs)
            return self.append(items, progress=progress)

    def history(self, appointment_id: str | UUID) -> list[Envelope]:
        """Returns the accepted envelopes of one appointment in the order of publication; an empty list if none."""
        return [envelope_of(stored) for stored in self.stream(appointment_id) if has_envelope(stored)]

    def stream(self, appointment_id: str | UUID) -> list[StoredEnvelope]:
        """Returns all that is stored of one appointment by event id, not decoded: also what is no envelope."""
        return self._checked().stream(AppointmentId(identifier("appointment_id", appointment_id)))

    def stored_text(self, event_id: EventId) -> bytes | None:
        """Returns the JSON of one envelope as received, or None when none with that id is stored."""
        event_id = EventId(whole_number("event_id", event_id))
        stored = self._checked().envelope(event_id) if 1 <= event_id <= EVENT_ID_MAX else None
        return None if stored is None else stored.text

    def count(self) -> int:
        """Returns the number of stored envelopes."""
        return self._checked().envelopes_count()

    def head(self) -> Position:
        """Returns the highest position; 0 when nothing is stored."""
        return self._checked().head()

    def outcomes(self) -> Outcomes:
        """Returns what became of every item that was read since the beginning, in appends that were committed."""
        return self._checked().outcomes()

    def lines(self, *, start: Position = Position(1)) -> Iterator[bytes]:
        """Yields the envelopes from a position on, each as JSON on one line; lazily, in bounded memory.

        What is appended meanwhile is not included. Appended elsewhere they give an equal event store.
        """
        return exported_lines(self._checked(), start=start, upto=self.head())

    def seconds_since_arrival_after(self, position: Position) -> float | None:
        """How long ago the first envelope after a position arrived; None when there is none, or nobody knows."""
        arrived_at = self._checked().arrival_after(position)
        return None if arrived_at is None else max(0.0, (datetime.now(UTC) - arrived_at).total_seconds())

    @property
    def quarantine(self) -> Quarantine:
        """The items that could not be accepted."""
        return Quarantine(self._checked(), self._retry)

    def append_batch(self, items: Sequence[Item], *, cursor: OutboxCursor | None = None) -> AppendReport:
        """Appends items in one transaction, in which it also keeps how far the outbox was read that they came from.

        The `position` of the report is 0. The tables must be there.
        """
        candidates, refused, ignored = validated(items)
        outcomes, masked = Outcomes(), 0
        if items or cursor is not None:
            with self._recorder.appending() as append:
                stored = append.stored([envelope.event_id for envelope, _ in candidates])
                ledger = append.ledger
                if ledger:
                    candidates = [(ledger.masked(envelope), item) for envelope, item in candidates]
                decision = decide(candidates, stored)
                insert(append, decision.new, ledger)
                refused += decision.conflicts + take_places(append, decision.replacements)
                append.quarantine(without_content(refused, ledger))
                masked = sum(isinstance(one, MaskedEnvelope) for one in decision.accepted) if ledger else 0
                outcomes = Outcomes(
                    appended=len(items) - decision.duplicates - ignored - len(refused),
                    duplicates=decision.duplicates,
                    ignored=ignored,
                    quarantined=len(refused),
                )
                append.count(outcomes)
                if cursor is not None:
                    append.advance(cursor)
        return AppendReport(len(items), *outcomes, masked=masked)

    def _retry(self, items: Sequence[QuarantinedItem]) -> int:
        return retry_batch(self._recorder, items)
