"""The contents of a `memory:NAME`, shared by all who open it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from secrets import token_bytes
from threading import Condition, Event, Lock, RLock
from typing import Any
from uuid import uuid4

from eventsourcing.popo import POPOApplicationRecorder
from typing_extensions import override

from domain.errors import StorageError
from domain.identifiers import EventId, Position
from domain.ledger import Ledger
from domain.receipt import Receipt
from domain.storage.base import Database, Outcomes
from domain.storage.time_limit import TIMEOUT_SECONDS_DEFAULT


class MemoryContents:
    """Everything stored under one name."""

    def __init__(self) -> None:
        self.users = 0
        self.lock = RLock()
        self.changed = Condition(self.lock)
        self.changes = 0
        self.epoch = uuid4().hex
        self.events = POPOApplicationRecorder()
        self.positions: dict[EventId, Position] = {}
        self.arrivals: dict[EventId, datetime] = {}
        self.quarantine: dict[int, Any] = {}
        self.quarantine_number = 0
        self.outcomes = Outcomes()
        self.outboxes: dict[tuple[str, str], int] = {}
        self.secret = token_bytes(32)
        self.erasures = 0
        self.ledger = Ledger(self.secret, 0)
        self.receipts: dict[int, Receipt] = {}
        self.read_models: Any = None

    def notify(self) -> None:
        """Wakes everybody who waits for a change."""
        with self.changed:
            self.changes += 1
            self.changed.notify_all()


class MemoryDatabase(Database):
    """A handle on a `memory:NAME`. The contents live until the last handle is closed."""

    backend = "memory"

    _shared: dict[str, MemoryContents] = {}  # noqa: RUF012 - shared by name is the point
    _shared_lock = Lock()

    def __init__(self, name: str) -> None:
        self.name = name
        self.place = f"memory:{name}"
        self.timeout_seconds = TIMEOUT_SECONDS_DEFAULT
        with self._shared_lock:
            contents = self._shared.setdefault(name, MemoryContents())
            contents.users += 1
        self._contents: MemoryContents | None = contents

    @property
    def contents(self) -> MemoryContents:
        """Everything stored under the name.

        Raises:
            StorageError: this handle was closed.
        """
        if (contents := self._contents) is None:
            raise StorageError(f"the database memory:{self.name} was closed here; open it again", place=self.place)
        return contents

    @override
    def close(self) -> None:
        """Closes this handle; closing the last one deletes the contents. Harmless when repeated."""
        with self._shared_lock:
            contents, self._contents = self._contents, None
            if contents is not None:
                contents.users -= 1
                if contents.users == 0:
                    del self._shared[self.name]

    @contextmanager
    def waiter(self) -> Iterator[Callable[[Event, float], None]]:
        """Opens a wait for changes, with the promises of `Recorder.waiter`."""
        contents = self.contents
        seen = contents.changes

        def wait(stop: Event, seconds: float) -> None:
            nonlocal seen
            with contents.changed:
                slices = max(1, round(seconds / 0.05))
                while contents.changes == seen and not stop.is_set() and slices:
                    contents.changed.wait(0.05)
                    slices -= 1
                seen = contents.changes

        yield wait
