"""The read models in memory."""

from __future__ import annotations

from typing import Final

from projections.stores.generations import Backend
from projections.stores.memory.erasing import MemoryErasing
from projections.stores.memory.generations import MemoryGenerations
from projections.stores.memory.health import MemoryHealth
from projections.stores.memory.store import MemoryStore

BACKEND: Final = Backend(MemoryStore, MemoryGenerations, MemoryHealth, MemoryErasing)
