"""What a `memory:NAME` holds: the library's in-memory recorder and what lies beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition, Event, Lock, RLock
from typing import Any

from eventsourcing.popo import POPOApplicationRecorder

from domain.identifiers import EventId, Position


class MemoryDatabase:
    """What a `memory:NAME` holds; it lives while any object that uses it is open."""

    _open: dict[str, MemoryDatabase] = {}  # noqa: RUF012 - shared by name is the point
    _open_lock = Lock()

    def __init__(self, name: str) -> None:
        self.name = name
        self.place = f"memory:{name}"
        self.users = 0
        self.lock = RLock()
        self.changed = Condition(self.lock)
        self.changes = 0
        self.events = POPOApplicationRecorder()
        self.positions: dict[EventId, Position] = {}
        self.quarantine: dict[int, Any] = {}
        self.quarantine_number = 0
        self.read_models: Any = None

    @classmethod
    def open(cls, name: str) -> MemoryDatabase:
        """The database of that name; each `open` asks for one `close`."""
        with cls._open_lock:
            database = cls._open.setdefault(name, cls(name))
            database.users += 1
            return database

    def close(self) -> None:
        """Forgets everything when nobody uses it any more."""
        with self._open_lock:
            self.users -= 1
            if self.users == 0:
                self._open.pop(self.name, None)

    def notify(self) -> None:
        """Wakes whoever waits for a change."""
        with self.changed:
            self.changes += 1
            self.changed.notify_all()

    @contextmanager
    def waiter(self) -> Iterator[Callable[[Event, float], None]]:
        """See `Recorder.waiter`."""
        seen = self.changes

        def wait(stop: Event, seconds: float) -> None:
            nonlocal seen
            with self.changed:
                slices = max(1, round(seconds / 0.05))
                while self.changes == seen and not stop.is_set() and slices:
                    self.changed.wait(0.05)
                    slices -= 1
                seen = self.changes

        yield wait
