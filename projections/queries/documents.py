"""Turns answers into JSON documents, which `json.dumps` can write as they are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any

from projections.queries.times import iso


def document_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Replaces, at every depth, times by text in UTC and enumerations by their values."""
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
