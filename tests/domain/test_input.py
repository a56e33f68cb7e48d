"""Reading input: every format, cut into chunks anywhere, gives the same items, and no byte is lost."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import InputUnreadable
from domain.input.files import open_input
from domain.input.items import PAUSE, TOO_LARGE_BYTES_KEPT, Item, Pause, read_items

BOM = b"\xef\xbb\xbf"
JSON_OBJECTS = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)
CUTS = st.lists(st.integers(1, 40), min_size=1, max_size=20)


def cut(content: bytes, sizes: list[int]) -> Iterator[bytes | Pause]:
    """The content in chunks of these sizes, over and over, with a pause after each."""
    number = 0
    while content:
        size = sizes[number % len(sizes)]
        yield content[:size]
        yield PAUSE
        content, number = content[size:], number + 1


def items(content: bytes, *, sizes: tuple[int, ...] = (1_000_000,), item_bytes_max: int = 1_000_000) -> list[Item]:
    found = read_items(cut(content, list(sizes)), source="test", item_bytes_max=item_bytes_max)
    return [one for one in found if isinstance(one, Item)]


def contents(content: bytes, **options: Any) -> list[bytes]:
    return [one.content for one in items(content, **options)]


def test_json_lines_are_one_item_a_line_and_blank_lines_are_none() -> None:
    found = items(b'\n{"a":1}\r\n\n  \n {"b":2} \n{"c":3}')
    assert [(one.content, one.line) for one in found] == [(b'{"a":1}', 2), (b'{"b":2}', 5), (b'{"c":3}', 6)]
    assert {one.source for one in found} == {"test"}


def test_a_byte_order_mark_is_accepted() -> None:
    for size in (1, 2, 3, 100):
        assert contents(BOM + b'{"a":1}\n{"b":2}', sizes=(size,)) == [b'{"a":1}', b'{"b":2}']
        assert contents(BOM + b"[1,2]", sizes=(size,)) == [b"1", b"2"]


@pytest.mark.parametrize("content", [b"", b"\n", b" \r\n\t ", BOM, b"[]", b" [ \n ] "])
def test_nothing_is_no_item(content: bytes) -> None:
    assert contents(content) == []


def test_a_truncated_last_line_is_an_item() -> None:
    assert contents(b'{"a":1}\n{"b"') == [b'{"a":1}', b'{"b"']


def test_a_pretty_printed_object_is_one_item() -> None:
    pretty = json.dumps({"a": {"b": ["x\\\n", 1, None, True]}, "c": "é"}, indent=2, ensure_ascii=False).encode()
    for size in range(1, 40):
        assert contents(b"\n" + pretty + b"\n\n", sizes=(size,)) == [pretty]


def test_two_pretty_printed_objects_are_lines() -> None:
    assert contents(b'{\n"a":1\n}\n{\n"b":2\n}') == [b"{", b'"a":1', b"}", b"{", b'"b":2', b"}"]


def test_lines_are_not_held_back_behind_what_was_one_object() -> None:
    given = iter([b'{\n"a":1\n}\n', *[b'{"b":2}\n'] * 100])
    assert next(iter(read_items(given, source="test"))) == Item(b"{", "test", 1, 1, None)
    assert len(list(given)) > 95, "read on only until it was clear"


def test_a_broken_first_line_does_not_swallow_the_next() -> None:
    assert contents(b'{"id": 1, "createdAt"\n{"a":1}\n{"b":2}') == [b'{"id": 1, "createdAt"', b'{"a":1}', b'{"b":2}']


def test_an_array_is_split_at_its_own_commas_only() -> None:
    array = b'[ {"a":"],[\\"}"} ,\n\n[1,[2,{"b":3}]], "x,\\\\" , 5 ]\n'
    for size in range(1, 30):
        found = items(array, sizes=(size,))
        assert [one.content for one in found] == [b'{"a":"],[\\"}"}', b'[1,[2,{"b":3}]]', b'"x,\\\\"', b"5"]
        assert [one.line for one in found] == [1, 3, 3, 3]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"[", [b"["]),
        (b"[1", [b"1"]),
        (b"[1,", [b"1", b","]),
        (b"[1,]", [b"1", b","]),
        (b"[,1]", [b",", b"1"]),
        (b"[1,,2]", [b"1", b",", b"2"]),
        (b"[1 2]", [b"1 2"]),
        (b'[1,{"a":[2,3', [b"1", b'{"a":[2,3']),
        (b"[1] x\ny [2]", [b"1", b"x\ny [2]"]),
        (b'[1,"abc', [b"1", b'"abc']),
    ],
)
def test_the_broken_rest_of_an_array_is_one_item(content: bytes, expected: list[bytes]) -> None:
    for size in (1, 2, 3, 50):
        assert contents(content, sizes=(size,)) == expected


@pytest.mark.parametrize("form", [b"%s\n{}", b"{}\n%s", b"[%s,{}]", b"[{},%s]"])
def test_of_an_item_too_large_the_beginning_the_length_and_the_digest_are_kept(form: bytes) -> None:
    large = b'{"a":"' + b"x" * 200_000 + b'"}'
    found = sorted(items(form % large, sizes=(7_777,), item_bytes_max=100_000), key=lambda one: one.length)
    assert (found[0].content, found[0].too_large) == (b"{}", False)
    assert found[1].content == large[:TOO_LARGE_BYTES_KEPT]
    assert (found[1].length, found[1].sha256) == (len(large), hashlib.sha256(large).hexdigest())
    assert found[1].too_large


@settings(max_examples=300)
@given(st.lists(JSON_OBJECTS, max_size=6), CUTS, st.sampled_from(["lines", "crlf", "array", "pretty array"]))
def test_objects_come_back_from_every_format_in_any_cut(objects: list[Any], sizes: list[int], form: str) -> None:
    lines = [json.dumps(one).encode() for one in objects]
    written = {
        "lines": b"\n".join(lines),
        "crlf": b"\r\n\r\n".join(lines) + b"\r\n",
        "array": b"[" + b",".join(lines) + b"]",
        "pretty array": json.dumps(objects, indent=3, ensure_ascii=False).encode(),
    }[form]
    assert [json.loads(one) for one in contents(written, sizes=tuple(sizes))] == objects


@settings(max_examples=300)
@given(st.binary(max_size=200) | st.text(alphabet='{}[]",:\\ \n1a', max_size=60).map(str.encode), CUTS)
def test_no_byte_gets_lost_and_no_cut_matters(content: bytes, sizes: list[int]) -> None:
    whole = contents(content)
    assert contents(content, sizes=tuple(sizes)) == whole
    blank = b" \t\r\n"
    expected = content.removeprefix(BOM).strip(blank)
    is_array = expected.startswith(b"[")
    if is_array:
        # What separates elements stands for an element only where there is none.
        joined, expected = b"".join(whole), expected[1:]
        for mark in (blank, b",[]"):
            joined = joined.translate(None, mark)
            expected = expected.translate(None, mark)
        assert joined == expected
    else:
        assert b"".join(whole).translate(None, blank) == expected.translate(None, blank)


def read(path: Path) -> list[bytes]:
    with open_input(str(path)) as opened:
        return [one.content for one in opened.items() if isinstance(one, Item)]


def test_a_zipped_file_is_unzipped_through_all_its_members(tmp_path: Path) -> None:
    path = tmp_path / "envelopes.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a":1}\n{"b"') + gzip.compress(b":2}\n") + gzip.compress(b"") + bytes(512))
    assert read(path) == [b'{"a":1}', b'{"b":2}']


def test_what_is_read_of_a_file_is_told_in_bytes_on_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "envelopes.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a":1}\n' * 100_000))
    with open_input(str(path)) as opened:
        assert opened.size == path.stat().st_size
        assert sum(1 for _ in opened.items()) == 100_000
        assert opened.bytes_read == opened.size


@pytest.mark.parametrize("end", [-1, -12, 30])
def test_of_a_damaged_zipped_file_what_comes_before_is_read_and_then_said(tmp_path: Path, end: int) -> None:
    path = tmp_path / "envelopes.jsonl.gz"
    path.write_bytes(gzip.compress(os.urandom(50).hex().encode() + b"\n" + os.urandom(50).hex().encode())[:end])
    with pytest.raises(InputUnreadable, match=f"cannot read {path}"):
        read(path)


def test_what_cannot_be_read_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(InputUnreadable, match="is a directory"):
        read(tmp_path)
    with pytest.raises(InputUnreadable, match="No such file"):
        read(tmp_path / "nothing")
    (tmp_path / "plain.gz").write_bytes(b"plain text")
    with pytest.raises(InputUnreadable, match="gzip"):
        read(tmp_path / "plain.gz")


def test_a_line_of_a_slow_pipe_comes_at_once_and_its_silence_is_told_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    went_on = threading.Event()

    def write() -> None:
        with pipe.open("wb", buffering=0) as out:
            out.write(b'{"a":1}\n{"b":')
            went_on.wait()
            out.write(b"2}\n")

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    with open_input(str(pipe)) as opened:
        assert opened.size is None
        found = opened.items()
        first = next(one for one in found if isinstance(one, Item))
        assert first.content == b'{"a":1}'
        assert next(found) is PAUSE
        went_on.set()
        assert [one.content for one in found if isinstance(one, Item)] == [b'{"b":2}']
    writer.join()
