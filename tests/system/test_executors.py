"""A rebuild and a verification shared among the workers of somebody's executor, as far away as a Dask cluster's."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from domain import appointment as appointment_module
from domain.errors import RebuildFailed, StorageUnavailable, UsageError
from domain.storage.location import locate
from projections import Progress
from projections.rebuilding.dask import executor_at
from tests.conftest import Ask, Place
from tests.support.dask_cluster import dask_cluster
from tests.support.generations import SECONDS_MAX, append_sample, execute, serving, states, wait_until
from tests.support.rebuilding import cut_small_partitions, rebuilt

EVENTS = 1000


@pytest.fixture(autouse=True)
def many_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    cut_small_partitions(monkeypatch)


def set_variables(variables: dict[str, str]) -> None:
    os.environ.update(variables)


@contextmanager
def processes(**environment: str) -> Iterator[Executor]:
    """The standard library's executor, in processes with these variables of their environment."""
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, spawned, set_variables, (environment,)) as executor:
        yield executor


class WithoutThePackage(ThreadPoolExecutor):
    """Its workers fail as those of a machine do on which the package is not installed."""

    def submit(self, *_: Any, **__: Any) -> Future[Any]:
        return super().submit(import_module, "a_package_that_is_not_there")


class Logging(ThreadPoolExecutor):
    """Keeps what a scheduler would log of each call."""

    said: tuple[str, ...] = ()

    def submit(self, *call: Any, **options: Any) -> Future[Any]:
        self.said += (repr((call, options)),)
        return super().submit(*call, **options)


def test_threads_share_a_rebuild_and_a_verification(place: Place) -> None:
    append_sample(place, EVENTS)
    told: list[Progress] = []
    with ThreadPoolExecutor(3) as executor:
        report = place.appointments().rebuild(executor=executor, progress=told.append)
        found = place.appointments().verify(executor=executor)
    assert (report.events, report.position) == (EVENTS, EVENTS)
    assert (found.checked, found.differences) == (report.appointments, [])
    assert max(one.workers for one in told if one.phase == "load") == 1  # one process, however many threads


def test_processes_of_another_pool_share_a_rebuild_and_a_verification(durable_place: Place) -> None:
    append_sample(durable_place, EVENTS)
    told: list[Progress] = []
    with processes() as executor:
        report = durable_place.appointments().rebuild(executor=executor, progress=told.append)
        assert durable_place.appointments().verify(executor=executor).differences == []
        assert executor.submit(divmod, 7, 2).result() == (3, 1)  # the pool stays open
    assert report.events == EVENTS
    assert max(one.workers for one in told if one.phase == "load") in (1, 2)


def test_a_worker_that_reaches_another_installation_is_refused_by_name(sqlite_place: Place, tmp_path: Path) -> None:
    append_sample(sqlite_place, EVENTS)
    other = Place("sqlite", f"sqlite:///{tmp_path}/other.db")
    said = r"^the worker \S+:\d+ reaches another installation: .*other\.db$"
    with other.closing, processes(APPOINTMENTS_DB=other.url) as executor:
        append_sample(other, 10)
        with pytest.raises(RebuildFailed, match=said):
            sqlite_place.appointments().rebuild(executor=executor)
    assert serving(sqlite_place) == 1
    assert rebuilt(sqlite_place).events == EVENTS


def test_a_worker_with_another_fold_is_refused_by_name(sqlite_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    append_sample(sqlite_place, EVENTS)
    fold = appointment_module.FOLD_VERSION
    said = rf"^the worker \S+ runs version \S+ with fold {fold}, but this rebuild is .* with fold {fold + 1}$"
    with processes() as executor:
        executor.submit(os.getpid).result()
        monkeypatch.setattr(appointment_module, "FOLD_VERSION", fold + 1)
        with pytest.raises(RebuildFailed, match=said):
            sqlite_place.appointments().rebuild(executor=executor)


def test_a_worker_without_the_package_is_said_to_lack_it(sqlite_place: Place) -> None:
    append_sample(sqlite_place, EVENTS)
    with WithoutThePackage() as executor, pytest.raises(RebuildFailed, match="does not have this version of"):
        sqlite_place.appointments().rebuild(executor=executor)


def test_a_worker_is_told_no_password() -> None:
    url = "postgresql://me:very%20secret@one,two:5433/phoenix?sslmode=require&password=secret&sslpassword=secret"
    there = locate(url, schema="mine").from_elsewhere()
    assert there.target == "postgresql://me@one,two:5433/phoenix?sslmode=require"
    assert b"secret" not in pickle.dumps(there)
    assert locate("sqlite:///here.db").from_elsewhere().target == str(Path("here.db").absolute())


def test_what_an_executor_logs_of_its_work_names_no_place_and_nobody(durable_place: Place) -> None:
    append_sample(durable_place, EVENTS)
    with Logging() as executor:
        durable_place.appointments().rebuild(executor=executor)
    assert len(executor.said) > EVENTS // 100
    ids = {str(id_) for (id_,) in execute(durable_place, "SELECT appointment_id FROM appointment_2")}
    secret = {*ids, urlsplit(durable_place.url).path}
    assert not [said for said in executor.said for one in secret if one in said]


@pytest.mark.parametrize("wrong", ["tcp://host:8786", 2, object()])
def test_what_is_no_executor_is_refused(memory_place: Place, wrong: Any) -> None:
    for work in (memory_place.appointments().rebuild, memory_place.appointments().verify):
        with pytest.raises(UsageError, match=r"^expected a concurrent\.futures\.Executor, found "):
            work(executor=wrong)
    with ThreadPoolExecutor(1) as executor, pytest.raises(UsageError, match="so it excludes processes"):
        memory_place.appointments().rebuild(executor=executor, processes=2)


def test_what_is_no_address_of_a_scheduler_is_refused_in_one_line(ask: Ask, durable_place: Place) -> None:
    append_sample(durable_place, 10)
    said = "appointments: expected a Dask scheduler's address, such as tcp://host:8786, found '8786'\n"
    for command in ("rebuild", "verify"):
        assert ask(command, "--dask", "8786") == (2, "", said)
    said = "appointments: --dask names workers of its own, so it excludes --processes\n"
    assert ask("rebuild", "--dask", "tcp://host:8786", "--processes", "2") == (2, "", said)


def test_a_cluster_that_loses_a_worker_finishes_and_one_that_loses_its_scheduler_leaves_the_old_generation(
    postgres_place: Place, tmp_path: Path
) -> None:
    append_sample(postgres_place, EVENTS)
    with dask_cluster(tmp_path, 3) as cluster, executor_at(cluster.address) as executor:
        assert executor is not None
        assert while_it_loads(postgres_place, executor, 3, cluster.workers[0].kill) is None
        assert serving(postgres_place) == 2
        assert postgres_place.appointments().verify(executor=executor).differences == []

        failed = while_it_loads(postgres_place, executor, 2, cluster.scheduler.kill)
        assert "its scheduler may have ended; what was loaded is kept, run it again" in str(failed)
        assert serving(postgres_place) == 2
    with pytest.raises(StorageUnavailable, match="no Dask scheduler answers at"), executor_at(cluster.address):
        pass
    assert states(postgres_place)[3] == "building"
    assert rebuilt(postgres_place).generation == 3


def while_it_loads(
    place: Place, executor: Executor, workers: int, happens: Callable[[], None]
) -> BaseException | None:
    """Rebuilds, lets something happen while every worker is in the middle of a partition; what is raised, if any."""
    with psycopg.connect(place.url) as connection:

        def hold(told: Progress) -> None:
            if (told.phase, told.done) == ("read and fold", 0):
                connection.execute(f"SELECT * FROM {place.schema}.rebuild_partition FOR UPDATE".encode())

        with ThreadPoolExecutor(1) as aside:
            rebuild = aside.submit(place.appointments().rebuild, executor=executor, progress=hold)
            wait_until(lambda: waiting(place) == workers)
            happens()
            connection.rollback()
            return rebuild.exception(SECONDS_MAX)


def waiting(place: Place) -> int:
    """How many workers wait for a partition that somebody else holds."""
    asked = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND strpos(query, ?) > 0"
    [(count,)] = execute(place, asked, f'"{place.schema}".rebuild_partition')
    return int(count)
