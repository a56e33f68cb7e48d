"""Finds the first syntax error of JSON, described in the same way on every version of Python."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

SCANNED_BYTES_MAX: Final = 256 * 1024
"""How much of a text callers should scan: at worst this takes a microsecond or two a byte."""


class Mistake(NamedTuple):
    """The offset of the first unexpected byte, or of the end of a text that ends too early, and what was expected."""

    offset: int
    expected: str


_VALUE: Final = "a value"
_VALUE_OR_END: Final = "a value or ]"
_NAME: Final = "a name in double quotes"
_NAME_OR_END: Final = "a name in double quotes or }"
_COLON: Final = "a colon"
_COMMA_OR_BRACKET: Final = "a comma or ]"
_COMMA_OR_BRACE: Final = "a comma or }"
_NOTHING: Final = "nothing more"

_VALUES: Final = (_VALUE, _VALUE_OR_END)
_NAMES: Final = (_NAME, _NAME_OR_END)
_STRINGS: Final = (*_VALUES, *_NAMES)
_COMMAS: Final = (_COMMA_OR_BRACKET, _COMMA_OR_BRACE)
_ENDS: Final = (_VALUE_OR_END, _NAME_OR_END, *_COMMAS)

_BLANK: Final = re.compile(rb"[ \t\r\n]*")
_SCALAR: Final = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null|NaN|-?Infinity")
_CUT_NUMBER: Final = re.compile(rb"-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*|(?:\.[0-9]+)?[eE][+-]?[0-9]*)?)?\Z")
_WORDS: Final = (b"true", b"false", b"null", b"NaN", b"Infinity", b"-Infinity")
_STRING: Final = re.compile(rb'"[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+')
_CUT_ESCAPE: Final = re.compile(rb"\\(?:u[0-9a-fA-F]{0,3})?\Z")


def first_mistake(text: bytes) -> Mistake:
    """Returns the first syntax error; its offset is the length of the text if that is JSON or a beginning of it.

    NaN and Infinity are accepted as numbers here.
    """
    return Scanner().first_mistake(text)


class Scanner:
    """Finds the first syntax error of a text that grows, without scanning again what it has passed."""

    def __init__(self) -> None:
        self._closing: list[bytes] = []  # the brackets and braces that are still to come, innermost last
        self._expected = _VALUE
        self._position = 0

    def first_mistake(self, text: bytes | bytearray) -> Mistake:
        """Does the same as the function, for the text of the last call with more at its end."""
        while True:
            position = _end_of(_BLANK, text, self._position)
            sign = bytes(text[position : position + 1])
            if not sign:
                return Mistake(position, self._expected)
            if sign == b'"' and self._expected in _STRINGS:
                position = _end_of(_STRING, text, position)
                if text[position : position + 1] != b'"':
                    return _mistake_in_string(text, position)
                self._pass(position + 1, _COLON if self._expected in _NAMES else _after_value(self._closing))
            elif (after := _after_sign(sign, self._expected, self._closing)) is not None:
                self._pass(position + 1, after)
            elif self._expected not in _VALUES:
                return Mistake(position, self._expected)
            else:
                end = _end_of(_SCALAR, text, position)
                if end == len(text):  # a number may go on
                    return Mistake(end, _after_value(self._closing))
                if _is_cut(text, position):
                    return Mistake(len(text), self._expected)
                if end == position:
                    return Mistake(position, self._expected)
                self._pass(end, _after_value(self._closing))

    def _pass(self, position: int, expected: str) -> None:
        self._position, self._expected = position, expected


def _after_sign(sign: bytes, expected: str, closing: list[bytes]) -> str | None:
    """Returns what is expected after a bracket, brace, comma or colon, or None where that sign is an error."""
    if expected in _ENDS and sign == closing[-1]:
        closing.pop()
        return _after_value(closing)
    if sign in (b"{", b"[") and expected in _VALUES:
        closing.append(b"}" if sign == b"{" else b"]")
        return _NAME_OR_END if sign == b"{" else _VALUE_OR_END
    if sign == b"," and expected in _COMMAS:
        return _NAME if expected == _COMMA_OR_BRACE else _VALUE
    return _VALUE if sign == b":" and expected == _COLON else None


def _end_of(pattern: re.Pattern[bytes], text: bytes | bytearray, position: int) -> int:
    found = pattern.match(text, position)
    return position if found is None else found.end()


def _after_value(closing: list[bytes]) -> str:
    if not closing:
        return _NOTHING
    return _COMMA_OR_BRACE if closing[-1] == b"}" else _COMMA_OR_BRACKET


def _is_cut(text: bytes | bytearray, position: int) -> bool:
    """Returns whether the text ends within a number or a word."""
    rest = text[position : position + len(b"-Infinity")]
    is_word = position + len(rest) == len(text) and any(word.startswith(rest) for word in _WORDS)
    return is_word or _CUT_NUMBER.match(text, position) is not None


def _mistake_in_string(text: bytes | bytearray, position: int) -> Mistake:
    if position == len(text) or _CUT_ESCAPE.match(text, position):
        return Mistake(len(text), "the end of a text in double quotes")
    if text[position : position + 1] == b"\\":
        return Mistake(position, "an escape such as \\n or \\u00e9")
    return Mistake(position, "an escape in place of a control character")
