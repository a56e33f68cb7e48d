"""The generations of several versions of the fold: listed, and retired when nobody uses a version any more."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from domain.errors import FoldVersionNotFound, NotRebuilt, RebuildRunning, UsageError, VersionMismatch
from domain.identifiers import Position
from projections.following import sign_of_life
from tests.conftest import Place
from tests.support.builders import envelope
from tests.support.generations import generations, held, states, table_names, tables_of
from tests.support.newer_fold import NEWER_VERSION
from tests.support.rebuilding import append, newer_code, project, rebuilt

THIS_VERSION = NEWER_VERSION - 1


@pytest.fixture
def upgraded(place: Place) -> Place:
    """Two generations of this version, the second of which serves, and one of a newer version."""
    project(place, envelope(1, title="before"))
    rebuilt(place)
    with newer_code():
        rebuilt(place)
    return place


def test_generations_are_listed_with_version_position_lag_and_size(upgraded: Place) -> None:
    append(upgraded, envelope(2, id="b"))
    with newer_code():
        project(upgraded)
        upgraded.store().sign(sign := sign_of_life(Position(2)))
    listed = upgraded.appointments().generations()
    assert [(one.number, one.fold_version, one.state, one.serving, one.position, one.lag) for one in listed] == [
        (1, THIS_VERSION, "ready", False, 1, 1),
        (2, THIS_VERSION, "ready", True, 1, 1),
        (3, NEWER_VERSION, "ready", True, 2, 0),
    ]
    assert [one.follower_seen_at for one in listed] == [None, None, sign.seen_at]
    assert all((one.bytes > 0) == (upgraded.backend != "memory") for one in listed)


def test_a_retired_version_is_dropped_and_its_code_asks_to_be_upgraded(upgraded: Place) -> None:
    with newer_code():
        before = held(upgraded)
        assert upgraded.appointments().retire_generations(THIS_VERSION) == ((1, 2), ())
        assert [one.number for one in upgraded.appointments().generations()] == [3]
        assert held(upgraded) == before
    if upgraded.backend != "memory":
        assert table_names(upgraded) == tables_of(3)
    for ask in (lambda: upgraded.schedules().talent("talent-1"), lambda: project(upgraded, envelope(2, id="b"))):
        with pytest.raises(VersionMismatch, match="upgrade this code"):
            ask()
    assert rebuilt(upgraded).generation == 4
    assert {one.title for one in upgraded.schedules().talent("talent-1", limit=1)} == {"before"}


@pytest.mark.parametrize(
    ("code", "version", "error", "reason"),
    [
        (newer_code, 77, FoldVersionNotFound, "there is no generation of version 77 of the fold"),
        (newer_code, NEWER_VERSION, UsageError, "stays: it serves this code"),
        (nullcontext, THIS_VERSION, UsageError, "stays: it serves this code"),
        (nullcontext, NEWER_VERSION, UsageError, "stays: newer code made it"),
    ],
)
def test_what_serves_is_not_retired(
    upgraded: Place,
    code: Callable[[], AbstractContextManager[None]],
    version: int,
    error: type[Exception],
    reason: str,
) -> None:
    before = states(upgraded)
    with code():
        for refuse in (upgraded.appointments().retire_generations, upgraded.appointments().retirable_generations):
            with pytest.raises(error, match=reason):
                refuse(version)
    assert states(upgraded) == before


def test_the_newest_version_that_serves_is_not_retired_by_code_that_was_not_rebuilt_for(place: Place) -> None:
    project(place, envelope(1))
    with newer_code():
        generations(place).begin([])
        with pytest.raises(UsageError, match="no newer one serves yet; run: appointments rebuild"):
            place.appointments().retire_generations(THIS_VERSION)
        with pytest.raises(NotRebuilt):
            place.appointments().status()


def test_a_version_is_in_use_while_its_follower_gives_signs_of_life(upgraded: Place) -> None:
    sign = sign_of_life(Position(1))
    upgraded.store().sign(sign)
    with newer_code():
        with pytest.raises(UsageError, match=f"in use: the follower {sign.name} was seen [0-9]+ s ago; end it"):
            upgraded.appointments().retire_generations(THIS_VERSION)
        upgraded.store().sign(replace(sign, seen_at=sign.seen_at - timedelta(seconds=61)))
        assert upgraded.appointments().retire_generations(THIS_VERSION).dropped == (1, 2)


def test_nothing_is_retired_during_a_rebuild(upgraded: Place) -> None:
    with generations(upgraded).rebuilding(), newer_code(), pytest.raises(RebuildRunning):
        upgraded.appointments().retire_generations(THIS_VERSION)
    assert states(upgraded)[2] == "ready"


def test_a_retired_generation_that_is_held_is_dropped_by_the_next_try(postgres_place: Place) -> None:
    project(postgres_place, envelope(1))
    with newer_code():
        rebuilt(postgres_place)
        with psycopg.connect(postgres_place.url) as backup:
            backup.execute(f"LOCK TABLE {postgres_place.schema}.coach_schedule_1 IN ACCESS SHARE MODE")
            assert postgres_place.appointments().retire_generations(THIS_VERSION) == ((), (1,))
        assert [one.state for one in postgres_place.appointments().generations()] == ["retired", "ready"]
        assert postgres_place.appointments().retire_generations(THIS_VERSION) == ((1,), ())
