"""The campaign of erasures: the process that forgets is killed at a random moment, over and over.

    python -m tests.campaigns.forgetting --url sqlite:////tmp/x/appointments.db --kills 20 --seed 1

Meanwhile writers deliver envelopes of the persons who are forgotten, and somebody rebuilds. After each kill either
all of the erasure is there or nothing of it. At the end everybody is forgotten and everything is compared.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from random import Random
from threading import Event, Thread

from domain.errors import AppointmentsError, RebuildRunning
from domain.identifiers import Position
from domain.masking import words_in
from domain.person import Person, Side
from projections import Appointments
from tests.support.builders import as_json, envelope

WRITERS: int = 2
ENVELOPES: int = 6
"""How many envelopes each person has at first; writers deliver more of each."""

_FORGET = """
import sys
from projections import Appointments
with Appointments.open(sys.argv[1], schema=sys.argv[2] or None) as appointments:
    appointments.status()
    print("ready", flush=True)
    appointments.forget(talent_id=sys.argv[3])
"""


def run_campaign(
    url: str, schema: str | None, *, kills: int, seed: int, rebuilds: bool = True
) -> tuple[list[str], dict[str, int]]:
    """Kills so many erasures; returns what differs, in words, and how the kills ended."""
    random, persons = Random(seed), [f"person-{number:03}" for number in range(kills)]
    differences: list[str] = []
    figures = {"kills": 0, "before": 0, "after": 0}
    with Appointments.open(url, schema=schema) as appointments:
        appointments.install()
        appointments.events.append(
            as_json(envelope(1 + number, id=f"a-{number}", talentId=persons[number % kills]))
            for number in range(kills * ENVELOPES)
        )
        appointments.projector.catch_up()
        with _busy(url, schema, persons, rebuilds=rebuilds):
            for person in persons:
                _kill(url, schema, person, random)
                figures["kills"] += 1
                is_forgotten = appointments.forgetting.receipt(Person(Side.TALENT, person)) is not None
                figures["after" if is_forgotten else "before"] += 1
                found = _named(appointments, person)
                if is_forgotten and found:
                    differences.append(f"{person} is forgotten, and {found} events name them")
                if not is_forgotten and found < ENVELOPES:
                    differences.append(f"{person} is not forgotten, and only {found} events name them")
        for person in persons:
            receipt = appointments.forget(talent_id=person)
            if _named(appointments, person):
                differences.append(f"{person} is forgotten, and still named")
            if not appointments.forgetting.verified(Person(Side.TALENT, person), receipt).verified:
                differences.append(f"the erasure of {person} is not verified: {receipt.places}")
        appointments.rebuild(processes=1)
        differences += map(str, appointments.verify().differences)
        if list(appointments.schedules.talents()):
            differences.append("somebody is still listed")
        if len(appointments.schedules.coach("coach-1")) < kills * ENVELOPES:
            differences.append("the coach has lost appointments")
    return differences, figures


def _kill(url: str, schema: str | None, person: str, random: Random) -> None:
    command = [sys.executable, "-c", _FORGET, url, schema or "", person]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(random.uniform(0, 0.08))
        process.kill()


def _named(appointments: Appointments, person: str) -> int:
    """How many stored events name a person."""
    recorder, after, count = appointments.events.recorder, Position(0), 0
    while page := recorder.read(after=after, upto=recorder.head(), limit=1000):
        count += sum(person in words_in(one.text) for one in page)
        after = page[-1].position
    return count


@contextmanager
def _busy(url: str, schema: str | None, persons: Sequence[str], *, rebuilds: bool) -> Iterator[None]:
    """Writers that deliver envelopes of these persons, and somebody who rebuilds, until the end of the block."""
    stop = Event()

    def write(number: int) -> None:
        random = Random(number)
        with Appointments.open(url, schema=schema) as mine:
            for event_id in range(10_000 * (number + 1), 10_000 * (number + 2)):
                if stop.is_set():
                    return
                person = random.choice(persons)
                mine.events.append([as_json(envelope(event_id, id=f"b-{event_id}", talentId=person))])
                mine.projector.catch_up()
                stop.wait(0.02)

    def rebuild() -> None:
        with Appointments.open(url, schema=schema) as mine:
            while not stop.wait(0.1):
                with suppress(RebuildRunning):
                    mine.rebuild(processes=1)

    threads = [Thread(target=write, args=[number]) for number in range(WRITERS)]
    threads += [Thread(target=rebuild)] if rebuilds else []
    failures: list[AppointmentsError] = []
    for thread in threads:
        thread.run = _noting(thread.run, failures)  # type: ignore[method-assign]
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]


def _noting(run: Callable[[], None], failures: list[AppointmentsError]) -> Callable[[], None]:
    def noted() -> None:
        try:
            run()
        except AppointmentsError as error:
            failures.append(error)

    return noted


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--schema")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    differences, figures = run_campaign(options.url, options.schema, kills=options.kills, seed=options.seed)
    for name, value in figures.items():
        print(f"{name:36} {value:>12}")
    for difference in differences[:50]:
        print("DIFFERENCE", difference)
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
