"""Finds the first syntax error of JSON, described in the same way on every version of Python."""

from __future__ import annotations

import re
from typing import Final, NamedTuple


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


def may_become_json(text: bytes) -> bool:
    """Returns whether the text is JSON or a beginning of it."""
    return first_mistake(text).offset == len(text)


def first_mistake(text: bytes) -> Mistake:
    """Returns the first syntax error; its offset is the length of the text if that is JSON or a beginning of it.

    NaN and Infinity are accepted as numbers here.
    """
    closing: list[bytes] = []  # the brackets and braces that are still to come, innermost last
    expected, position = _VALUE, 0
    while True:
        position = _end_of(_BLANK, text, position)
        sign = text[position : position + 1]
        if not sign:
            return Mistake(position, expected)
        if sign == b'"' and expected in _STRINGS:
            position = _end_of(_STRING, text, position)
            if text[position : position + 1] != b'"':
                return _mistake_in_string(text, position)
            position, expected = position + 1, _COLON if expected in _NAMES else _after_value(closing)
        elif (after := _after_sign(sign, expected, closing)) is not None:
            position, expected = position + 1, after
        else:
            end = _end_of(_SCALAR, text, position) if expected in _VALUES else position
            if end < len(text) and expected in _VALUES and _is_cut(text, position):
                return Mistake(len(text), expected)
            if end == position:
                return Mistake(position, expected)
            position, expected = end, _after_value(closing)


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


def _end_of(pattern: re.Pattern[bytes], text: bytes, position: int) -> int:
    found = pattern.match(text, position)
    return position if found is None else found.end()


def _after_value(closing: list[bytes]) -> str:
    if not closing:
        return _NOTHING
    return _COMMA_OR_BRACE if closing[-1] == b"}" else _COMMA_OR_BRACKET


def _is_cut(text: bytes, position: int) -> bool:
    """Returns whether the text ends within a number or a word."""
    rest = text[position : position + len(b"-Infinity")]
    is_word = position + len(rest) == len(text) and any(word.startswith(rest) for word in _WORDS)
    return is_word or _CUT_NUMBER.match(text, position) is not None


def _mistake_in_string(text: bytes, position: int) -> Mistake:
    if position == len(text) or _CUT_ESCAPE.match(text, position):
        return Mistake(len(text), "the end of a text in double quotes")
    if text[position : position + 1] == b"\\":
        return Mistake(position, "an escape such as \\n or \\u00e9")
    return Mistake(position, "an escape in place of a control character")
