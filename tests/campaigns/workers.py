"""The processes of the campaigns: each works until SIGTERM, and says what it found wrong in a file of its own.

`python -m tests.campaigns.workers KIND --name NAME --folder FOLDER --db URL --schema SCHEMA --seed N`. A file
`NAME.findings` holds what must never be, `NAME.errors` what may be while a server is down, `NAME.ready` is there
once the process works.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

from domain import EventStore
from domain.errors import NotInstalled, StorageUnavailable
from domain.identifiers import Position
from projections import Appointments, Schedules
from projections.cli.app import run
from tests.campaigns.material import ITEM_BYTES_MAX
from tests.support.reference import as_plain, expected_schedule


class Worker:
    """What every process of a campaign has: a place, a seed, a way to stop and a way to complain."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.name: str = options.name
        self.folder: Path = options.folder
        self.db: str = options.db
        self.schema: str = options.schema
        self.rng = Random(f"{options.seed} {options.name} {os.getpid()}")
        self.stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: self.stop.set())
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    @property
    def place(self) -> list[str]:
        return ["--db", self.db, "--schema", self.schema]

    def ready(self) -> None:
        (self.folder / f"{self.name}.ready").touch()

    def note(self, ending: str, text: str) -> None:
        with (self.folder / f"{self.name}.{ending}").open("a", encoding="utf-8") as file:
            file.write(text.rstrip("\n") + "\n")

    def expect(self, holds: bool, text: str) -> None:  # noqa: FBT001 - it reads like assert
        if not holds:
            self.note("findings", text)

    def command(self, *arguments: str) -> int:
        """Runs a command of the command line in this process; what it complains of is an error of this worker."""
        said = StringIO()
        with redirect_stderr(said):
            status = run([*arguments, *self.place])
        if status:
            lines = said.getvalue().splitlines()
            self.note("errors", "\n".join(line for line in lines if "were quarantined" not in line))
        return status

    @contextmanager
    def patient(self) -> Iterator[None]:
        """Goes on after a database that is not there, or not there yet."""
        try:
            yield
        except (StorageUnavailable, NotInstalled) as error:
            self.note("errors", f"appointments: {error}")
            self.stop.wait(0.1)


def write(worker: Worker) -> None:
    """Ingests every released file once, as far as it knows, and old ones again while there is nothing new."""
    done_file = worker.folder / f"{worker.name}.done"
    done = set(done_file.read_text("utf-8").split()) if done_file.exists() else set()
    while not worker.stop.is_set():
        released = sorted((worker.folder / f"{worker.name}.inbox").iterdir())
        new = [path for path in released if path.name not in done]
        path = new[0] if new else worker.rng.choice(released)
        options = ["--item-bytes-max", str(ITEM_BYTES_MAX), *(["--no-project"] if worker.rng.random() < 0.5 else [])]
        if worker.command("ingest", str(path), *options) == 0:
            done.add(path.name)
            with done_file.open("a", encoding="utf-8") as file:
                file.write(path.name + "\n")
            worker.ready()
        else:
            worker.stop.wait(0.1)


def rebuild(worker: Worker) -> None:
    """Makes generation after generation, and goes back to the one before now and then."""
    while not worker.stop.is_set():
        chance = worker.rng.random()
        if chance < 0.2:
            worker.command("rollback")
        else:
            worker.command("rebuild", *(["--restart"] if chance < 0.3 else []))
        worker.ready()
        worker.stop.wait(worker.rng.uniform(0.0, 0.3))


class _Tail:
    """The event store as a tailing reader sees it: what it once passed must never change, nor be joined by more."""

    def __init__(self, events: EventStore) -> None:
        self._recorder = events.recorder
        self.position = Position(0)
        self.read: list[tuple[int, int]] = []
        self.streams: dict[str, dict[int, dict[str, Any]]] = {}
        self.talents: dict[str, set[str]] = {}

    def advance(self, upto: Position) -> None:
        while self.position < upto:
            batch = self._recorder.read(after=self.position, upto=upto, limit=500)
            if not batch:
                return
            for one in batch:
                envelope = json.loads(one.text)
                appointment = envelope["eventData"]["appointment"]
                self.streams.setdefault(appointment["id"], {})[one.event_id] = envelope
                self.talents.setdefault(appointment["talentId"], set()).add(appointment["id"])
                self.read.append((one.position, one.event_id))
            self.position = batch[-1].position

    def again(self) -> list[tuple[int, int]]:
        batch = self._recorder.read(after=Position(0), upto=self.position, limit=10**6)
        return [(one.position, one.event_id) for one in batch]

    def schedule(self, talent_id: str) -> list[dict[str, Any]]:
        ids = self.talents[talent_id]
        envelopes = [envelope for one in ids for envelope in self.streams[one].values()]
        return expected_schedule(envelopes, "talent", talent_id, include_deleted=True)


def read(worker: Worker) -> None:
    """Compares schedules with an independent fold of what it read from the event store up to their position."""
    while not worker.stop.is_set():
        with worker.patient(), Appointments.open(worker.db, schema=worker.schema) as appointments:
            events = appointments.events
            schedules = appointments.schedules
            tail = _Tail(events)
            position = 0
            while not worker.stop.is_set():
                with worker.patient():
                    position = _look(worker, schedules, tail, position)
            worker.expect(tail.read == tail.again(), f"a tailing reader missed something up to {tail.position}")


def _look(worker: Worker, schedules: Schedules, tail: _Tail, position: int) -> int:
    """Asks for some schedules and returns the position of the last answer, which must not go back."""
    owners = schedules.talents(limit=50)
    for owner_id in [one.owner_id for one in owners][:: worker.rng.randint(5, 20)]:
        answer = schedules.talent(owner_id, include_deleted=True)
        worker.expect(answer.position >= position, f"the position went back from {position} to {answer.position}")
        position = answer.position
        pages, cursor = [], None
        while True:
            page = schedules.talent(owner_id, include_deleted=True, limit=2, after=cursor)
            worker.expect(page.position >= position, f"the position went back from {position} to {page.position}")
            pages.append(page)
            cursor, position = page.next, page.position
            if cursor is None:
                break
        tail.advance(Position(answer.position))
        worker.expect(tail.position == answer.position, f"no event at {answer.position}, only at {tail.position}")
        found = [as_plain(one) for one in answer]
        worker.expect(found == tail.schedule(owner_id), f"the schedule of {owner_id} at {answer.position}: {found}")
        if len({page.position for page in pages}) == 1 and pages[0].position == answer.position:
            found_in_pages = [one for page in pages for one in page]
            worker.expect(found_in_pages == list(answer), f"the pages of {owner_id} at {position} differ")
    ids = [one.owner_id for one in owners]
    worker.expect(all(before < after for before, after in pairwise(ids)), f"talents in no order: {ids}")
    worker.ready()
    return position


KINDS: dict[str, Callable[[Worker], None]] = {"writer": write, "rebuilder": rebuild, "reader": read}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--name", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--db", required=True)
    parser.add_argument("--schema", required=True)
    parser.add_argument("--seed", required=True)
    options = parser.parse_args()
    worker = Worker(options)
    try:
        KINDS[options.kind](worker)
    except BaseException:
        worker.note("findings", traceback.format_exc())
        raise
    sys.exit(0)


if __name__ == "__main__":
    main()
