"""Opens files and pipes, decompresses gzip, and reads chunks of bounded size."""

from __future__ import annotations

import io
import os
import select
import stat
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Final, Protocol, Self

from domain.errors import InputUnreadable
from domain.input.items import ITEM_BYTES_MAX, PAUSE, PAUSE_SECONDS, Item, Pause, read_items

_CHUNK_BYTES: Final = 256 * 1024
_GZIP: Final = 31
"""The value of `wbits` that selects the gzip format in zlib."""

_GZIP_SIGN: Final = b"\x1f\x8b"


class BinaryFile(Protocol):
    """An object that is read like a file opened in binary mode."""

    def read(self, size: int, /) -> bytes | None:
        """Returns at most `size` bytes; none at the end of the file."""


class Input:
    """An open file or pipe.

    Attributes:
        source: its name; bytes that are not text are shown as escapes, so that a database can store it.
        size: its size on disk, None for a pipe.
        bytes_read: how many of these bytes have been read.
    """

    def __init__(
        self,
        source: str,
        read: Callable[[], bytes],
        *,
        size: int | None = None,
        descriptor: int | None = None,
        is_zipped: bool | None = None,
        close: Callable[[], None] | None = None,
    ) -> None:
        self.source = source.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
        self.bytes_read = 0
        self.size = size
        self._read = read
        self._descriptor = descriptor
        self._is_zipped = is_zipped
        self._close = close

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes a file that was opened by its path; standard input and a file opened by the caller stay open."""
        if self._close is not None:
            self._close()

    def items(self, *, item_bytes_max: int = ITEM_BYTES_MAX) -> Iterator[Item | Pause]:
        """Iterates over the items, lazily; yields `PAUSE` when a pipe had no data for 200 ms."""
        return read_items(self._chunks(), source=self.source, item_bytes_max=item_bytes_max)

    def _chunks(self) -> Iterator[bytes | Pause]:
        """Iterates over the content in chunks, decompressed where it is gzip."""
        try:
            raw = self._raw()
            if self._is_zipped is None:
                raw, self._is_zipped = _detected(raw)
            yield from self._unzipped(raw) if self._is_zipped else raw
        except OSError as error:
            raise InputUnreadable(self.source, error.strerror or str(error)) from error
        except zlib.error as error:
            raise InputUnreadable(self.source, f"it is damaged gzip: {error}") from error

    def _raw(self) -> Iterator[bytes | Pause]:
        while True:
            if self._descriptor is not None and not select.select([self._descriptor], [], [], PAUSE_SECONDS)[0]:
                yield PAUSE
            chunk = self._read()
            if not chunk:
                return
            self.bytes_read += len(chunk)
            yield chunk

    def _unzipped(self, raw: Iterable[bytes | Pause]) -> Iterator[bytes | Pause]:
        """Decompresses in chunks of bounded size; a gzip file may have several members."""
        unzip = zlib.decompressobj(wbits=_GZIP)
        for chunk in raw:
            if isinstance(chunk, Pause):
                yield chunk
                continue
            rest = chunk
            while rest:
                if unzip.eof:
                    rest = rest.lstrip(b"\0")  # padding of tapes and block devices, which gzip ignores too
                    if not rest:
                        break
                    unzip = zlib.decompressobj(wbits=_GZIP)
                if portion := unzip.decompress(rest, _CHUNK_BYTES):
                    yield portion
                rest = unzip.unconsumed_tail or unzip.unused_data
        while not unzip.eof and (portion := unzip.decompress(unzip.unconsumed_tail, _CHUNK_BYTES)):
            yield portion
        if not unzip.eof:
            raise InputUnreadable(self.source, "its gzip ends too early")


def _detected(raw: Iterator[bytes | Pause]) -> tuple[Iterator[bytes | Pause], bool]:
    """Returns the content and whether it begins with the signature of gzip, as JSON never does."""
    head = b""
    for chunk in raw:
        head += b"" if isinstance(chunk, Pause) else chunk
        if len(head) >= len(_GZIP_SIGN):
            break
    return _again(head, raw), head.startswith(_GZIP_SIGN)


def _again(head: bytes, rest: Iterator[bytes | Pause]) -> Iterator[bytes | Pause]:
    yield head
    yield from rest


def open_input(file: str | os.PathLike[str] | BinaryFile) -> Input:
    """Opens a file by its path, or standard input for `-`, or takes a binary file that the caller opened.

    A file whose name ends in `.gz` is decompressed while it is read, and so are standard input and open files that
    begin with the signature of gzip.

    Raises:
        InputUnreadable: there is no such file, or it cannot be read.
        TypeError: it is neither a path nor a file in binary mode.
    """
    given: object = file
    if isinstance(given, str | os.PathLike):
        return _opened(os.fsdecode(given))
    if isinstance(given, io.TextIOBase):
        raise TypeError("expected a file in binary mode, found one in text mode; open it with 'rb'")
    if not hasattr(given, "read"):
        raise TypeError(f"expected a path or a file in binary mode, found a {type(given).__name__}")
    name = getattr(given, "name", None)
    return Input(name if isinstance(name, str) else "python", _reader(given), descriptor=_pipe_of(given))


def _opened(path: str) -> Input:
    try:
        if path == "-" and sys.stdin is None:
            raise InputUnreadable("-", "standard input is closed")
        descriptor = sys.stdin.fileno() if path == "-" else os.open(path, os.O_RDONLY)
        kind = os.fstat(descriptor)
    except (OSError, ValueError) as error:
        raise InputUnreadable(path, getattr(error, "strerror", None) or str(error)) from error
    size = kind.st_size if stat.S_ISREG(kind.st_mode) else None
    opened = Input(
        path,
        lambda: os.read(descriptor, _CHUNK_BYTES),
        size=size,
        descriptor=descriptor if size is None else None,
        is_zipped=None if path == "-" else path.endswith(".gz"),
        close=None if path == "-" else lambda: os.close(descriptor),
    )
    if stat.S_ISDIR(kind.st_mode):
        opened.close()
        raise InputUnreadable(path, "it is a directory")
    return opened


def _reader(file: Any) -> Callable[[], bytes]:
    """Returns a function that reads the next chunk; with `read1`, since `read` waits until a whole chunk is there."""
    read = getattr(file, "read1", file.read)

    def chunk() -> bytes:
        content = read(_CHUNK_BYTES)
        if content is None or isinstance(content, bytes):
            return content or b""
        raise TypeError(f"expected a file in binary mode, but reading it gave a {type(content).__name__}")

    return chunk


def _pipe_of(file: object) -> int | None:
    """Returns the descriptor of an open pipe or socket, to notice pauses; None for any other object."""
    if not isinstance(file, io.BufferedReader | io.FileIO):
        return None
    try:
        descriptor = file.fileno()
        return None if stat.S_ISREG(os.fstat(descriptor).st_mode) else descriptor
    except OSError:
        return None
