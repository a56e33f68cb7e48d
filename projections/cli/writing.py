"""Output of any size: it is written while it is read, and what is small is written at once at its end."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

_BYTES_AT_ONCE: Final = 1 << 20

_CONTROLS: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Characters that JSON allows unescaped, but that control a terminal."""

_encoder: Final = msgspec.json.Encoder()


def escaped(document: str) -> str:
    """A JSON text with what controls a terminal escaped."""
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", document)


def print_json_list(
    head: Mapping[str, Any], name: str, elements: Iterable[Mapping[str, Any]], tail: Callable[[], Mapping[str, Any]]
) -> None:
    """Prints one JSON document whose member `name` is a list; `tail` is asked for the members after it at the end.

    It is what `print_json` prints of the whole.
    """
    print_parts(escaped(part).encode() for part in _json_parts(head, name, elements, tail))


def print_parts(parts: Iterable[bytes]) -> None:
    """Writes bytes to standard output, about a mebibyte at once."""
    sys.stdout.flush()
    out, waiting, size = sys.stdout.buffer, list[bytes](), 0
    for part in parts:
        waiting.append(part)
        size += len(part)
        if size >= _BYTES_AT_ONCE:
            out.write(b"".join(waiting))
            waiting, size = [], 0
    out.write(b"".join(waiting))
    out.flush()


def _json_parts(
    head: Mapping[str, Any], name: str, elements: Iterable[Mapping[str, Any]], tail: Callable[[], Mapping[str, Any]]
) -> Iterator[str]:
    yield "{\n" + "".join(f"  {_member(*one)},\n" for one in head.items()) + f"  {json.dumps(name)}: ["
    separator, end = "", "]"
    for element in elements:
        written = msgspec.json.format(_encoder.encode(element), indent=2).decode()
        yield f"{separator}\n    " + written.replace("\n", "\n    ")
        separator, end = ",", "\n  ]"
    yield end + "".join(f",\n  {_member(*one)}" for one in tail().items()) + "\n}\n"


def _member(name: str, value: Any) -> str:
    return f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}"
