"""Drops generations that no reader sees and no rollback needs."""

from __future__ import annotations

from typing import NamedTuple

from domain.identifiers import Generation
from domain.storage import Database
from projections.stores import generations_of, store_of
from projections.stores.catalogue import GenerationState
from projections.stores.generations import Generations


class DroppedGenerations(NamedTuple):
    """The old generations that were dropped, and those kept because somebody else holds their tables."""

    dropped: tuple[Generation, ...]
    kept: tuple[Generation, ...]


def drop_old(database: Database) -> DroppedGenerations:
    """Drops the tables of old generations that a rebuild had to keep, because somebody else held them then.

    The generation that serves, the one before it, and one that is being built stay.

    Raises:
        RebuildRunning: a rebuild is under way; it does this itself at its end.
    """
    store_of(database).catalogue()
    generations = generations_of(database)
    with generations.rebuilding():
        return drop_superseded(database, generations)


def drop_superseded(database: Database, generations: Generations) -> DroppedGenerations:
    """Drops every generation of this fold but the serving one, the one before, and one that is being built."""
    catalogue = store_of(database).catalogue()
    old = [
        info.number
        for info in catalogue.made_by_this_fold(GenerationState.READY, GenerationState.RETIRED)
        if info.number not in catalogue.pointer
    ]
    dropped = tuple(number for number in old if generations.drop(number))
    return DroppedGenerations(dropped, tuple(number for number in old if number not in dropped))
