"""One kind of database, by its adapters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from domain.storage.base import Database, Recorder
from domain.storage.location import Location

_Database = TypeVar("_Database", bound=Database)


@dataclass(frozen=True, slots=True)
class Backend(Generic[_Database]):
    """One kind of database: how it is opened, and its event store's adapter."""

    open: Callable[[Location], Database]
    recorder: Callable[[_Database], Recorder]
