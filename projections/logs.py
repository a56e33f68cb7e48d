"""What long-running commands tell on standard error: one line an event, as text or as JSON.

Every event has a stable name and fields that are numbers, names of errors or places; never content, titles or ids of
people. The README lists the names.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from typing_extensions import override

from domain.errors import PoisonEvent, StorageError

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
    PHASE = "phase"
    PROGRESS = "progress"
    APPENDED = "appended"
    BEGUN_ANEW = "begun_anew"
    RETRYING = "retrying"
    LISTENING = "listening"
    REQUEST = "request"
    NOT_READY = "not_ready"
    DEFECT = "defect"


def tell(event: LogEvent, *, level: int = logging.INFO, **fields: Any) -> None:
    """Logs one event with its fields."""
    LOGGER.log(level, event.value, extra={"fields": fields})


def reason_of(error: BaseException) -> str:
    """What may be told of an error: what a database or a network said, else its kind alone, for others name ids."""
    if isinstance(error, StorageError):
        return str(error)
    if isinstance(error, PoisonEvent):
        return f"the event at position {error.position} cannot be folded"
    return type(error).__name__


@contextmanager
def logging_to_standard_error(
    log_format: LogFormat, *, level: int = logging.INFO, quiet: bool = False, others: Sequence[str] = ()
) -> Iterator[None]:
    """Writes what is told in the block to standard error.

    Args:
        log_format: how a line is written.
        level: the lowest level that is written.
        quiet: write only warnings and signs of life.
        others: loggers of libraries whose warnings are written too.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if log_format is LogFormat.JSON else _TextFormatter())
    if quiet:
        handler.addFilter(_matters)
    with ExitStack() as stack:
        stack.enter_context(_handled(LOGGER, handler, level))
        for name in others:
            stack.enter_context(_handled(logging.getLogger(name), handler, logging.WARNING))
        yield


@contextmanager
def _handled(logger: logging.Logger, handler: logging.Handler, level: int) -> Iterator[None]:
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]


def _matters(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or record.getMessage() == LogEvent.ALIVE


class _TextFormatter(logging.Formatter):
    @override
    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{name}={_shown(value)}" for name, value in _fields(record).items())
        return f"{_time(record)} {record.levelname} {_event(record)} {fields}".rstrip()


class _JsonFormatter(logging.Formatter):
    @override
    def format(self, record: logging.LogRecord) -> str:
        line = {"time": _time(record), "level": record.levelname.lower(), "event": _event(record)}
        return json.dumps(line | _fields(record), ensure_ascii=False, default=str)


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    said: dict[str, Any] = {"logger": record.name, "message": record.getMessage()}
    fields: dict[str, Any] = getattr(record, "fields", said)
    return fields


def _event(record: logging.LogRecord) -> str:
    """The name of the event; what a library says has none."""
    return record.getMessage() if hasattr(record, "fields") else "library"


def _shown(value: object) -> str:
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    return json.dumps(text, ensure_ascii=False) if " " in text or not text else text
