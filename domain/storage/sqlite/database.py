"""One SQLite file: opens connections, limits their time and translates errors."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from functools import partial
from itertools import chain
from pathlib import Path
from threading import Event
from typing import Any, Final
from urllib.parse import quote

from typing_extensions import override

from domain.errors import NotInstalled, StorageError, StorageUnavailable
from domain.storage.base import Database
from domain.storage.sqlite.pool import (
    Connection,
    ForkedError,
    Pool,
    PoolClosedError,
    WriterTimeoutError,
    connect,
)
from domain.storage.time_limit import TIMEOUT_SECONDS_DEFAULT, limit_of_block

LOCK_SECONDS_MAX: Final = 60
_POLL_SECONDS: Final = 0.02
_LOG_MILLISECONDS_MAX: Final = 2_000
"""How long emptying the write-ahead log waits for readers and writers."""

_INSTRUCTIONS_A_LOOK: Final = 100_000
"""How many SQLite instructions, a few milliseconds, run between two checks of the deadline."""


class SQLiteDatabase(Database):
    """One SQLite file and the connections of this process to it. Every driver error leaves it as a `StorageError`.

    Safe in threads, and after a fork.
    """

    backend = "sqlite"

    def __init__(self, path: str) -> None:
        self.path = path
        self.place = f"sqlite:///{path}"
        self.timeout_seconds = TIMEOUT_SECONDS_DEFAULT
        absolute = Path(path).absolute()
        self._uri = f"file:{quote(str(absolute))}?mode=rw"
        self._pool = Pool(absolute.resolve(), partial(_connect, path, self._uri), lock_timeout=LOCK_SECONDS_MAX)

    @override
    def close(self) -> None:
        """Closes every connection; harmless when repeated."""
        self._pool.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Cursor]:
        """Opens a cursor whose statements each read a snapshot of their own."""
        with self._translated(), self._pool.connection() as connection, _bounded(connection):
            yield connection.cursor()

    @contextmanager
    def scanning(self, statement: str, parameters: Mapping[str, Any]) -> Iterator[Iterator[tuple[Any, ...]]]:
        """Runs a SELECT whose rows come while the caller reads them, all of one snapshot, in bounded memory.

        Its first row comes within the time limit; how long the others take is up to the caller.
        """
        with self._translated(), self._pool.connection() as connection:
            cursor = connection.cursor()
            with _bounded(connection):
                first = cursor.execute(statement, parameters).fetchmany(1)
            yield chain(first, cursor)

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Cursor]:
        """Opens a cursor whose statements all read one snapshot."""
        with self._translated(), self._pool.connection() as connection, _bounded(connection):
            connection.execute("BEGIN")
            yield connection.cursor()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Cursor]:
        """Opens a transaction that holds the write lock; commits at the end of the block, rolls back on any error.

        Writers of one process get the lock in the order in which they asked. Readers never wait for them.
        """
        with self._translated(), self._pool.writing() as connection:
            yield connection.cursor()

    def run_script(self, sql: str) -> None:
        """Runs statements that end in a semicolon at a line's end, in one transaction."""
        with self.writing() as cursor:
            run_script(cursor, sql)

    def vacuum(self) -> None:
        """Writes the whole file anew, without what was overwritten or deleted in it; nobody else writes meanwhile."""
        with self._translated(), closing(_connect(self.path, self._uri)) as connection:
            connection.execute("VACUUM")

    def empty_log(self) -> bool:
        """Brings the write-ahead log into the file and truncates it; returns whether no reader was in the way."""
        with self._translated(), closing(_connect(self.path, self._uri)) as connection:
            connection.execute(f"PRAGMA busy_timeout = {_LOG_MILLISECONDS_MAX}")
            [is_busy, _, _] = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not is_busy

    @contextmanager
    def waiter(self) -> Iterator[Callable[[Event, float], None]]:
        """Opens a wait for commits of others, with the promises of `Recorder.waiter`; polls `PRAGMA data_version`."""
        with self._translated():
            self._pool.check_open()
            connection = _connect(self.path, self._uri)
        try:
            version = _data_version(connection)

            def wait(stop: Event, seconds: float) -> None:
                nonlocal version
                with self._translated():
                    for _ in range(max(1, round(seconds / _POLL_SECONDS))):
                        now = _data_version(connection)
                        if now != version or stop.wait(_POLL_SECONDS):
                            version = now
                            return

            yield wait
        finally:
            connection.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except PoolClosedError as error:
            raise StorageError(
                f"the database {self.path} was closed here; open it again", place=self.place
            ) from error
        except ForkedError as error:
            raise StorageError(
                f"this process was forked while the database {self.path} was in use; nothing was stored by it",
                place=self.place,
            ) from error
        except WriterTimeoutError as error:
            raise self._locked() from error
        except sqlite3.Error as error:
            raise self._storage_error(error) from error

    def _locked(self) -> StorageUnavailable:
        return StorageUnavailable(
            f"the database {self.path} was locked for more than {LOCK_SECONDS_MAX} s", place=self.place
        )

    def _storage_error(self, error: sqlite3.Error) -> StorageError:
        explained = self._explained(error)
        explained.place = self.place
        return explained

    def _explained(self, error: sqlite3.Error) -> StorageError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_CANTOPEN and _is_missing(self.path):
            return _not_there(self.path)
        if "no such table" in str(error):
            return NotInstalled(f"{self.path} holds no appointments; create what is needed with: appointments init")
        known = {
            sqlite3.SQLITE_NOTADB: StorageError(f"{self.path} is not an SQLite database"),
            sqlite3.SQLITE_CORRUPT: StorageError(f"the database {self.path} is damaged: {error}"),
            sqlite3.SQLITE_READONLY: StorageError(f"the database {self.path} is read-only"),
            sqlite3.SQLITE_CANTOPEN: StorageError(
                f"the database {self.path} cannot be opened: the file and its folder must be readable and writable"
            ),
            sqlite3.SQLITE_FULL: StorageUnavailable(
                f"no space left for the database {self.path}; what was committed is safe, free space and run it again"
            ),
            sqlite3.SQLITE_IOERR: StorageUnavailable(f"the database {self.path} cannot be read or written: {error}"),
            sqlite3.SQLITE_BUSY: self._locked(),
            sqlite3.SQLITE_INTERRUPT: StorageUnavailable(f"the database {self.path} gave no answer in time"),
        }
        return known.get(code) or StorageError(f"the database {self.path} cannot be used: {error}")


def run_script(cursor: sqlite3.Cursor, sql: str) -> None:
    """Runs statements that end in a semicolon at a line's end, in the transaction of the cursor."""
    for statement in sql.split(";\n"):
        cursor.execute(statement)


@contextmanager
def _bounded(connection: Connection) -> Iterator[None]:
    """Interrupts the queries of the block at the surrounding time limit, if there is one."""
    limit = limit_of_block()
    if limit is None:
        yield
        return
    deadline = time.monotonic() + limit.left
    connection.set_progress_handler(lambda: time.monotonic() >= deadline, _INSTRUCTIONS_A_LOOK)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)


def _connect(path: str, uri: str) -> Connection:
    """Connects in WAL mode, so that readers and a writer do not wait for each other."""
    if _is_missing(path):  # asked before: another process may create it right after
        raise _not_there(path)
    connection = connect(uri, lock_timeout=LOCK_SECONDS_MAX)
    try:
        _set_wal_mode(connection)
    except BaseException:
        connection.close()
        raise
    connection.end_use()
    return connection


def _set_wal_mode(connection: Connection) -> None:
    """Switches to WAL mode, retrying while others open the same new file: SQLite itself does not wait here."""
    deadline = time.monotonic() + LOCK_SECONDS_MAX
    while True:
        try:
            if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                connection.execute("PRAGMA journal_mode = wal").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_POLL_SECONDS)
        else:
            return


def _is_missing(path: str) -> bool:
    try:
        os.stat(path)  # noqa: PTH116 - Path.exists says no as well where the folder may not be read
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass
    return False


def _not_there(path: str) -> NotInstalled:
    return NotInstalled(f"there is no database {path}; create it with: appointments init", place=f"sqlite:///{path}")


def create_private_file(path: str) -> None:
    """Creates a file, readable by its owner only, where there is none."""
    try:
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise StorageError(f"cannot create the database {path}: {error.strerror}") from error


def _data_version(connection: Connection) -> int:
    connection.check_process()
    [version] = connection.execute("PRAGMA data_version").fetchone()
    connection.end_use()
    return int(version)
