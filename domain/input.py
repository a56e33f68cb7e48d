"""Files and pipes, opened, unzipped and read in chunks of bounded size."""

from __future__ import annotations

import os
import select
import stat
import sys
import zlib
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Final, Self

from domain.errors import AppointmentsError
from domain.items import ITEM_BYTES_MAX, PAUSE, PAUSE_SECONDS, Item, Pause, read_items

_CHUNK_BYTES: Final = 256 * 1024
_GZIP: Final = 31
"""What zlib calls the gzip format."""


class InputUnreadable(AppointmentsError):  # noqa: N818 - named after what went wrong
    """A file that cannot be read."""


class Input:
    """An opened file or pipe; `bytes_read` of its `size` on disk are consumed, where there is a size."""

    def __init__(self, path: str) -> None:
        self.source = path
        self.bytes_read = 0
        try:
            self._descriptor = sys.stdin.fileno() if path == "-" else os.open(path, os.O_RDONLY)
            kind = os.fstat(self._descriptor)
        except OSError as error:
            raise InputUnreadable(f"cannot read {path}: {error.strerror}") from error
        if stat.S_ISDIR(kind.st_mode):
            self.close()
            raise InputUnreadable(f"cannot read {path}: it is a directory")
        self.size = kind.st_size if stat.S_ISREG(kind.st_mode) else None
        self._is_zipped = path.endswith(".gz")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file; standard input stays open."""
        if self.source != "-":
            os.close(self._descriptor)

    def items(self, *, item_bytes_max: int = ITEM_BYTES_MAX) -> Iterator[Item | Pause]:
        """The items, lazily; `PAUSE` where a pipe was silent for a while."""
        return read_items(self._chunks(), source=self.source, item_bytes_max=item_bytes_max)

    def _chunks(self) -> Iterator[bytes | Pause]:
        """The content as it comes, unzipped where it is zipped."""
        try:
            raw = self._read_file() if self.size is not None else self._read_pipe()
            yield from self._unzipped(raw) if self._is_zipped else raw
        except OSError as error:
            raise InputUnreadable(f"cannot read {self.source}: {error.strerror}") from error
        except zlib.error as error:
            raise InputUnreadable(f"cannot read {self.source}: it is damaged gzip: {error}") from error

    def _read_file(self) -> Iterator[bytes]:
        while chunk := os.read(self._descriptor, _CHUNK_BYTES):
            self.bytes_read += len(chunk)
            yield chunk

    def _read_pipe(self) -> Iterator[bytes | Pause]:
        while True:
            if not select.select([self._descriptor], [], [], PAUSE_SECONDS)[0]:
                yield PAUSE
            chunk = os.read(self._descriptor, _CHUNK_BYTES)
            if not chunk:
                return
            yield chunk

    def _unzipped(self, raw: Iterable[bytes | Pause]) -> Iterator[bytes | Pause]:
        """Unzips in portions of bounded size, through all members of the file."""
        unzip = zlib.decompressobj(wbits=_GZIP)
        for chunk in raw:
            if isinstance(chunk, Pause):
                yield chunk
                continue
            rest = chunk
            while rest:
                if unzip.eof:
                    rest = rest.lstrip(b"\0")  # tapes and block devices pad with zeros, and gzip passes over them
                    if not rest:
                        break
                    unzip = zlib.decompressobj(wbits=_GZIP)
                if portion := unzip.decompress(rest, _CHUNK_BYTES):
                    yield portion
                rest = unzip.unconsumed_tail or unzip.unused_data
        while not unzip.eof and (portion := unzip.decompress(unzip.unconsumed_tail, _CHUNK_BYTES)):
            yield portion
        if not unzip.eof:
            raise InputUnreadable(f"cannot read {self.source}: its gzip ends too early")


def open_input(path: str) -> Input:
    """Opens a file, or standard input for `-`; what ends in `.gz` is unzipped while it is read.

    Raises:
        InputUnreadable: there is no such file, or it cannot be read.
    """
    return Input(path)
