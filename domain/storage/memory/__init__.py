"""An installation in memory, shared by name within one process."""

from __future__ import annotations

from typing import Final

from domain.storage.backend import Backend
from domain.storage.memory.database import MemoryDatabase
from domain.storage.memory.recorder import MemoryRecorder

BACKEND: Final = Backend(lambda location: MemoryDatabase(location.target), MemoryRecorder)
