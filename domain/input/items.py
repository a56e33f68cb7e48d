"""Splits JSON, JSON arrays and JSON Lines into items, one per expected envelope, in bounded memory."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from typing import Any, Final

from domain.envelope import EnvelopeRefused
from domain.syntax import SCANNED_BYTES_MAX, Scanner

ITEM_BYTES_MAX: Final = 16 * 1024 * 1024
"""The default limit of an item; a larger one is quarantined as `too_large`."""

TOO_LARGE_BYTES_KEPT: Final = 64 * 1024
PAUSE_SECONDS: Final = 0.2
"""How long an input may be silent before it yields `PAUSE`."""

_BLANK: Final = b" \t\r\n"
_BOM: Final = b"\xef\xbb\xbf"


class Pause(Enum):
    """The type of `PAUSE`, which an input yields when it has no data for a while."""

    PAUSE = "pause"


PAUSE: Final = Pause.PAUSE


@dataclass(frozen=True, slots=True)
class Item:
    """A piece of input that should be an envelope.

    Attributes:
        content: the bytes as received, without surrounding whitespace; only the first 64 KiB of one too large.
        source: a file name, - for standard input, or another name of where it came from.
        line: the line on which it begins, from 1; 0 when it did not come from a file.
        length: the number of bytes received.
        sha256: the hex digest of all bytes of an item too large, else None.
        refusal: why it cannot be an envelope, where that is known before validation.
    """

    content: bytes
    source: str
    line: int
    length: int
    sha256: str | None
    refusal: EnvelopeRefused | None = None

    @property
    def too_large(self) -> bool:
        """Whether only the beginning was kept."""
        return self.sha256 is not None


def read_items(
    chunks: Iterable[bytes | Pause], *, source: str, item_bytes_max: int = ITEM_BYTES_MAX
) -> Iterator[Item | Pause]:
    """Iterates over the items of one JSON array, one JSON object or JSON Lines.

    Blank lines are skipped. The rest of an array after a syntax error is one item. Pauses are passed on.
    """
    stream = iter(chunks)
    head, line = _first_content(stream)
    if head.startswith(b"["):
        yield from _Array(source, line, item_bytes_max).items(chain([head[1:]], stream))
        return
    head, is_object = _whole_object(head, stream, item_bytes_max)
    if is_object:
        yield Item(head.strip(_BLANK), source, line, len(head.strip(_BLANK)), None)
    else:
        yield from _lines(chain([head], stream), source, line, item_bytes_max)


def _first_content(stream: Iterator[bytes | Pause]) -> tuple[bytes, int]:
    """Returns the first chunk without leading whitespace and byte order mark, and the line on which it begins."""
    line = 1
    head = b""
    is_at_start = True
    for chunk in stream:
        if isinstance(chunk, Pause):
            continue
        head += chunk
        if is_at_start and len(head) < len(_BOM) and _BOM.startswith(head):
            continue
        if is_at_start:
            head = head.removeprefix(_BOM)
            is_at_start = False
        content = head.lstrip(_BLANK)
        line += head[: len(head) - len(content)].count(b"\n")
        if content:
            return content, line
        head = b""
    return head, line


def _whole_object(head: bytes, stream: Iterator[bytes | Pause], item_bytes_max: int) -> tuple[bytes, bool]:
    """Reads on while the input may be one object over several lines; returns what was read and whether it is one."""
    if not head.startswith(b"{"):
        return head, False
    text, check, check_at = bytearray(head), _ObjectCheck(), 0
    for chunk in chain([b""], stream):
        if isinstance(chunk, Pause):
            check_at = 0
        else:
            text += chunk
        if len(text) > item_bytes_max:
            return bytes(text), False
        if len(text) >= check_at:
            if not check.may_become_object(text):
                return bytes(text), False
            check_at = 2 * len(text)
    return bytes(text), check.may_become_object(text) and check.has_first_line and _is_json(text)


class _ObjectCheck:
    """Whether a text that grows may become one JSON object whose first line is not complete JSON.

    After the first 256 KiB this assumes that it may; the whole text is parsed at its end anyway.
    """

    def __init__(self) -> None:
        self.has_first_line = False
        self._scanner = Scanner()

    def may_become_object(self, text: bytearray) -> bool:
        if not self.has_first_line:
            first_line, newline, _ = text.partition(b"\n")
            if not newline:
                return True
            if _is_json(first_line):
                return False
            self.has_first_line = True
        return len(text) > SCANNED_BYTES_MAX or self._scanner.first_mistake(text).offset == len(text)


def _is_json(text: bytes | bytearray) -> bool:
    try:
        json.loads(text)
    except (RecursionError, ValueError):
        return False
    return True


def _lines(chunks: Iterable[bytes | Pause], source: str, line: int, item_bytes_max: int) -> Iterator[Item | Pause]:
    collector = _Collector(source, line, item_bytes_max)
    for chunk in chunks:
        if isinstance(chunk, Pause):
            yield chunk
            continue
        *complete, rest = chunk.split(b"\n")
        for part in complete:
            collector.add(part)
            if item := collector.take():
                yield item
            collector.line += 1
        collector.add(rest)
    if item := collector.take():
        yield item


class _Collector:
    """Joins the parts of one item; of one too large it keeps only the beginning and a digest."""

    def __init__(self, source: str, line: int, item_bytes_max: int) -> None:
        self.line = line
        self._source = source
        self._item_bytes_max = item_bytes_max
        self._parts: list[bytes] = []
        self._length = 0
        self._digest: Any = None

    @property
    def is_empty(self) -> bool:
        return not self._length

    def add(self, part: bytes) -> None:
        if not part:
            return
        self._parts.append(part)
        self._length += len(part)
        if self._digest is None and self._length <= self._item_bytes_max:
            return
        content = b"".join(self._parts)
        if self._digest is None:
            self._digest = hashlib.sha256(content)
        else:
            self._digest.update(part)
        self._parts = [content[:TOO_LARGE_BYTES_KEPT]]

    def take(self) -> Item | None:
        """Returns the item, or None when it is blank; the next part begins another."""
        content = b"".join(self._parts)
        length, digest = self._length, self._digest
        self._parts, self._length, self._digest = [], 0, None
        if digest is not None:
            return Item(content, self._source, self.line, length, digest.hexdigest())
        content = content.strip(_BLANK)
        return Item(content, self._source, self.line, len(content), None) if content else None


# A string without escapes is one token; a single quotation mark begins any other string.
_TOKEN: Final = re.compile(rb'"[^"\\]*"|["\[\]{},]')
_STRING_REST: Final = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)


class _Array:
    """Splits an array at its top-level commas; whether an element is JSON is left to validation."""

    def __init__(self, source: str, line: int, item_bytes_max: int) -> None:
        self._collector = _Collector(source, line, item_bytes_max)
        self._source = source
        self._line = line
        self._depth = 0
        self._is_in_string = False
        self._is_escaped = False
        self._is_ended = False
        self._separator = b"["

    def items(self, chunks: Iterable[bytes | Pause]) -> Iterator[Item | Pause]:
        for chunk in chunks:
            if isinstance(chunk, Pause):
                yield chunk
            else:
                yield from self._split(chunk)
        yield from self._end()

    def _split(self, chunk: bytes) -> Iterator[Item]:
        start = 0
        for position in self._separators(chunk):
            self._add(chunk[start:position])
            separator = chunk[position : position + 1]
            is_empty_list = separator == b"]" and self._separator == b"["
            if item := self._collector.take() or (None if is_empty_list else self._empty_element(b",")):
                yield item
            self._separator, self._is_ended = separator, separator == b"]"
            start = position + 1
        self._add(chunk[start:])

    def _end(self) -> Iterator[Item]:
        """Yields what follows the array, or the last element of an array that is not closed."""
        if item := self._collector.take() or (None if self._is_ended else self._empty_element(self._separator)):
            yield item

    def _empty_element(self, content: bytes) -> Item:
        """Reports an empty element, as in `[1,,2]` or `[1,]`, as its separator."""
        return Item(content, self._source, self._line, len(content), None)

    def _add(self, part: bytes) -> None:
        if self._collector.is_empty:
            content = part.lstrip(_BLANK)
            self._line += part[: len(part) - len(content)].count(b"\n")
            self._collector.line = self._line
            part = content
        self._line += part.count(b"\n")
        self._collector.add(part)

    def _separators(self, chunk: bytes) -> Iterator[int]:
        """Iterates over the offsets of top-level commas and of the closing bracket; a string may span chunks."""
        position = 0
        while position < len(chunk) and not self._is_ended:
            if self._is_in_string:
                position = self._after_string(chunk, position)
                continue
            token = _TOKEN.search(chunk, position)
            if token is None:
                return
            position = token.end()
            match token[0]:
                case b"[" | b"{":
                    self._depth += 1
                case b"]" | b"}" if self._depth:
                    self._depth -= 1
                case b"," | b"]" if not self._depth:
                    yield token.start()
                case b'"':
                    self._is_in_string = True

    def _after_string(self, chunk: bytes, position: int) -> int:
        if self._is_escaped:
            self._is_escaped = False
            return position + 1
        rest = _STRING_REST.match(chunk, position)
        position = position if rest is None else rest.end()
        if position == len(chunk):
            return position
        self._is_escaped = chunk[position : position + 1] == b"\\"
        self._is_in_string = self._is_escaped
        return position + 1
