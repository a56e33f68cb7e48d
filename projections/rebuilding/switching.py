"""Lets readers see another generation, unless an erasure has taken it out of use."""

from __future__ import annotations

from collections.abc import Callable

from domain.errors import Superseded
from domain.identifiers import Generation, Position
from domain.storage import Database
from projections.projector import project
from projections.stores import store_of
from projections.stores.catalogue import GenerationInfo, GenerationState
from projections.stores.generations import Generations


def switch(
    database: Database, generations: Generations, generation: Generation, check_alone: Callable[[], None]
) -> Position:
    """Switches readers at a position no lower than the serving one's, in one transaction.

    Raises:
        Superseded: an erasure has retired the generation.
    """
    with generations.switching(generation) as (work, serving_position):
        check_alone()  # from here on a restart of the server would break off the switch as well
        if info_of(database, generation).state is GenerationState.RETIRED:
            raise Superseded(generation)
        while work.position < serving_position:
            batch = work.read(upto=serving_position, limit=work.batch_events)
            if not batch:  # the serving position is damaged: nothing is stored there
                break
            work.write(project(work, batch), batch[-1].position)
        return work.position


def info_of(database: Database, generation: Generation) -> GenerationInfo:
    """What the catalogue says of a generation."""
    [info] = [one for one in store_of(database).catalogue().generations if one.number == generation]
    return info
