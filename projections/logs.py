"""What long-running commands tell on standard error: one line an event, as text or as JSON.

Every event has a stable name and fields that are numbers, names of errors or places; never content, titles or ids of
people. The README lists the names.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from typing_extensions import override

LOGGER: Final = logging.getLogger("appointments")


class LogFormat(StrEnum):
    """How a line is written."""

    TEXT = "text"
    JSON = "json"


class LogEvent(StrEnum):
    """The stable names of what is told."""

    CONNECTED = "connected"
    LOST = "lost"
    WAITING = "waiting"
    RECONNECTED = "reconnected"
    BATCH = "batch"
    PULLED = "pulled"
    CAUGHT_UP = "caught_up"
    ALIVE = "alive"
    SWITCHED = "switched"
    STOPPED = "stopped"
    NOT_NOTED = "not_noted"


def tell(event: LogEvent, *, level: int = logging.INFO, **fields: Any) -> None:
    """Logs one event with its fields."""
    LOGGER.log(level, event.value, extra={"fields": fields})


@contextmanager
def logging_to_standard_error(log_format: LogFormat, *, level: int = logging.INFO) -> Iterator[None]:
    """Writes what is told in the block to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if log_format is LogFormat.JSON else _TextFormatter())
    level_before, LOGGER.propagate = LOGGER.level, False
    LOGGER.addHandler(handler)
    LOGGER.setLevel(level)
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(level_before)
        LOGGER.propagate = True


class _TextFormatter(logging.Formatter):
    @override
    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{name}={_shown(value)}" for name, value in _fields(record).items())
        return f"{_time(record)} {record.levelname} {record.getMessage()} {fields}".rstrip()


class _JsonFormatter(logging.Formatter):
    @override
    def format(self, record: logging.LogRecord) -> str:
        line = {"time": _time(record), "level": record.levelname.lower(), "event": record.getMessage()}
        return json.dumps(line | _fields(record), ensure_ascii=False, default=str)


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = getattr(record, "fields", {})
    return fields


def _shown(value: object) -> str:
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    return json.dumps(text, ensure_ascii=False) if " " in text or not text else text
