"""The first syntax error of JSON: its place is the same on every version of Python, and valid JSON has none."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.contract import read_envelope
from domain.envelope import EnvelopeRefused, RefusalCode
from domain.input.items import PAUSE, read_items
from domain.syntax import SCANNED_BYTES_MAX, Scanner, first_mistake

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
ALMOST_JSON = st.text(alphabet='{}[]",:\\/ \n\t01-+.eEtrufalsn\x01é', max_size=25)


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    ("text", "offset", "expected"),
    [
        ("", 0, "a value"),
        ('{"id": 1, }', 10, "a name in double quotes"),
        ("{,}", 1, "a name in double quotes or }"),
        ("[1,]", 3, "a value"),
        ("[,1]", 1, "a value or ]"),
        ('{"a" 1}', 5, "a colon"),
        ('{"a":1 "b":2}', 7, "a comma or }"),
        ("[1 2]", 3, "a comma or ]"),
        ("[1}", 2, "a comma or ]"),
        ("{} {}", 3, "nothing more"),
        ("[01]", 2, "a comma or ]"),
        ("[1.x]", 2, "a comma or ]"),
        ("[+1]", 1, "a value or ]"),
        ("[nul]", 1, "a value or ]"),
        ("[-]", 1, "a value or ]"),
        ('["\\x"]', 2, "an escape such as \\n or \\u00e9"),
        ('["\\u12g4"]', 2, "an escape such as \\n or \\u00e9"),
        ('["\n"]', 2, "an escape in place of a control character"),
        ('["a', 3, "the end of a text in double quotes"),
        ('["é', 4, "the end of a text in double quotes"),
        ('["\\u12', 6, "the end of a text in double quotes"),
        ("[1.", 3, "a value or ]"),
        ("[1e+", 4, "a value or ]"),
        ("[-", 2, "a value or ]"),
        ("[fals", 5, "a value or ]"),
    ],
)
def test_the_first_mistake_has_its_place_and_what_could_be_there(text: str, offset: int, expected: str) -> None:
    assert first_mistake(text.encode()) == (offset, expected)


@given(JSON, st.none() | st.integers(0, 3), st.integers(0, 10_000))
def test_every_beginning_of_json_may_become_json(value: object, indent: int | None, cut: int) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=cut % 2 == 0).encode()
    beginning = text[: cut % (len(text) + 1)]
    assert first_mistake(beginning).offset == len(beginning)


@given(ALMOST_JSON)
def test_what_python_refuses_has_a_mistake_and_what_it_takes_has_none(text: str) -> None:
    mistake = first_mistake(text.encode())
    is_right = mistake == (len(text.encode()), "nothing more")
    assert is_right == is_json(text)


@given(JSON, st.integers(0, 10_000), st.sampled_from('{}[]",:\\x \n0-.é'))
def test_nothing_that_follows_a_mistake_makes_it_right(value: object, place: int, inserted: str) -> None:
    text = json.dumps(value)
    place %= len(text) + 1
    broken = (text[:place] + inserted + text[place:]).encode()
    mistake = first_mistake(broken)
    if mistake.offset < len(broken):
        assert first_mistake(broken[: mistake.offset]).offset == mistake.offset, "up to it, all is well"
        assert first_mistake(broken[: mistake.offset + 1] + b" null").offset <= mistake.offset


def test_deep_nesting_costs_no_recursion() -> None:
    assert first_mistake(b"[" * 1_000_000) == (1_000_000, "a value or ]")


@given(ALMOST_JSON | JSON.map(json.dumps), st.lists(st.integers(0, 200), max_size=6))
def test_a_text_that_grows_has_the_same_first_mistake_as_when_it_comes_at_once(text: str, cuts: list[int]) -> None:
    whole, scanner = text.encode(), Scanner()
    for cut in sorted(cuts):
        begun = whole[:cut]
        assert scanner.first_mistake(begun) == first_mistake(begun)
        if first_mistake(begun).offset < len(begun):
            return
    assert scanner.first_mistake(bytearray(whole)) == first_mistake(whole)


def calls_of(work: Callable[[], object]) -> int:
    """Returns the number of Python function calls: a measure of work that does not depend on a busy machine."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return calls


def hostile(size: int) -> bytes:
    """Returns an object over several lines that takes many steps to scan and has a syntax error at its end."""
    return b'{\n"a": [' + b"[],\n" * (size // 4) + b"}"


def test_a_hostile_item_of_any_size_is_scanned_no_further_than_the_limit() -> None:
    def read(size: int) -> Callable[[], object]:
        text = hostile(size)
        chunks = [text[start : start + SCANNED_BYTES_MAX] for start in range(0, len(text), SCANNED_BYTES_MAX)]
        return lambda: next(read_items(chunks, source="test"))

    small, large = (calls_of(read(size)) for size in (2 * SCANNED_BYTES_MAX, 20 * SCANNED_BYTES_MAX))
    assert large < 1.01 * small


def test_an_input_that_pauses_often_is_not_scanned_again_from_its_beginning() -> None:
    text = hostile(SCANNED_BYTES_MAX // 4)
    chunks = [text[start : start + 1024] for start in range(0, len(text), 1024)]
    at_once = calls_of(lambda: list(read_items([text], source="test")))
    with_pauses = calls_of(
        lambda: list(read_items([one for chunk in chunks for one in (chunk, PAUSE)], source="test"))
    )
    assert with_pauses < 1.1 * at_once


def test_the_place_of_a_late_mistake_costs_no_more_than_that_of_an_early_one() -> None:
    def refused(text: bytes) -> EnvelopeRefused:
        with pytest.raises(EnvelopeRefused) as caught:
            read_envelope(text)
        return caught.value

    small, large = (calls_of(partial(refused, hostile(size * SCANNED_BYTES_MAX))) for size in (2, 8))
    assert large < 1.01 * small
    text = hostile(2 * SCANNED_BYTES_MAX)
    late = refused(text)
    assert late.code is RefusalCode.MALFORMED_JSON
    assert late.offset == len(text) - 1
    assert late.found is not None
    assert late.found.startswith("'}' at line ")
