"""Output: tables, colours and progress bars for people, one JSON document for programs."""

from __future__ import annotations

import errno
import json
import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from io import TextIOWrapper
from itertools import chain, islice, zip_longest
from typing import Any, Final

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.containers import Lines
from rich.filesize import decimal
from rich.measure import Measurement
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from domain.errors import UsageError
from projections.cli.writing import escaped, print_parts
from projections.queries.times import iso

PLAIN_WIDTH: Final = 160
"""The width of tables without a terminal and without $COLUMNS."""

PLAIN_WIDTH_MIN: Final = 60

_WIDTH_MAX: Final = 100_000
"""Wider than any output."""

_ROWS_AT_ONCE: Final = 1_000

_WORD: Final = re.compile(r"\S+\s*")

_PLAIN_TWINS: Final = str.maketrans(
    {"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "...", "œ": "oe", "Œ": "OE", "\u202f": " "}
)

STATUS_STYLES: Final = {"PLANNED": "cyan", "DONE": "green", "CANCELED": "red"}


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Raises the error, which rich would turn into an exit."""
        raise BrokenPipeError


def console() -> Console:
    """Returns standard output for people: with colours on a terminal, else plain and $COLUMNS wide."""
    columns = os.environ.get("COLUMNS", "")
    plain_width = max(PLAIN_WIDTH_MIN, int(columns)) if columns.isdecimal() else PLAIN_WIDTH
    return _Console(width=None if sys.stdout.isatty() else plain_width, highlight=False, soft_wrap=False)


def prepare_output() -> None:
    """Prepares standard output and error, so that any text can be written in their encoding."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - until the process ends
    if sys.stdout is None:
        raise OSError(errno.EBADF, "standard output is closed")
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def discard_output() -> None:
    """Discards what Python would still flush at exit, which would fail with a traceback."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def show(out: Console, what: RenderableType) -> None:
    """Prints without trailing spaces; a table whose words do not fit the width is printed as a list."""
    if isinstance(what, Table) and _words_width(out, what) > out.width:
        show_lines(out, _records(what, out.width))
        return
    with out.capture() as capture:
        out.print(what)
    out.file.write("".join(f"{line.rstrip()}\n" for line in capture.get().splitlines()))
    out.file.flush()


def show_lines(out: Console, lines: Iterable[Text]) -> None:
    """Prints lines unwrapped: the terminal wraps long ones, so that they are copied without line breaks."""
    shown = list(lines)
    for line in shown:
        line.rstrip()
    if out.is_terminal or out.color_system is not None:
        out.print(Text("\n").join(shown), soft_wrap=True)
    else:  # the same, and much quicker
        out.file.write("".join(f"{line.plain}\n" for line in shown))


def show_rows(out: Console, columns: Sequence[str], rows: Iterable[Sequence[list[Text]]]) -> int:
    """Prints a table of any length page by page and returns how many rows it had; a cell has one text a line."""
    shown, remaining, widths = 0, iter(rows), [0] * len(columns)
    while page := list(islice(remaining, _ROWS_AT_ONCE)):
        headings = [[Text(name, style="bold")] for name in columns]
        every = [headings, *page] if shown == 0 else page
        widths = [
            max(width, *(part.cell_len for row in [headings, *page] for part in row[number]))
            for number, width in enumerate(widths)
        ]
        if sum(widths) + 2 * (len(widths) - 1) <= out.width:
            show_lines(out, chain.from_iterable(_row_lines(row, widths) for row in every))
        else:
            table = plain_table(*columns)
            for row in page:
                table.add_row(*(Group(*cell) if cell else "" for cell in row))
            table.show_header = shown == 0 or _words_width(out, table) > out.width
            show(out, table)
        shown += len(page)
    return shown


def _row_lines(row: Sequence[list[Text]], widths: Sequence[int]) -> Iterator[Text]:
    for parts in zip_longest(*row, fillvalue=Text()):
        line = Text()
        for part, width in zip(parts, widths, strict=True):
            line.append_text(part).append(" " * (width - part.cell_len + 2))
        yield line


def words_wrapped(words: Text, width: int) -> Lines:
    """Wraps a text between words; a word longer than the width stays whole."""
    if words.cell_len <= width:
        return Lines([words])
    breaks, used = [], 0
    for word in _WORD.finditer(words.plain):
        if used and used + cell_len(word[0].rstrip()) > width:
            breaks.append(word.start())
            used = 0
        used += cell_len(word[0])
    return words.divide(breaks)


def _words_width(out: Console, table: Table) -> int:
    """Returns the least width of a table in which no word is broken."""
    options = out.options.update(max_width=_WIDTH_MAX)
    return Measurement.get(out, options, table).minimum


def _records(table: Table, width: int) -> Iterator[Text]:
    """Yields the rows of a table as a list: each cell after its heading, or indented below the first cell."""
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
    """Prints one line on standard error."""
    print(f"appointments: {printable(' '.join(message.split()))}", file=sys.stderr)  # noqa: T201


def confirmed(question: str) -> bool:
    """Asks on standard error, since standard output is for the result."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)  # noqa: T201
    answer = sys.stdin.readline() if sys.stdin else ""
    if not answer:
        print(file=sys.stderr)  # noqa: T201
        raise UsageError("no answer; use --yes to go on without a question")
    return answer.strip().lower() in ("y", "yes")


def print_json(document: Any) -> None:
    """Prints one JSON document on standard output, always in UTF-8."""
    written = json.dumps(document, ensure_ascii=False, indent=2, default=_as_json)
    print_parts([escaped(written).encode(), b"\n"])


def print_bytes(content: bytes) -> None:
    """Writes bytes to standard output."""
    print_parts([content])


def _as_json(value: object) -> str:
    if isinstance(value, datetime):
        return iso(value)
    raise TypeError(f"not for JSON: {value!r}")


def printable(text: str) -> str:
    """Escapes the characters that control a terminal or change the direction of text."""
    if text.isprintable():
        return text
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return character.encode("unicode_escape").decode()
    return character


def text(value: object, style: str = "") -> Text:
    """Returns a value as a table cell, with control characters escaped and in the encoding of standard output."""
    return Text("" if value is None else _encodable(printable(str(value))), style=style)


def _encodable(text: str) -> str:
    """Replaces characters that standard output cannot encode: typographic ones by plain ones, others by escapes."""
    encoding = sys.stdout.encoding
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_PLAIN_TWINS).encode(encoding, "backslashreplace").decode(encoding)
    return text


def stacked(*values: object) -> Group:
    """Returns a table cell with one value a line; None is left out."""
    return Group(*(text(value) for value in values if value is not None))


def status_text(status: str) -> Text:
    """Returns a status in its colour."""
    return Text(status, style=STATUS_STYLES.get(status, ""))


def plain_table(*columns: str) -> Table:
    """Returns a table without lines; the columns whose headings end in " #" are aligned to the right."""
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
    """Progress bars by phase, with rate and remaining time, both counted from where a bar is first shown."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, tuple[TaskID, int]] = {}

    def show(self, phase: str, done: int, total: int | None, *, unit: str = "envelopes", workers: int = 0) -> None:
        """Updates the bar of a phase; with more than one worker it says how many there are."""
        if phase not in self._tasks:
            task = self._progress.add_task(phase, total=None if total is None else total - done, unit=unit)
            self._tasks[phase] = (task, done)
        task, begin = self._tasks[phase]
        shared = f" ({workers} workers)" if workers > 1 else ""
        self._progress.update(task, completed=done - begin, description=phase + shared)


@contextmanager
def progress_bars() -> Iterator[Bars | None]:
    """Shows progress bars on standard error; yields None where that is no terminal."""
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
