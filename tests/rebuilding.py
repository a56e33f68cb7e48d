"""Rebuilding in tests: what their files have in common."""

from __future__ import annotations

from typing import Any, Final

import pytest

from domain.identifiers import Generation
from projections import RebuildReport, Schedules, rebuild, rollback
from projections.stores.memory_building import MemoryBuilder
from projections.stores.postgres_building import PostgresBuilder
from projections.stores.sqlite_building import SQLiteBuilder
from tests.builders import as_json
from tests.conftest import Place
from tests.generations import execute, read_models

PHASES: Final = ["read and fold", "load", "index", "catch up", "verify", "switch"]


def rebuilt(place: Place, **options: Any) -> RebuildReport:
    return rebuild(place.url, schema=place.schema, **{"processes": 1, **options})


def rolled_back(place: Place) -> Generation:
    return rollback(place.url, schema=place.schema)


def append(place: Place, *envelopes: dict[str, Any]) -> None:
    place.events().append(as_json(one) for one in envelopes)


def project(place: Place, *envelopes: dict[str, Any]) -> Schedules:
    append(place, *envelopes)
    place.projector().catch_up()
    return place.schedules()


def cut_small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on history is rebuilt in many pieces."""
    for builder in (MemoryBuilder, SQLiteBuilder, PostgresBuilder):
        monkeypatch.setattr(builder, "piece_events", 100)


def set_fold_version(place: Place, generation: int, version: int) -> None:
    if place.backend == "memory":
        tables = read_models(place).generations[Generation(generation)]
        object.__setattr__(tables.info, "fold_version", version)
    else:
        execute(place, "UPDATE generation SET fold_version = ? WHERE number = ?", version, generation)
