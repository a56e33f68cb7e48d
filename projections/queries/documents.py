"""Answers as JSON documents: only what `json.dumps` can hold, times as the interface writes them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any

from projections.queries.times import iso


def document_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an answer, at every depth, with times as text in UTC and enumerations as their values."""
    return {name: _plain(value) for name, value in fields.items()}


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return iso(value)
        case Enum():
            return value.value
        case Mapping():
            return document_of(value)
        case list() | tuple():
            return [_plain(one) for one in value]
    return value
