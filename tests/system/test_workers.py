"""Several processes that share a rebuild or a verification find what one finds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from domain.errors import StorageError
from domain.identifiers import Generation, Position
from projections import DifferencesFound, Progress
from projections.rebuilding import processes
from projections.stores.postgres.generations import PostgresGenerations
from projections.stores.sqlite.generations import SQLiteGenerations
from tests.conftest import Place
from tests.support.builders import as_json, envelope
from tests.support.damage import At, change, remove, where
from tests.support.generations import append_sample, execute, generations, wait_until
from tests.support.rebuilding import HeldRebuild, held_rebuild, rebuilt


def test_processes_that_share_a_verification_see_one_snapshot_and_find_what_one_process_finds(
    postgres_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    events, projector = postgres_place.events(), postgres_place.projector()
    events.append(as_json(envelope(number, id=f"appointment-{number % 50:02}")) for number in range(1, 201))
    projector.catch_up()
    for one in ("appointment-07", "appointment-41"):
        change(postgres_place, At("appointment", one), position=1)
        remove(postgres_place, At("talent_schedule", one, "talent-1"))
    alone = postgres_place.appointments().verify()
    monkeypatch.setattr(PostgresGenerations, "partition_events", 20)

    def append_more(done: int, total: int) -> None:
        assert done <= total == 50
        events.append([as_json(envelope(1000 + done, id=f"appointment-{done}"))])
        projector.catch_up()

    shared = postgres_place.appointments().verify(progress=append_more)
    assert shared.checked == alone.checked == 50
    assert len(shared.differences) == 4
    assert sorted(map(str, shared.differences)) == sorted(map(str, alone.differences))


def test_processes_that_share_a_rebuild_of_a_file_find_what_is_wrong_with_it(
    sqlite_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SQLiteGenerations, "partition_events", 20)
    sqlite_place.events().append(
        as_json(envelope(number, id=f"appointment-{number % 50:02}")) for number in range(1, 201)
    )

    def damage(told: Progress) -> None:
        if told.phase == "verify":
            change(sqlite_place, At("appointment", "appointment-07"), generation=2, position=1)

    with pytest.raises(DifferencesFound) as caught:
        sqlite_place.appointments().rebuild(processes=2, progress=damage)
    assert where(caught.value.differences) == {("appointment", "appointment-07", None, "position")}
    assert sqlite_place.appointments().rebuild(processes=2).position == 200
    assert sqlite_place.appointments().verify().differences == []


def test_a_view_of_a_file_is_shared_only_while_nobody_changes_what_it_shows(sqlite_place: Place) -> None:
    sqlite_place.projector()
    adapter = generations(sqlite_place)
    with adapter.snapshot(Generation(1)) as serving:
        assert serving.share() is None
    generation = adapter.begin([])
    with adapter.snapshot(generation) as building, adapter.snapshot(generation, token=building.share()) as same:
        assert same.share() == building.share() is not None
        token = building.share()
    adapter.finish(generation, Position(5))
    with pytest.raises(StorageError, match="changed while it was checked"), adapter.snapshot(generation, token=token):
        pass


SCRIPT = """
import sys
from projections import Appointments
from projections.cli.sample import sample_envelopes
from projections.stores.sqlite.generations import SQLiteGenerations

SQLiteGenerations.partition_events = 50
with Appointments.open(sys.argv[1]) as appointments:
    appointments.events.append(sample_envelopes(500))
    print(appointments.rebuild(processes=2).events)
"""


def test_a_script_without_a_main_guard_may_rebuild(sqlite_place: Place, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, script, sqlite_place.url], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "500\n", "")


@pytest.fixture
def executor() -> Iterator[processes.ProcessExecutor]:
    with processes.ProcessExecutor(2, initializer=os.putenv, initargs=("SAID_AT_FIRST", "yes")) as executor:
        yield executor


def test_calls_in_other_processes_return_and_raise_like_calls_of_any_executor(
    executor: processes.ProcessExecutor,
) -> None:
    assert list(executor.map(divmod, [7, 8], [2, 3])) == [(3, 1), (2, 2)]
    assert executor.submit(int, "ff", base=16).result() == 255
    assert executor.submit(os.getpid).result() != os.getpid()
    assert isinstance(executor.submit(open, os.devnull).exception(), TypeError)  # a file cannot be pickled
    with pytest.raises(ZeroDivisionError):
        executor.submit(divmod, 1, 0).result()


def test_every_process_calls_the_initializer_first(executor: processes.ProcessExecutor) -> None:
    said = executor.submit(subprocess.check_output, ["printenv", "SAID_AT_FIRST"])
    assert said.result() == b"yes\n"


def test_a_call_whose_process_is_killed_raises_a_broken_executor(executor: processes.ProcessExecutor) -> None:
    with pytest.raises(BrokenExecutor):
        executor.submit(signal.raise_signal, signal.SIGKILL).result()


@contextmanager
def rebuild_at_work(place: Place) -> Iterator[tuple[HeldRebuild, Callable[[], None]]]:
    """A rebuild whose two workers are in the middle of a partition each, until the callable lets them go on."""
    append_sample(place, 1000)
    with held_rebuild(place, "--processes", "2") as rebuild, psycopg.connect(place.url) as connection:
        rebuild.until("read and fold")
        connection.execute(f"SELECT * FROM {place.schema}.rebuild_partition FOR UPDATE".encode())
        rebuild.step()
        wait_until(lambda: waiting_for_partitions(place) == 2)
        yield rebuild, connection.rollback


def waiting_for_partitions(place: Place) -> int:
    waiting = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND strpos(query, ?) > 0"
    [(count,)] = execute(place, waiting, f'"{place.schema}".rebuild_partition')
    return int(count)


def children_of(process: subprocess.Popen[str]) -> list[int]:
    threads = Path(f"/proc/{process.pid}/task").iterdir()
    return [int(child) for thread in threads for child in (thread / "children").read_text().split()]


def test_processes_whose_rebuild_was_killed_end_after_their_partition_without_a_word(postgres_place: Place) -> None:
    with rebuild_at_work(postgres_place) as (rebuild, go_on):
        rebuild.process.kill()
        rebuild.process.wait()
        go_on()
        _, _, complaints = rebuild.go_on()  # the end of the pipe that the processes had too
    assert complaints == ""
    assert rebuilt(postgres_place).generation == 2


def test_a_process_whose_rebuild_ended_before_it_was_told_anything_ends_without_a_word() -> None:
    started = subprocess.run([sys.executable, "-c", processes._BEGIN], input=b"", capture_output=True, check=False)
    assert (started.returncode, started.stdout, started.stderr) == (0, b"", b"")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_only_the_rebuild_itself_ends_by_what_is_sent_to_all_its_processes(
    postgres_place: Place, number: signal.Signals
) -> None:
    with rebuild_at_work(postgres_place) as (rebuild, go_on):
        children = children_of(rebuild.process)
        assert len(children) == 2
        for child in children:
            os.kill(child, number)
        go_on()
        status, said, complaints = rebuild.go_on()
    assert (status, complaints) == (0, "")
    assert said.startswith("generation 2 serves")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_rebuild_that_is_terminated_leaves_no_process_and_no_traceback(
    postgres_place: Place, number: signal.Signals
) -> None:
    with rebuild_at_work(postgres_place) as (rebuild, go_on):
        rebuild.process.send_signal(number)
        go_on()
        status, _, complaints = rebuild.go_on()
    assert status != 0
    assert len(complaints.splitlines()) <= 1
    assert "Traceback" not in complaints
    assert rebuilt(postgres_place).generation == 2
