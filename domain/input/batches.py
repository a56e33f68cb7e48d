"""Cuts what is appended into batches, each of which is stored in one transaction."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from os import PathLike
from typing import Any, Final

from domain.contract import as_json
from domain.envelope import EnvelopeRefused
from domain.input.items import PAUSE_SECONDS, Item, Pause

BATCH_ITEMS_MAX: Final = 1000
BATCH_BYTES_MAX: Final = 32 * 1024 * 1024

EnvelopeInput = bytes | bytearray | memoryview | str | Mapping[str, Any] | Item


def check_iterable(envelopes: object) -> None:
    """Checks that these are several envelopes: the characters, keys or lines of one would be taken for envelopes.

    Raises:
        TypeError: it is one envelope, or a file; the error names the method to use.
    """
    if isinstance(envelopes, str | bytes | bytearray | memoryview | Mapping):
        raise TypeError(
            f"append takes an iterable of envelopes, found one {type(envelopes).__name__}; "
            "for one envelope: append([envelope]), for a file: append_file(path)"
        )
    if isinstance(envelopes, PathLike) or hasattr(envelopes, "read"):
        raise TypeError(
            f"append takes an iterable of envelopes, found a file ({type(envelopes).__name__}); use append_file(file)"
        )
    if not isinstance(envelopes, Iterable):
        raise TypeError(f"append takes an iterable of envelopes, found a {type(envelopes).__name__}")


def batches(envelopes: Iterable[EnvelopeInput | Pause]) -> Iterator[list[Item]]:
    """Ends a batch at 1,000 items, 32 MiB, a pause, or an item that comes 200 ms or more after the previous batch.

    So each item of a slow input is stored as soon as it comes.
    """
    batch: list[Item] = []
    size = 0
    began = time.monotonic()
    for one in envelopes:
        if not isinstance(one, Pause):
            item = one if isinstance(one, Item) else _item(one)
            batch.append(item)
            size += len(item.content)
            is_full = len(batch) == BATCH_ITEMS_MAX or size > BATCH_BYTES_MAX
            if not is_full and time.monotonic() - began < PAUSE_SECONDS:
                continue
        if batch:
            yield batch
        batch, size, began = [], 0, time.monotonic()
    if batch:
        yield batch


def _item(content: object) -> Item:
    """Makes an item of an object; of one that JSON cannot express, its `repr` is kept with the refusal."""
    try:
        text = as_json(content)
    except EnvelopeRefused as error:
        text = repr(content).encode("utf-8", "backslashreplace")
        return Item(text, "python", 0, len(text), None, refusal=error)
    return Item(text, "python", 0, len(text), None)
