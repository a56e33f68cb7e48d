"""What a terminal shows: tables, colours and progress for people, one JSON document for programs."""

from __future__ import annotations

import errno
import json
import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from io import TextIOWrapper
from typing import Any, Final

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.containers import Lines
from rich.filesize import decimal
from rich.measure import Measurement
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from projections.queries.times import iso

PLAIN_WIDTH: Final = 160
"""The width of tables where there is neither a terminal to fit nor $COLUMNS."""

PLAIN_WIDTH_MIN: Final = 60

_WIDTH_MAX: Final = 100_000
"""Wider than any answer."""

_WORD: Final = re.compile(r"\S+\s*")

_PLAIN_TWINS: Final = str.maketrans(
    {"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "...", "œ": "oe", "Œ": "OE", "\u202f": " "}
)

_CONTROLS: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Characters that JSON allows as they are, and that a terminal obeys."""

STATUS_STYLES: Final = {"PLANNED": "cyan", "DONE": "green", "CANCELED": "red"}


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leaves it to the command line what that means."""
        raise BrokenPipeError


def console() -> Console:
    """Standard output for people: colours and the terminal's width, or plain and $COLUMNS wide where it is none."""
    columns = os.environ.get("COLUMNS", "")
    plain_width = max(PLAIN_WIDTH_MIN, int(columns)) if columns.isdecimal() else PLAIN_WIDTH
    return _Console(width=None if sys.stdout.isatty() else plain_width, highlight=False, soft_wrap=False)


def prepare_output() -> None:
    """Sees to it that every text can be written, whatever the encoding of standard output is."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - until the process ends
    if sys.stdout is None:
        raise OSError(errno.EBADF, "standard output is closed")
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def discard_output() -> None:
    """Lets what Python would still write when it ends go nowhere, instead of to a traceback."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def show(out: Console, what: RenderableType) -> None:
    """Prints without the blanks that pad a table's last column; a table too wide for its words as a list."""
    if isinstance(what, Table) and _words_width(out, what) > out.width:
        show_lines(out, _records(what, out.width))
        return
    with out.capture() as capture:
        out.print(what)
    out.file.write("".join(f"{line.rstrip()}\n" for line in capture.get().splitlines()))
    out.file.flush()


def show_lines(out: Console, lines: Iterable[Text]) -> None:
    """Prints lines as long as they are: where one is longer than the terminal, that wraps it, and copies it whole."""
    for line in lines:
        line.rstrip()
        out.print(line, soft_wrap=True)


def words_wrapped(words: Text, width: int) -> Lines:
    """The lines of a text wrapped between words; a longer word stays whole."""
    breaks, used = [], 0
    for word in _WORD.finditer(words.plain):
        if used and used + cell_len(word[0].rstrip()) > width:
            breaks.append(word.start())
            used = 0
        used += cell_len(word[0])
    return words.divide(breaks)


def _words_width(out: Console, table: Table) -> int:
    """How wide a table is that breaks no word."""
    options = out.options.update(max_width=_WIDTH_MAX)
    return Measurement.get(out, options, table).minimum


def _records(table: Table, width: int) -> Iterator[Text]:
    """The rows of a table one below the other: each cell after its heading, or beneath the first where none shows."""
    for cells in zip(*(column.cells for column in table.columns), strict=True):
        for number, (column, cell) in enumerate(zip(table.columns, cells, strict=True)):
            parts = [part for part in _texts(cell) if part]
            indent = 0 if table.show_header or number == 0 else 4
            if table.show_header and parts:
                yield Text(f"{column.header}", style="bold")
                indent = 4
            for part in parts:
                for line in words_wrapped(part, width - indent):
                    yield Text.assemble(" " * indent, line)


def _texts(cell: RenderableType) -> Iterator[Text]:
    if isinstance(cell, Group):
        for part in cell.renderables:
            yield from _texts(part)
    else:
        yield cell if isinstance(cell, Text) else Text(str(cell))


def complain(message: str) -> None:
    """One line on standard error."""
    print(f"appointments: {printable(' '.join(message.split()))}", file=sys.stderr)  # noqa: T201


def print_json(document: Any) -> None:
    """One JSON document on standard output, in UTF-8 whatever the terminal's encoding is."""
    written = json.dumps(document, ensure_ascii=False, indent=2, default=_as_json)
    print_bytes(_CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", written).encode() + b"\n")


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
    """A value for a table cell, printable, in characters that standard output has; nothing for None."""
    return Text("" if value is None else _encodable(printable(str(value))), style=style)


def _encodable(text: str) -> str:
    """A text in the characters of an encoding; of the others, typographic ones have plain twins."""
    encoding = sys.stdout.encoding
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_PLAIN_TWINS).encode(encoding, "backslashreplace").decode(encoding)
    return text


def stacked(*values: object) -> Group:
    """Values one below the other; nothing for None."""
    return Group(*(text(value) for value in values if value is not None))


def status_text(status: str) -> Text:
    """A status in its colour."""
    return Text(status, style=STATUS_STYLES.get(status, ""))


def plain_table(*columns: str) -> Table:
    """A table without lines, with these headings; numbers stand under those that end in " #"."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        name = column.removesuffix(" #")
        table.add_column(name, overflow="fold", justify="left" if name == column else "right")
    return table


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        if speed is None:
            return Text("")
        unit = task.fields["unit"]
        return Text(f"{decimal(int(speed))}/s" if unit == "bytes" else f"{speed:,.0f} {unit}/s")


class _Share(ProgressColumn):
    def render(self, task: Task) -> Text:
        if task.total is None:
            return Text(f"{task.completed:,.0f}")
        return Text(f"{100 if task.finished else task.percentage:>3.0f} %")


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
        _Share(),
        _Rate(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Bars(progress)
