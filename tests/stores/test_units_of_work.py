"""Units of work and queries at the same time: who waits, and who sees what."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import pairwise

import pytest

from domain.errors import StorageError
from domain.identifiers import Generation, Position
from domain.storage import open_database
from domain.storage.location import locate
from projections.rows import Rows, Side
from projections.stores import store_of
from projections.stores.base import ScheduleQuery, Store, UnitOfWork
from tests.conftest import Place
from tests.stores.test_stores import BrokenOffError, break_off, installed, row, rows_of_talent, write
from tests.support.generations import generations as generations_of_place

SECONDS_MAX = 10


def position_in_a_unit_of_work(store: Store, has_it: threading.Event) -> Position:
    with store.unit_of_work() as work:
        has_it.set()
        return work.position


def test_of_two_units_of_work_at_once_one_waits_for_the_other_and_sees_what_it_did(place: Place) -> None:
    store, has_it = installed(place), threading.Event()
    with ThreadPoolExecutor(1) as executor:
        with store.unit_of_work() as work:
            other = executor.submit(position_in_a_unit_of_work, store, has_it)
            assert not has_it.wait(0.2)
            work.write(Rows([], [row()], []), Position(4))
        assert other.result(SECONDS_MAX) == 4


def test_a_unit_of_work_that_waited_for_a_switch_is_one_at_the_generation_that_serves_then(place: Place) -> None:
    store, generations, has_it = installed(place), generations_of_place(place), threading.Event()
    generation = generations.begin([])
    generations.finish(generation, Position(0))
    generations.make_keys(generation)

    def project() -> Generation:
        with store.unit_of_work() as work:
            has_it.set()
            work.write(Rows([], [row()], []), Position(4))
            return work.generation

    with ThreadPoolExecutor(1) as executor:
        with generations.switching(generation):
            other = executor.submit(project)
            assert not has_it.wait(0.2)
        assert other.result(SECONDS_MAX) == generation
    stamp = store.stamp()
    assert (stamp.generation, stamp.position) == (generation, 4)


CLOSED: dict[str, Callable[[Store], object]] = {
    "create": lambda store: store.create(),
    "migrate": lambda store: store.migrate(),
    "catalogue": lambda store: store.catalogue(),
    "unit_of_work": lambda store: store.unit_of_work().__enter__(),
    "stamp": lambda store: store.stamp(),
    "schedule": lambda store: store.schedule(ScheduleQuery(Side.TALENT, "talent-1")),
    "streams": lambda store: store.scan_streams(Side.TALENT, "talent-1").__enter__(),
    "count": lambda store: store.appointments_count(),
    "wait": lambda store: store.waiter().__enter__(),
}


@pytest.mark.parametrize("use", CLOSED)
def test_closed_read_models_say_so_and_others_go_on(place: Place, use: str) -> None:
    another = installed(place)
    with closing(open_database(locate(place.url, schema=place.schema))) as database:
        store = store_of(database)
        store.stamp()
    with pytest.raises(StorageError, match="closed here; open"):
        CLOSED[use](store)
    write(another, row())
    assert len(rows_of_talent(another)) == 1


def test_a_unit_of_work_that_raises_lets_the_next_one_in(place: Place) -> None:
    store = installed(place)
    with pytest.raises(BrokenOffError):
        break_off(store)
    with ThreadPoolExecutor(1) as executor:
        assert executor.submit(position_in_a_unit_of_work, store, threading.Event()).result(SECONDS_MAX) == 0


def test_units_of_work_of_several_connections_never_lose_each_others_writes(durable_place: Place) -> None:
    durable_place.projector()
    stores = [durable_place.store() for _ in range(4)]

    def count_up(store: Store) -> None:
        for _ in range(10):
            with store.unit_of_work() as work:
                raise_position(work)

    with ThreadPoolExecutor(4) as executor:
        for future in [executor.submit(count_up, store) for store in stores]:
            future.result(60)
    assert stores[0].stamp().position == 40
    assert [one.position for one in rows_of_talent(stores[0])] == list(range(1, 41))


def raise_position(work: UnitOfWork) -> None:
    position = Position(work.position + 1)
    work.write(Rows([], [row(f"a-{position:02}", position=position)], []), position)


def test_an_answer_and_its_position_belong_together_while_a_projector_writes(durable_place: Place) -> None:
    store, other = installed(durable_place), durable_place.store()
    done = threading.Event()

    def write_many() -> None:
        try:
            for _ in range(60):
                with other.unit_of_work() as work:
                    raise_position(work)
        finally:
            done.set()

    with ThreadPoolExecutor(1) as executor:
        writing = executor.submit(write_many)
        seen = [0]
        while not done.is_set():
            stamp, found = store.schedule(ScheduleQuery(Side.TALENT, "talent-1"))
            assert len(found) == stamp.position
            seen.append(stamp.position)
        writing.result(SECONDS_MAX)
    assert all(before <= after for before, after in pairwise(seen))
