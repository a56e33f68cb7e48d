"""Property tests of any input: each item is appended, a duplicate, ignored or quarantined as received."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from domain import EventStore
from domain.errors import InputUnreadable
from domain.event_store import AppendReport
from domain.input.files import open_input
from domain.input.items import ITEM_BYTES_MAX, Item
from projections import Appointments
from projections.cli.app import run
from tests import DATA
from tests.conftest import Place
from tests.support.builders import as_json, envelope
from tests.support.every_byte import Held, check_again, check_bytes, check_door, check_fold, check_items, items_of
from tests.support.referee import OPTIONAL, REQUIRED

_numbers = itertools.count(1)

CORPUS = DATA / "fuzz_corpus"
BOM = b"\xef\xbb\xbf"
FRAGMENTS = (
    b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"null", b"true", b"1", b"-0", b"1e999", b"NaN", b"Infinity",
    b'"id":1,', b'"id":2,', b'"eventName":"Other",', b'"version":2,', b"\\u0000", b"\\ud83d", b"\\ude4f", b"\0",
    b"\xff", b"\xed\xa0\x80", "é".encode(), BOM, b" ", b"\n", b"\r", b"\x0b", b"\x0c", b"\x85", b"9" * 5000,
    b"[" * 300, b'"\\u0000":0,', b'"status":"DONE",', b"0001-01-01T00:00:00+00:01", b"2023-06-30T23:59:60Z",
)  # fmt: skip
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
WORDS = st.sampled_from(
    ("", " ", "DONE", "CANCELED", "OTHER", "COACH", "PART_ONE", "2023-07-10T09:00:00Z", "2023-07-10t09:00:00.1+23:59",
     "2023-07-10T09:00:00", "9999-12-31T23:59:59-00:01", "2023-02-29T00:00:00Z", "x" * 513, "é" * 256, "\0", "\ud83d",
     "appointment-2", 0, 1, 2, 1.0, True, 2**63 - 1, 2**63, None)
)  # fmt: skip


@st.composite
def near_envelopes(draw: st.DrawFn) -> bytes:
    """An envelope of few ids, of which a field may be dropped, replaced, or there twice."""
    one = envelope(draw(st.integers(1, 3)), id=draw(st.sampled_from(("appointment-1", "appointment-2"))))
    names: list[str] = [*REQUIRED, *OPTIONAL, "unknown"]
    places = [one, one["eventData"], one["eventData"]["appointment"]]
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.sampled_from(places))
        name = draw(st.sampled_from(names if place is places[2] else list(place)))
        if draw(st.booleans()):
            place.pop(name, None)
        else:
            place[name] = draw(WORDS | VALUES)
    text = json.dumps(one, indent=draw(st.sampled_from((None, None, 1))), ensure_ascii=draw(st.booleans()))
    for name in draw(st.lists(st.sampled_from(("id", "eventData", "version", "status", "unknown")), max_size=1)):
        text = text.replace(f'"{name}":', f'"{name}": {json.dumps(draw(WORDS | VALUES))}, "{name}":', 1)
    return text.encode("utf-8", "surrogatepass")


@st.composite
def damaged(draw: st.DrawFn, undamaged: st.SearchStrategy[bytes]) -> bytes:
    """A text with a few places cut out, doubled, replaced or flipped, or cut off at its end."""
    text = draw(undamaged)
    for _ in range(draw(st.integers(0, 2))):
        begin = draw(st.integers(0, len(text)))
        end = min(len(text), begin + draw(st.sampled_from((0, 0, 1, 2, 10, 100, 10_000))))
        inserted = draw(st.sampled_from((b"", text[begin:end] * 2, *FRAGMENTS)) | st.binary(max_size=4))
        text = text[:begin] + inserted + text[end:]
    return text


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Several near-envelopes as JSON Lines, as an array, or one after the other, perhaps with blanks and a BOM."""
    several = draw(st.lists(damaged(near_envelopes()), min_size=1, max_size=5))
    joined = draw(st.sampled_from((b"\n", b"\n", b"\r\n", b"\n \n\t\r\n", b",", b" , \n", b"", b" ", b",,")))
    before, after = draw(st.sampled_from(((b"", b""), (b"", b""), (b"[", b"]"), (b" \n[ ", b" ]\n"), (b"[", b""))))
    text = draw(damaged(st.just(before + joined.join(several) + after)))
    return draw(st.sampled_from((b"", b"", BOM, b"\n\n", b" "))) + text


INPUTS = (
    st.binary(max_size=200)
    | VALUES.map(lambda value: json.dumps(value).encode())
    | st.lists(st.sampled_from(FRAGMENTS), max_size=12).map(b"".join)
    | damaged(near_envelopes())
    | files()
    | files()
)
ITEM_BYTES = st.sampled_from((ITEM_BYTES_MAX, ITEM_BYTES_MAX, 1024, 600, 1))
CHUNK_BYTES = st.sampled_from((65_536, 1000, 7, 1))


@contextmanager
def memory() -> Iterator[EventStore]:
    with Appointments.open(f"memory:every-byte-{next(_numbers)}") as appointments:
        events = appointments.events
        yield events


@settings(max_examples=250)
@given(INPUTS, ITEM_BYTES, CHUNK_BYTES)
def test_every_item_of_any_input_has_one_outcome_and_is_kept_as_it_came(
    content: bytes, item_bytes_max: int, chunk_bytes: int
) -> None:
    with memory() as events:
        check_bytes(events, content, item_bytes_max=item_bytes_max, chunk_bytes=chunk_bytes)
        check_fold(events)


@settings(max_examples=150)
@given(INPUTS)
def test_an_item_has_one_verdict_be_it_bytes_text_or_an_object(content: bytes) -> None:
    check_door(content)


@settings(max_examples=50)
@given(st.lists(INPUTS, min_size=1, max_size=3), ITEM_BYTES)
def test_what_came_before_decides_with_what_comes_and_loses_nothing(
    contents: list[bytes], item_bytes_max: int
) -> None:
    with memory() as events:
        for content in contents:
            check_bytes(events, content, item_bytes_max=item_bytes_max, chunk_bytes=4096)
        check_fold(events)


Check: TypeAlias = Callable[[bytes, int], None]


@pytest.fixture
def check(durable_place: Place, capfdbinary: pytest.CaptureFixture[bytes]) -> Iterator[Check]:
    """The same on a database, and the bytes as `quarantine show --raw` prints them."""
    events = durable_place.events()

    def check(content: bytes, item_bytes_max: int) -> None:
        check_bytes(events, content, item_bytes_max=item_bytes_max, chunk_bytes=65_536)
        kept = list(events.quarantine.list())
        for item in kept[-1:]:
            capfdbinary.readouterr()
            assert run(["quarantine", "show", str(item.number), "--raw", *durable_place.arguments]) == 0
            assert capfdbinary.readouterr() == (item.refused.content, b"")
        events.quarantine.discard(item.number for item in kept)

    yield check
    check_fold(events)


@pytest.mark.parametrize("durable_place", ["sqlite"], indirect=True)
@settings(max_examples=50)
@given(content=files(), item_bytes_max=ITEM_BYTES)
def test_the_same_holds_in_a_file_where_every_example_meets_the_envelopes_of_those_before(
    check: Check, content: bytes, item_bytes_max: int
) -> None:
    check(content, item_bytes_max)


@pytest.mark.parametrize("durable_place", ["postgres"], indirect=True)
@settings(max_examples=15)
@given(content=files(), item_bytes_max=ITEM_BYTES)
def test_the_same_holds_on_a_server(check: Check, content: bytes, item_bytes_max: int) -> None:
    check(content, item_bytes_max)


@pytest.mark.parametrize("path", sorted(CORPUS.iterdir()), ids=lambda path: path.name)
def test_the_files_that_the_fuzzer_begins_with_hold_too(path: Path) -> None:
    with memory() as events:
        check_bytes(events, path.read_bytes(), item_bytes_max=ITEM_BYTES_MAX, chunk_bytes=100)
        check_fold(events)


def test_of_what_is_too_large_the_first_64_kib_the_length_and_the_digest_are_kept(place: Place) -> None:
    large = [as_json(envelope(number, description="é\\" * 40_000)) for number in (1, 2, 1)]
    for content in (b"\n".join(large), b"[" + b" , ".join(large), b"\r\n".join([*large, as_json(envelope(3))])):
        report = check_bytes(place.events(), content, item_bytes_max=100_000, chunk_bytes=30_000)
        assert report.quarantined == 3


def read_zipped(path: Path) -> list[Item]:
    with open_input(str(path)) as opened:
        return [one for one in opened.items() if isinstance(one, Item)]


@settings(max_examples=40)
@given(st.lists(files(), min_size=1, max_size=2))
def test_a_zipped_file_gives_the_items_of_its_content(tmp_path: Path, contents: list[bytes]) -> None:
    path = tmp_path / "some.gz"
    path.write_bytes(b"".join(map(gzip.compress, contents)))
    items, whole = read_zipped(path), b"".join(contents)
    assert [one.content for one in items] == [one.content for one in items_of(whole)]
    with memory() as events:
        check_again(events, items, whole, check_items(events, items, whole))


@settings(max_examples=60)
@given(st.data(), files())
def test_of_a_damaged_zipped_file_what_was_committed_is_what_was_reported(
    tmp_path: Path, data: st.DataObject, content: bytes
) -> None:
    zipped = gzip.compress(content * 3)
    broken = data.draw(damaged(st.just(zipped)))
    assume(broken not in (b"", zipped))
    path = tmp_path / "broken.gz"
    path.write_bytes(broken)
    reports = [AppendReport()]
    with memory() as events, open_input(str(path)) as opened:
        with suppress(InputUnreadable):
            events.append(opened.items(), progress=reports.append)
        held = Held.by(events)
        assert len(held.envelopes) == reports[-1].appended
        assert held.counts().total() == reports[-1].quarantined
