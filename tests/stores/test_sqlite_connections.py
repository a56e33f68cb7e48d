"""How the connections of one process to an SQLite file are shared, given back and closed."""

from __future__ import annotations

import gc
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import pytest

from domain import EventStore
from domain.errors import NotInstalled, StorageError, StorageUnavailable
from domain.storage.sqlite import database as sqlite_module
from domain.storage.sqlite.database import SQLiteDatabase
from domain.storage.sqlite.pool import IDLE_MAX, Connection, WriterQueue
from projections import Schedules
from tests.conftest import Place
from tests.support.builders import as_json, envelope
from tests.support.generations import SECONDS_MAX, wait_until


@pytest.fixture
def path(sqlite_place: Place, tmp_path: Path) -> str:
    """A file with one envelope, and its read models."""
    sqlite_place.events().append([as_json(envelope(1))])
    sqlite_place.projector().catch_up()
    sqlite_place.closing.close()
    return str(tmp_path / "appointments.db")


@pytest.fixture
def database(path: str) -> Iterator[SQLiteDatabase]:
    with closing(SQLiteDatabase(path)) as database:
        yield database


def opened(path: str) -> int:
    """How many connections to the file this process has."""
    return sum(isinstance(one, Connection) and _leads_to(path, one) for one in gc.get_objects())


def _leads_to(path: str, connection: Connection) -> bool:
    try:
        return connection.execute("PRAGMA database_list").fetchall() == [(0, "main", path)]
    except sqlite3.ProgrammingError:  # it is closed
        return False


def head(database: SQLiteDatabase) -> int:
    with database.reading() as cursor:
        return int(cursor.execute("SELECT MAX(rowid) FROM stored_events").fetchone()[0])


def test_a_write_that_cannot_connect_keeps_no_other_write_waiting(tmp_path: Path) -> None:
    path = str(tmp_path / "appointments.db")
    with closing(SQLiteDatabase(path)) as database:
        for _ in range(2):
            with pytest.raises(NotInstalled, match="there is no database"), database.writing():
                pass
        assert EventStore(database).append([as_json(envelope(1))]).appended == 1


def test_a_read_is_answered_while_one_thread_writes_and_others_wait_to(database: SQLiteDatabase) -> None:
    begun = threading.Barrier(4)

    def write() -> None:
        begun.wait(SECONDS_MAX)
        with database.writing() as cursor:
            cursor.execute("UPDATE stored_events SET topic = topic")

    with ThreadPoolExecutor(3) as threads:
        with database.writing() as cursor:
            waiting = [threads.submit(write) for _ in range(3)]
            begun.wait(SECONDS_MAX)
            cursor.execute("DELETE FROM stored_events")
            assert [head(database) for _ in range(50)] == [1] * 50
            assert not any(one.done() for one in waiting)
            cursor.connection.rollback()
            cursor.execute("BEGIN")
        for one in waiting:
            one.result(SECONDS_MAX)


def test_writers_of_one_process_have_their_turns_in_the_order_in_which_they_came() -> None:
    queue, order = WriterQueue(), []

    def write(name: int) -> None:
        with queue.admitted(SECONDS_MAX):
            order.append(name)

    with ThreadPoolExecutor(5) as threads, queue.admitted(0):
        for name in range(5):
            threads.submit(write, name)
            wait_until(lambda name=name: len(queue._writers) == name + 2)  # type: ignore[misc]
    assert order == [0, 1, 2, 3, 4]


def test_a_write_that_waits_too_long_says_so_and_leaves_the_queue(
    path: str, database: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_module, "LOCK_SECONDS_MAX", 0.05)
    with (
        closing(SQLiteDatabase(path)) as another,
        database.writing(),
        pytest.raises(StorageUnavailable, match=r"was locked for more than 0\.05 s"),
        another.writing(),
    ):
        pass
    with closing(SQLiteDatabase(path)) as another, another.writing():
        pass


def test_questions_about_talents_and_coaches_in_turn_are_prepared_once(database: SQLiteDatabase) -> None:
    schedules, prepared = Schedules(database), 0

    def count(*_: Any) -> int:
        nonlocal prepared
        prepared += 1
        return 0

    def ask() -> None:
        schedules.talent("talent-1")
        schedules.coach("coach-1")
        schedules.talents()
        schedules.coaches()

    with database.reading() as cursor:
        cursor.connection.set_authorizer(count)  # asked whenever a statement is prepared
    ask()
    assert prepared > 0
    prepared = 0
    ask()
    assert prepared == 0


def test_a_few_connections_stay_open_and_none_after_the_close(path: str) -> None:
    threads_count = IDLE_MAX + 3
    together = threading.Barrier(threads_count + 1)

    def read(database: SQLiteDatabase) -> None:
        with database.reading():
            together.wait(SECONDS_MAX)
            together.wait(SECONDS_MAX)

    with ThreadPoolExecutor(threads_count) as threads, closing(SQLiteDatabase(path)) as database:
        reading = [threads.submit(read, database) for _ in range(threads_count)]
        together.wait(SECONDS_MAX)
        assert opened(path) == threads_count
        together.wait(SECONDS_MAX)
        for one in reading:
            one.result(SECONDS_MAX)
        assert opened(path) == IDLE_MAX
    assert opened(path) == 0


def test_what_is_in_use_at_the_close_is_closed_after_its_use(path: str) -> None:
    database = SQLiteDatabase(path)
    with database.reading() as cursor:
        database.close()
        assert cursor.execute("SELECT COUNT(*) FROM stored_events").fetchall() == [(1,)]
    assert opened(path) == 0


@pytest.mark.parametrize(
    "use", [SQLiteDatabase.reading, SQLiteDatabase.snapshot, SQLiteDatabase.writing, SQLiteDatabase.waiter]
)
def test_nothing_can_be_done_with_a_closed_database(
    database: SQLiteDatabase, use: Callable[[SQLiteDatabase], AbstractContextManager[object]]
) -> None:
    head(database)
    database.close()
    database.close()
    with pytest.raises(StorageError, match="was closed here; open it again"), use(database):
        pass


def test_a_question_read_by_half_does_not_show_its_old_view_to_the_next(path: str, database: SQLiteDatabase) -> None:
    with database.snapshot() as cursor:
        half_read = cursor.connection.execute("SELECT rowid FROM stored_events, (VALUES (1), (2))")
        assert next(half_read) == (1,)
    with closing(SQLiteDatabase(path)) as another:
        EventStore(another).append([as_json(envelope(2))])
    assert head(database) == 2


# A process forks in the middle of a write; the child leaves the block before its parent does. Then it forks again.
FORKED = """
import os, sys
from domain.storage.sqlite.database import SQLiteDatabase
from domain.errors import StorageError
from domain.event_store import EventStore
database = SQLiteDatabase(sys.argv[1])
events = EventStore(database)
events.head()
def insert(number):
    with database.writing() as cursor:
        cursor.execute("INSERT INTO stored_events VALUES (?, 'a', ?, 't', 's', NULL)", (number, number))
        if number == 2 and os.fork():
            os.wait()
try:
    insert(2)
except StorageError as error:
    print("child:", error)
    print("child:", events.head())
    sys.exit()
print("parent:", events.head(), flush=True)
if not os.fork():
    insert(3)
    database.close()
    sys.exit()
os.wait()
insert(4)
print("parent:", events.head())
"""


def test_a_forked_process_opens_its_own_connections_and_commits_nothing_of_its_parents(path: str) -> None:
    # A child leaves its parent's connections as they are, of which Python 3.13 complains when the child ends.
    warnings = ["-W", "error", "-W", "ignore::ResourceWarning", "-W", "ignore::DeprecationWarning"]
    command = [sys.executable, *warnings, "-c", FORKED, path]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS_MAX)
    assert done.stdout.splitlines() == [
        f"child: this process was forked while the database {path} was in use; nothing was stored by it",
        "child: 1",
        "parent: 2",
        "parent: 4",
    ]
    assert done.stderr == ""
