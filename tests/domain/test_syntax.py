"""Where a text stops being JSON: at one place, whatever the version of Python, and never where JSON is right."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.syntax import first_mistake, may_become_json

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
    assert may_become_json(beginning)


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
