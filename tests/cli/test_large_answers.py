"""Answers of any size: written while they are read, in little memory, and the same bytes as the whole document."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from projections import Schedules
from projections.cli.app import run
from projections.cli.sample import sample_envelopes
from projections.queries.filters import Filters
from projections.rows import Side
from tests.conftest import Place
from tests.support.builders import as_json, envelope
from tests.support.generations import TALENT, append_sample

MANY = 3_000
GROWTH_BYTES_MAX = 8 * 2**20
"""An appointment took 4 to 12 KB, so that they would take 12 to 36 MB."""

MEASURED = """
import resource, sys
from projections.cli.app import run
status = run(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
sys.exit(status)
"""

LARGE = {
    "text": ["talent", "{}"],
    "json": ["talent", "{}", "--json"],
    "ical": ["talent", "{}", "--ical"],
    "changes as text": ["changes", "--talent", "{}"],
    "changes": ["changes", "--talent", "{}", "--json"],
    "the past": ["talent", "{}", "--as-of", "2030-01-01", "--json"],
    "a page of the past": ["talent", "{}", "--as-of", "2030-01-01", "--limit", "20"],
}


def many(place: Place) -> Place:
    """One talent with many appointments, all with a description of the usual length."""
    place.events().append(
        as_json(envelope(number, id=f"a-{number:05}", description="Le créneau était à 9 h, pas à 10 h. " * 8))
        for number in range(1, MANY + 1)
    )
    place.projector().catch_up()
    return place


def peak_bytes(place: Place, *arguments: str) -> int:
    """The most memory that a process of its own held, which wrote all that the command prints."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *arguments, *place.arguments], capture_output=True, text=True, check=True
    )
    return int(done.stderr.splitlines()[-1]) * 1024


@pytest.fixture(scope="module")
def many_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place("sqlite", f"sqlite:///{tmp_path_factory.mktemp('many')}/appointments.db")
    with place.closing:
        yield many(place)


@pytest.mark.parametrize("what", LARGE)
def test_many_appointments_take_hardly_more_memory_than_none(many_place: Place, what: str) -> None:
    nothing, everything = (
        peak_bytes(many_place, *(part.format(talent) for part in LARGE[what])) for talent in ("nobody", "talent-1")
    )
    assert everything - nothing < GROWTH_BYTES_MAX


def test_many_appointments_take_little_memory_on_postgresql(postgres_place: Place) -> None:
    many(postgres_place)
    nothing, everything = (
        peak_bytes(postgres_place, "talent", talent, "--json") for talent in ("nobody", "talent-1")
    )
    assert everything - nothing < GROWTH_BYTES_MAX


@pytest.fixture
def sample(place: Place) -> Schedules:
    append_sample(place, 2_000)
    place.projector().catch_up()
    return place.schedules()


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--limit", "3"],
        ["--limit", "10000", "--desc", "--include-deleted"],
        ["--as-of", "2023-07-20T00:00:00Z"],
        ["--as-of", "2023-07-20T00:00:00Z", "--limit", "3"],
        ["--status", "DONE", "--from", "9999-01-01T00:00:00Z"],
    ],
)
def test_the_document_of_a_stream_is_byte_for_byte_that_of_the_whole(
    durable_place: Place, capfd: pytest.CaptureFixture[str], options: list[str]
) -> None:
    durable_place.events().append(
        [*sample_envelopes(500), as_json(envelope(1, talentId=TALENT, id="odd", title='\u202e"\x7f\n\u2028é\\')),
         as_json(envelope(2, talentId=TALENT, id="undated", startDate=None, endDate=None))]
    )  # fmt: skip
    durable_place.projector().catch_up()
    assert run(["talent", TALENT, "--json", *options, *durable_place.arguments]) == 0
    printed = capfd.readouterr().out
    document = json.loads(printed)
    whole = json.dumps(document, ensure_ascii=False, indent=2)
    controls = "[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
    assert printed == re.sub(controls, lambda found: f"\\u{ord(found[0]):04x}", whole) + "\n"


def test_a_stream_gives_what_the_schedule_gives(sample: Schedules) -> None:
    every: list[Filters] = [{}, {"limit": 2}, {"desc": True, "limit": 10_000}, {"include_deleted": True}]
    for filters in every:
        with sample.schedule_stream(Side.TALENT, TALENT, filters) as stream:
            found = list(stream)
        expected = sample.talent(TALENT, **filters)
        assert (found, stream.next, stream.stamp) == (list(expected), expected.next, expected.stamp)
        past: Filters = {**filters, "as_of": expected[-1].created_at}
        with sample.schedule_stream(Side.TALENT, TALENT, past) as stream:
            found = list(stream)
        expected = sample.talent(TALENT, **past)
        assert (found, stream.next) == (list(expected), expected.next)


def test_a_switch_while_a_stream_is_read_does_not_mix_two_generations(durable_place: Place) -> None:
    append_sample(durable_place, 500)
    durable_place.projector().catch_up()
    appointments = durable_place.appointments()
    expected = list(appointments.schedules.talent(TALENT))
    with appointments.schedules.schedule_stream(Side.TALENT, TALENT, {}) as stream:
        first = next(stream)
        durable_place.events().append([as_json(envelope(9_000_000_000, id=expected[-1].id, talentId="elsewhere"))])
        durable_place.projector().catch_up()
        durable_place.appointments().rebuild(processes=1)
        assert [first, *stream] == expected
        assert stream.stamp.generation == 1
    assert len(appointments.schedules.talent(TALENT)) == len(expected) - 1


def test_a_stream_that_is_left_in_the_middle_leaves_nothing_behind(durable_place: Place) -> None:
    append_sample(durable_place, 500)
    durable_place.projector().catch_up()
    schedules = durable_place.schedules()
    for _ in range(12):  # more than there are connections
        with schedules.schedule_stream(Side.TALENT, TALENT, {}) as stream:
            next(stream)
    assert len(schedules.talent(TALENT)) > 1
