"""The world fails: disks fill, files cannot be written, servers refuse, clocks jump. The data stays whole."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import psycopg
import pytest

from domain import EventStore
from domain.errors import RebuildRunning, StorageError, StorageUnavailable
from domain.identifiers import Position
from domain.person import Person, Side
from domain.storage.sqlite.database import SQLiteDatabase
from domain.topics import TOPIC
from projections import Appointments, Projector, Schedules
from projections.cli.app import run
from projections.cli.sample import sample_envelopes
from projections.forgetting import Forgetting
from projections.rebuilding.rebuild import fold_partition
from projections.stores import generations_of
from projections.stores.generations import Partition
from tests.conftest import Place
from tests.support.builders import as_json, envelope
from tests.support.cutting_proxy import cutting_proxy, free_port
from tests.support.postgres_server import PostgresServer, postgres_server
from tests.support.readmodels import check_read_models
from tests.system.test_interleavings import envelopes, terminate

EVENTS = 1500

# Runs a command of the command line in a process whose files cannot grow beyond a number of bytes.
LIMITED = """
import resource, sys
from projections.cli.app import run
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(run(sys.argv[2:]))
"""


def lines_of_sample(count: int = EVENTS) -> list[str]:
    return list(sample_envelopes(count))


def write_sample(folder: Path, count: int = EVENTS) -> Path:
    path = folder / "sample.jsonl"
    path.write_text("\n".join(lines_of_sample(count)), "utf-8")
    return path


def check_everything(place: Place, count: int = EVENTS) -> None:
    """Every row and position is that of the whole sample, and nothing else was stored or refused."""
    arrived = [json.loads(line) for line in sample_envelopes(count)]
    check_read_models(place.url, place.schema, arrived)
    assert place.appointments().verify().differences == []
    with Appointments.open(place.url, schema=place.schema) as appointments:
        events = appointments.events
        assert (events.count(), len(events.quarantine)) == (count, 0)


def check_file(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def command(*arguments: str, file_bytes_max: int) -> tuple[int, str]:
    """The exit status and the complaints of a command in a process whose files may not grow beyond a size."""
    python = [sys.executable, "-W", "error", "-c", LIMITED, str(file_bytes_max)]
    done = subprocess.run([*python, *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("work", "file_bytes_max"),
    [("ingest", 60_000), ("ingest", 900_000), ("project", 0), ("project", 500_000), ("rebuild", 20_000)],
)
def test_a_disk_that_is_full_ends_the_work_with_one_line_and_space_lets_it_be_completed(
    sqlite_place: Place, tmp_path: Path, work: str, file_bytes_max: int
) -> None:
    sample = write_sample(tmp_path)
    projector = sqlite_place.projector()
    arguments = {"ingest": ["ingest", str(sample)], "project": ["project"], "rebuild": ["rebuild"]}[work]
    if work != "ingest":
        sqlite_place.events().append(lines_of_sample())
    if work == "rebuild":
        projector.catch_up()
    status, complaints = command(*arguments, *sqlite_place.arguments, file_bytes_max=file_bytes_max)
    assert status == 75
    *before, last = complaints.splitlines()
    assert all("stopped after" in line for line in before)
    assert re.fullmatch(r"appointments: (no space left for the database|the database) .*", last), complaints
    check_file(tmp_path / "appointments.db")
    assert sqlite_place.appointments().verify().differences == []
    assert run([*arguments, *sqlite_place.arguments]) == 0
    check_file(tmp_path / "appointments.db")
    check_everything(sqlite_place)


@pytest.fixture
def full_file(sqlite_place: Place) -> Iterator[SQLiteDatabase]:
    """An opened file with the sample appended but not projected, which may not grow."""
    sqlite_place.projector()
    sqlite_place.events().append(lines_of_sample())
    database = SQLiteDatabase(sqlite_place.url.removeprefix("sqlite:///"))
    with closing(database):
        limit_pages(database, 0)
        yield database


def limit_pages(database: SQLiteDatabase, more: int) -> None:
    """Lets the file of the one connection that this database uses grow by so many pages."""
    with database.writing() as cursor:
        [pages] = cursor.execute("PRAGMA page_count").fetchone()
        cursor.execute(f"PRAGMA max_page_count = {pages + more}")


def test_an_append_to_a_full_file_leaves_no_trace_and_succeeds_when_there_is_space(full_file: SQLiteDatabase) -> None:
    events = EventStore(full_file)
    late = [as_json(envelope(one, id=f"a-{one}", description="x" * 2000)) for one in range(1, 200)]
    with pytest.raises(StorageUnavailable, match=r"no space left .*; what was committed is safe, free space"):
        events.append(late)
    assert (events.count(), len(events.quarantine)) == (EVENTS, 0)
    limit_pages(full_file, 10_000)
    assert events.append(late).appended == 199


@pytest.mark.parametrize("pages", [0, 5, 40, 100])
def test_a_projection_into_a_full_file_moves_nothing_and_goes_on_when_there_is_space(
    full_file: SQLiteDatabase, sqlite_place: Place, pages: int
) -> None:
    projector = Projector(full_file)
    limit_pages(full_file, pages)
    with pytest.raises(StorageUnavailable, match="no space left"):
        projector.catch_up()
    assert sqlite_place.schedules().stamp().position == 0
    assert sqlite_place.appointments().verify().differences == []
    limit_pages(full_file, 10_000)
    projector.catch_up()
    check_everything(sqlite_place)


def test_a_partition_of_a_rebuild_that_finds_no_space_is_not_loaded_by_half(
    full_file: SQLiteDatabase, sqlite_place: Place
) -> None:
    generations = generations_of(full_file)
    limit_pages(full_file, 10)
    generation = generations.begin([Partition(1, None, None, Position(EVENTS))])
    with pytest.raises(StorageUnavailable, match="no space left"):
        generations.load(generation, generations.partitions(generation)[0], fold_partition)
    assert len(generations.partitions(generation)) == 1
    report = sqlite_place.appointments().rebuild()
    assert (report.generation, report.events) == (generation, EVENTS)
    check_everything(sqlite_place)


# A file system of 1 MiB that only this process sees: it fills, grows, and is read-only at the end.
SMALL_FILE_SYSTEM = """
set -e
mount -t tmpfs -o size=1m tmpfs "$1"
python=$2; sample=$3; url=sqlite:///$1/appointments.db
run() { status=0; "$python" -m projections "$@" --db "$url" > /dev/null || status=$?; echo $status; }
run ingest "$sample"
mount -o remount,size=64m "$1"
run ingest "$sample"
run rebuild
run verify
cp "$1/appointments.db" "$4"
mount -o remount,ro "$1"
run ingest "$sample"
run project
run talents
"""


def test_a_small_file_system_that_fills_and_grows_and_becomes_read_only_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    unshare = ["unshare", "--mount", "sh", "-c", SMALL_FILE_SYSTEM, "sh"]
    if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"], check=False).returncode != 0:
        pytest.skip("this machine lets nobody mount a small file system; RLIMIT_FSIZE stands for it")
    arguments = [str(tmp_path / "small"), sys.executable, str(write_sample(tmp_path)), str(tmp_path / "kept.db")]
    done = subprocess.run([*unshare, *arguments], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["75", "0", "0", "0", "2", "2", "2"], done.stderr
    lines = done.stderr.splitlines()
    assert sum("no space left" in line for line in lines) == 1
    assert "Traceback" not in done.stderr
    assert all(re.search(r"must be readable and writable|no space", line) for line in lines), lines
    check_file(tmp_path / "kept.db")
    check_everything(Place("sqlite", f"sqlite:///{tmp_path}/kept.db"))


def test_a_file_that_may_not_be_written_answers_questions_and_refuses_the_rest(
    sqlite_place: Place, tmp_path: Path
) -> None:
    sqlite_place.events().append(lines_of_sample(10))
    sqlite_place.projector().catch_up()
    with closing(SQLiteDatabase(str(tmp_path / "appointments.db"))) as database:
        with database.writing() as cursor:
            cursor.execute("PRAGMA query_only = on")
        assert len(Schedules(database).talents()) > 0
        with pytest.raises(StorageError, match="is read-only"):
            EventStore(database).append([as_json(envelope(1))])
    check_everything(sqlite_place, 10)


def test_without_the_right_to_write_the_file_every_command_is_one_clear_line(
    sqlite_place: Place, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["ingest", str(write_sample(tmp_path, 10)), *sqlite_place.arguments]) == 0
    capfd.readouterr()
    shutil.copy(tmp_path / "appointments.db", tmp_path / "whole.db")
    (tmp_path / "appointments.db").unlink()
    (tmp_path / "appointments.db").mkdir()
    for arguments in (["ingest", str(tmp_path / "sample.jsonl")], ["project"], ["rebuild"], ["talents"], ["status"]):
        assert run([*arguments, *sqlite_place.arguments]) == 2
    printed, complained = capfd.readouterr()
    assert printed == ""
    assert [
        line for line in complained.splitlines() if "must be readable and writable" in line
    ] == complained.splitlines()
    check_everything(Place("sqlite", f"sqlite:///{tmp_path}/whole.db"), 10)


@pytest.fixture
def no_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests starve or cut off their server, so it is one of their own."""
    monkeypatch.delenv("TEST_DATABASE_URL", raising=False)


def test_a_server_out_of_connections_is_one_clear_line_and_a_follower_waits_for_one(
    no_url: None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    del no_url
    with postgres_server(settings={"max_connections": "12"}) as server:
        place = Place("postgresql", server.url, "starved")
        with place.closing:
            events, schedules = place.events(), place.schedules()
            place.projector().catch_up()
            events.append(lines_of_sample(10))
            stop = threading.Event()
            projector = place.closing.enter_context(Appointments.open(place.url, schema=place.schema)).projector
            follower = threading.Thread(target=projector.follow, args=(stop,))
            with hold_every_connection(server):
                follower.start()
                for arguments in (["ingest", str(write_sample(tmp_path, 10))], ["project"], ["rebuild"], ["status"]):
                    assert run([*arguments, *place.arguments]) == 75
                position = events.append(lines_of_sample(100)).position  # it has its connection
            try:
                assert schedules.talents(at_least=position, timeout=30).lag == 0
            finally:
                stop.set()
                follower.join()
            check_everything(place, 100)
    complaints = capfd.readouterr().err.splitlines()
    assert len(complaints) == 4
    assert all("cannot connect to PostgreSQL" in line and "too many clients" in line for line in complaints)


@contextmanager
def hold_every_connection(server: PostgresServer) -> Iterator[None]:
    with ExitStack() as held:
        with suppress(psycopg.OperationalError):
            while True:
                held.enter_context(psycopg.connect(server.url))
        yield


def test_an_append_whose_backend_is_terminated_before_its_commit_leaves_no_trace(postgres_place: Place) -> None:
    url = f"{postgres_place.url}&application_name=writer"
    with Appointments.open(url, schema=postgres_place.schema) as appointments:
        events = appointments.events
        events.append(lines_of_sample(10))
        with (  # noqa: PT012 - it is the end of the block that raises
            pytest.raises(StorageUnavailable, match="run it again"),
            events.recorder.appending() as append,
        ):
            append.insert(envelopes(1, 2), TOPIC)
            terminate(postgres_place, "writer")
        assert events.append(lines_of_sample(12)).appended == 2
    postgres_place.projector().catch_up()
    check_everything(postgres_place, 12)


def test_while_backends_are_terminated_all_the_time_every_step_succeeds_or_says_so_and_nothing_is_lost(
    postgres_place: Place,
) -> None:
    lines = lines_of_sample(600)
    said = []
    victim = replace(postgres_place, url=f"{postgres_place.url}&application_name=victim")
    events, projector = victim.events(), victim.projector()
    with terminating_all_the_time(postgres_place, "victim") as terminated:
        for number in range(0, 600, 25):
            try:
                events.append(lines[: number + 25])
                projector.catch_up()
            except StorageUnavailable as error:
                said.append(str(error))
    assert sum(terminated) > 5
    assert all("run it again" in text or "cannot connect" in text for text in said)
    events.append(lines)
    projector.catch_up()
    check_everything(postgres_place, 600)


TERMINATE = "SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity WHERE application_name = %s"


@contextmanager
def terminating_all_the_time(place: Place, name: str) -> Iterator[list[int]]:
    stop = threading.Event()
    terminated: list[int] = []

    def terminate_all() -> None:
        with psycopg.connect(place.url, autocommit=True) as connection:
            while not stop.wait(0.005):
                terminated.append(len(connection.execute(TERMINATE, (0, name)).fetchall()))
            connection.execute(TERMINATE, (60_000, name))  # none is told yet still there when the next step begins

    terminator = threading.Thread(target=terminate_all)
    terminator.start()
    try:
        yield terminated
    finally:
        stop.set()
        terminator.join()


def test_a_connection_cut_at_any_byte_is_one_clear_line_and_running_it_again_completes_the_work(
    no_url: None,
) -> None:
    del no_url
    port = free_port()
    settings = {"listen_addresses": "127.0.0.1", "port": str(port)}
    rng = Random(6)
    rounds = 16
    lines = lines_of_sample(rounds * 20)
    with postgres_server(settings=settings), cutting_proxy(port) as proxy:
        direct = Place("postgresql", f"postgresql://postgres@127.0.0.1:{port}/postgres", "cut")
        url = f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres?sslmode=disable"
        said = []
        for number in range(rounds):
            part = lines[: 20 * (number + 1)]
            proxy.cut_after(rng.randrange(10 ** rng.randint(2, 5)), reset=number % 2 == 0, stays_down=number % 3 == 0)
            try:
                ingest_and_project(url, part, with_rebuild=number % 8 == 7)
            except (StorageUnavailable, RebuildRunning) as error:
                said.append(str(error))
            proxy.mend()
            if number % 4 == 3:
                ingest_and_project(url, part)
                check_everything(direct, len(part))
        ingest_and_project(url, lines)
        assert proxy.cuts == rounds
        assert len(said) > rounds // 4
        assert all(len(text.splitlines()) == 1 for text in said)
        check_everything(direct, len(lines))


def ingest_and_project(url: str, lines: list[str], *, with_rebuild: bool = False) -> None:
    with Appointments.open(url, schema="cut") as appointments:
        events = appointments.events
        projector = appointments.projector
        events.append(lines)
        projector.catch_up()
        if with_rebuild:
            appointments.rebuild()


def test_publication_times_that_go_backwards_change_neither_order_nor_positions(place: Place) -> None:
    """The publisher's clock jumped back between the first envelope and the second, and again."""
    changes = [
        envelope(1, at="2023-07-02T12:00:00Z", title="first"),
        envelope(2, at="2023-07-02T11:00:00Z", title="second"),
        envelope(3, at="1970-01-01T00:00:00Z", title="third"),
    ]
    events, schedules = place.events(), place.schedules()
    positions = [events.append([as_json(one)]).position for one in changes]
    assert positions == [1, 2, 3]
    place.projector().catch_up()
    assert [one.title for one in schedules.talent("talent-1")] == ["third"]
    check_read_models(place.url, place.schema, changes)


def test_when_our_clock_jumped_back_what_came_later_still_comes_later(durable_place: Place) -> None:
    events = durable_place.events()
    events.append([as_json(envelope(1)), b"garbage of today"])
    [item] = events.quarantine.list()
    with events.recorder.appending() as append:
        tomorrow = replace(item.refused, received_at=datetime(2199, 1, 1, tzinfo=UTC), sha256="0" * 64)
        append.quarantine([tomorrow])
    events.append([b"garbage of today again"])
    assert [one.number for one in events.quarantine.list()] == [1, 2, 3]
    projector = durable_place.projector()
    projector.catch_up()
    durable_place.appointments().rebuild()
    made_tomorrow(durable_place)
    report = durable_place.appointments().rebuild()
    assert report.generation == 3
    events.append([as_json(envelope(2, title="after the jump"))])
    projector.catch_up()
    [one] = durable_place.schedules().talent("talent-1")
    assert one.title == "after the jump"
    assert durable_place.appointments().rollback() == 2
    assert durable_place.appointments().verify().differences == []


def made_tomorrow(place: Place) -> None:
    """Generation 2 was made while the clock was ahead."""
    statement = "UPDATE {schema}generation SET created_at = '2199-01-01T00:00:00+00:00' WHERE number = 2"
    if place.backend == "postgresql":
        with psycopg.connect(place.url, autocommit=True) as connection:
            connection.execute(statement.format(schema=f"{place.schema}.").encode())
    else:
        with closing(sqlite3.connect(place.url.removeprefix("sqlite:///"))) as file:
            file.execute(statement.format(schema=""))
            file.commit()


def test_an_erasure_in_a_full_file_changes_nothing_and_succeeds_when_there_is_space(
    full_file: SQLiteDatabase,
) -> None:
    events, forgetting = EventStore(full_file), Forgetting(full_file)
    person = Person(Side.COACH, json.loads(next(events.lines()))["eventData"]["appointment"]["coachId"])
    before = list(events.lines())
    with pytest.raises(StorageUnavailable, match="no space left"):
        forgetting.erase(person, reference="r" * 200)
    assert list(events.lines()) == before
    assert forgetting.receipts() == []
    limit_pages(full_file, 10_000)
    assert forgetting.erase(person).envelopes > 0
