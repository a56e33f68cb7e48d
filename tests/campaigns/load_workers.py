"""The processes of the load campaign: several writers or readers in one, until SIGTERM.

`python -m tests.campaigns.load_workers KIND --number N --threads N --rate N --folder FOLDER --db URL --schema NAME`.
What writers write follows a formula, so that every answer can be told to be right from what it says itself: a
writer's events of a talent come one after the other, three for each appointment, and an answer shows a number of
the first of them. `KIND-N.json` holds the results, `KIND-N.ready` is there once the process works.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import Any

from projections import Appointments
from projections.queries.schedule import Schedule
from tests.support.builders import envelope

WRITERS = 8
READERS = 20
TALENTS = 250
"""How many talents one writer writes of."""

BATCH = 50
PAUSE_SECONDS_MAX = 0.1
BEGIN = datetime(2023, 7, 1, tzinfo=UTC)
STATUSES = ("PLANNED", "PLANNED", "DONE", "PLANNED", "PLANNED", "CANCELED")
ERRORS_MAX = 20


def iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def published_at(turn: int) -> datetime:
    return BEGIN + timedelta(seconds=turn)


def start_of(appointment: int, revision: int) -> datetime:
    """Later by half an hour from the second revision on."""
    return BEGIN + timedelta(hours=appointment, minutes=30 if revision > 1 else 0)


def event_id_of(writer: int, talent: int, turn: int) -> int:
    return (turn * TALENTS + talent) * WRITERS + writer + 1


def event(writer: int, number: int) -> dict[str, Any]:
    """A writer's event of that number, from 0: one for each talent in turn."""
    turn, talent = divmod(number, TALENTS)
    appointment, step = divmod(turn, 3)
    start = start_of(appointment, step + 1)
    return envelope(
        event_id_of(writer, talent, turn),
        at=iso(published_at(turn)),
        id=f"appointment-{writer}-{talent}-{appointment}",
        talentId=f"talent-{writer}-{talent}",
        coachId=f"coach-{writer}-{talent % 10}",
        status=STATUSES[turn % 6],
        title=f"revision {step + 1}",
        startDate=iso(start),
        endDate=iso(start + timedelta(minutes=15)),
    )


def is_right(one: Any) -> bool:
    """Whether an appointment is as the formula has it after so many revisions."""
    _, writer, talent, appointment = one.id.split("-")
    turn = int(appointment) * 3 + one.revision - 1
    return (
        1 <= one.revision <= 3
        and one.event_id == event_id_of(int(writer), int(talent), turn)
        and one.status == STATUSES[turn % 6]
        and one.title == f"revision {one.revision}"
        and one.start_date == start_of(int(appointment), one.revision)
        and one.reschedules == int(one.revision > 1)
        and one.talent_id == f"talent-{writer}-{talent}"
        and one.coach_id == f"coach-{writer}-{int(talent) % 10}"
        and not one.irregular
    )


def seen(schedule: Iterable[Any]) -> int:
    """How many of a talent's events a schedule shows, which must be the first ones; else -1."""
    appointments = list(schedule)
    revisions = [one.revision for one in appointments]
    numbers = [int(one.id.rpartition("-")[2]) for one in appointments]
    holds = all(map(is_right, appointments)) and numbers == list(range(len(numbers))) and set(revisions[:-1]) <= {3}
    return sum(revisions) if holds else -1


@dataclass
class Results:
    """What one process did: seconds of each question by kind, or events by writer; and what was wrong."""

    written: dict[int, int] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def expect(self, text: str, *, holds: bool) -> None:
        if not holds:
            self.errors.append(text)


def write(options: argparse.Namespace, writer: int, stop: Event, results: Results) -> None:
    """Appends batch after batch, at most so many a second; about every tenth a second time."""
    rng = Random(writer)
    results.written[writer] = 0
    began = time.monotonic()
    with Appointments.open(options.db, schema=options.schema) as appointments:
        events = appointments.events
        while not stop.is_set():
            number = results.written[writer]
            batch = [event(writer, number + one) for one in range(BATCH)]
            report = events.append(batch)
            results.expect(f"{report} of a new batch of {writer}", holds=report.appended == report.read == BATCH)
            results.written[writer] += BATCH
            if rng.random() < 0.1:
                report = events.append(batch)
                results.expect(f"{report} of an old batch of {writer}", holds=report.duplicates == BATCH)
            stop.wait(max(0.0, began + results.written[writer] / options.rate - time.monotonic()))


class Reader:
    """One who asks for schedules, and knows what they can be."""

    def __init__(self, options: argparse.Namespace, reader: int, results: Results) -> None:
        self._rng = Random(reader)
        self._appointments = Appointments.open(options.db, schema=options.schema)
        self._schedules = self._appointments.schedules
        self._results = results
        self._position = 0
        self._seen: dict[str, int] = {}
        self._copied = self._some_talent()
        self._copy: dict[str, Any] = {}
        self._token: str | None = None

    def read(self, stop: Event) -> None:
        kinds = (self._talent, self._talent, self._talent, self._pages, self._coach, self._as_of, self._changes)
        with self._appointments:
            while not stop.is_set():
                self._rng.choice(kinds)()
                stop.wait(self._rng.uniform(0, PAUSE_SECONDS_MAX))

    def _some_talent(self) -> str:
        return f"talent-{self._rng.randrange(WRITERS)}-{self._rng.randrange(TALENTS)}"

    def _asked(self, kind: str, ask: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        answer = ask()
        self._results.seconds.setdefault(kind, []).append(time.perf_counter() - began)
        position = answer.position
        self._expect(f"position {position} after {self._position}", holds=position >= self._position)
        self._position = position
        return answer

    def _expect(self, text: str, *, holds: bool) -> None:
        self._results.expect(text, holds=holds)

    def _talent(self) -> None:
        talent = self._some_talent()
        schedule: Schedule = self._asked("talent", lambda: self._schedules.talent(talent))
        count = seen(schedule)
        self._expect(f"{talent} at {schedule.position}: {count}", holds=count >= self._seen.get(talent, 0))
        self._seen[talent] = count

    def _pages(self) -> None:
        talent = self._some_talent()
        shown: list[Any] = []
        positions: set[int] = set()
        cursor: str | None = None
        while cursor is not None or not positions:
            page = self._asked("page", partial(self._schedules.talent, talent, limit=10, after=cursor))
            shown, cursor = [*shown, *page], page.next
            positions.add(page.position)
        self._expect(f"pages of {talent} at {positions}", holds=seen(shown) >= 0 or len(positions) > 1)

    def _coach(self) -> None:
        coach = self._some_talent().replace("talent", "coach")
        coach = coach[: coach.rindex("-") + 2]
        found = list(self._asked("coach", lambda: self._schedules.coach(coach, limit=20)))
        in_order = found == sorted(found, key=lambda one: (one.start_date, one.id))
        self._expect(f"{coach}: {found}", holds=in_order and all(map(is_right, found)))
        self._expect(f"{coach} has {found}", holds=all(one.coach_id == coach for one in found))

    def _as_of(self) -> None:
        talent, turn = self._some_talent(), self._rng.randrange(12)
        known = self._seen.get(talent, 0)
        count = seen(self._asked("as of", lambda: self._schedules.talent(talent, as_of=published_at(turn))))
        self._expect(f"{talent} as of {turn}: {count}", holds=min(known, turn + 1) <= count <= turn + 1)

    def _changes(self) -> None:
        changes = self._asked("changes", lambda: self._schedules.changes(talent_id=self._copied, since=self._token))
        for one in changes:
            self._copy[one.id] = one.appointment
        self._token = changes.token
        copy = sorted(self._copy.values(), key=lambda one: one.start_date)
        count = seen(copy)
        self._expect(f"the copy of {self._copied}: {count}", holds=count >= self._seen.get(self._copied, 0))
        self._seen[self._copied] = count


def _read(options: argparse.Namespace, reader: int, stop: Event, results: Results) -> None:
    Reader(options, reader, results).read(stop)


KINDS = {"writer": write, "reader": _read}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--number", type=int, required=True, help="which of the processes of this kind")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True, help="events a second of one writer at most")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--db", required=True)
    parser.add_argument("--schema", required=True)
    options = parser.parse_args()
    stop = Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    results = Results()

    def work(number: int) -> None:
        try:
            KINDS[options.kind](options, number, stop, results)
        except Exception:  # noqa: BLE001 - whatever it is, it is told
            results.errors.append(traceback.format_exc())

    first = options.number * options.threads
    threads = [Thread(target=work, args=(number,)) for number in range(first, first + options.threads)]
    for thread in threads:
        thread.start()
    (options.folder / f"{options.kind}-{options.number}.ready").touch()
    for thread in threads:
        thread.join()
    results.errors = results.errors[:ERRORS_MAX]
    path = options.folder / f"{options.kind}-{options.number}.json"
    path.write_text(json.dumps(asdict(results)), "utf-8")
    sys.exit(0)


if __name__ == "__main__":
    main()
