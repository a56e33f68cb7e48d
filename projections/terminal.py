"""What a terminal shows: tables, colours and progress for people, one JSON document for programs."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from projections.times import iso

PLAIN_WIDTH: Final = 160
"""The width of tables where there is no terminal to fit."""

STATUS_STYLES: Final = {"PLANNED": "cyan", "DONE": "green", "CANCELED": "red"}


def console() -> Console:
    """Standard output for people: colours and the terminal's width, or plain and wide where it is none."""
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr] # a real text stream
    is_terminal = sys.stdout.isatty()
    return Console(width=None if is_terminal else PLAIN_WIDTH, highlight=False, soft_wrap=False)


def show(out: Console, what: RenderableType) -> None:
    """Prints without the blanks that pad a table's last column."""
    with out.capture() as capture:
        out.print(what)
    out.file.write("".join(f"{line.rstrip()}\n" for line in capture.get().splitlines()))
    out.file.flush()


def complain(message: str) -> None:
    """One line on standard error."""
    print(f"appointments: {printable(' '.join(message.split()))}", file=sys.stderr)  # noqa: T201


def print_json(document: Any) -> None:
    """One JSON document on standard output, in UTF-8 whatever the terminal's encoding is."""
    print_bytes(json.dumps(document, ensure_ascii=False, indent=2, default=_as_json).encode() + b"\n")


def print_bytes(content: bytes) -> None:
    """Bytes on standard output, as they are."""
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def _as_json(value: object) -> str:
    if isinstance(value, datetime):
        return iso(value)
    raise TypeError(f"not for JSON: {value!r}")


def printable(text: str) -> str:
    """A text that cannot move a cursor, colour a screen or turn its direction: such characters stand as escapes."""
    if text.isprintable():
        return text
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return character.encode("unicode_escape").decode()
    return character


def text(value: object, style: str = "") -> Text:
    """A value for a table cell, printable; nothing for None."""
    return Text("" if value is None else printable(str(value)), style=style)


def status_text(status: str) -> Text:
    """A status in its colour."""
    return Text(status, style=STATUS_STYLES.get(status, ""))


def plain_table(*columns: str) -> Table:
    """A table without lines, with these headings."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", justify="right" if column.endswith(" #") else "left")
    return table


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} {task.fields['unit']}/s")


class Bars:
    """Progress bars by phase, with rate and remaining time; a bar begins where it is first shown."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, tuple[TaskID, int]] = {}

    def show(self, phase: str, done: int, total: int | None, *, unit: str = "envelopes") -> None:
        """Moves the bar of a phase."""
        if phase not in self._tasks:
            task = self._progress.add_task(phase, total=None if total is None else total - done, unit=unit)
            self._tasks[phase] = (task, done)
        task, begin = self._tasks[phase]
        self._progress.update(task, completed=done - begin)


@contextmanager
def progress_bars() -> Iterator[Bars | None]:
    """Progress bars on standard error; None where that is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        _Rate(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Bars(progress)
