"""One SQLite file: the one place that opens SQLite and translates its errors."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import Final
from urllib.parse import quote

from eventsourcing.persistence import ConnectionPoolClosedError, PersistenceError
from eventsourcing.sqlite import (
    SQLiteConnection,
    SQLiteConnectionPool,
    SQLiteCursor,
    SQLiteDatastore,
    SQLiteTransaction,
)

from domain.errors import NotInstalled, StorageError, StorageUnavailable

LOCK_SECONDS_MAX: Final = 60
_POLL_SECONDS: Final = 0.02


class _ImmediateTransaction(SQLiteTransaction):
    """Takes the write lock at once: a deferred transaction that becomes a writer ignores the busy timeout."""

    def __enter__(self) -> SQLiteCursor:
        cursor = self.connection.cursor()
        cursor.execute("BEGIN IMMEDIATE" if self.commit else "BEGIN")
        return cursor


class _Connection(SQLiteConnection):
    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[SQLiteCursor]:
        with _ImmediateTransaction(self, commit=commit) as cursor, cursor:
            yield cursor


class _ConnectionPool(SQLiteConnectionPool):
    def __init__(self, path: str, uri: str) -> None:
        self._path = path
        super().__init__(
            db_name=uri,
            lock_timeout=LOCK_SECONDS_MAX,
            pool_size=5,
            max_overflow=100,
            pool_timeout=LOCK_SECONDS_MAX,
        )

    def _create_connection(self) -> SQLiteConnection:
        if _is_missing(self._path):  # asked before: another process may create it right after
            raise _not_there(self._path)
        connection = self._connect()._sqlite_conn  # noqa: SLF001 - the library's only way in
        connection.row_factory = None
        return _Connection(sqlite_conn=connection, max_age=self.max_age)

    def _connect(self) -> SQLiteConnection:
        """Connects; the change to WAL mode does not wait by itself for others who open the same new file."""
        deadline = time.monotonic() + LOCK_SECONDS_MAX
        while True:
            try:
                return super()._create_connection()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(_POLL_SECONDS)


class SQLiteDatabase(SQLiteDatastore):
    """One SQLite file: the library's pool of connections, with transactions that lock at once.

    Every driver error leaves it as a `StorageError`.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        uri = f"file:{quote(str(Path(path).absolute()))}?mode=rw"
        super().__init__(uri, lock_timeout=LOCK_SECONDS_MAX, pool_timeout=LOCK_SECONDS_MAX, originator_id_type="text")
        self.pool = _ConnectionPool(path, uri)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Cursor]:
        """A cursor for one statement. Each statement is a snapshot of its own."""
        with (
            self._translated(),
            self.get_connection(commit=False) as connection,
            connection.cursor() as cursor,
        ):
            yield cursor

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Cursor]:
        """A cursor whose statements all see one snapshot."""
        with self._translated(), self.transaction(commit=False) as cursor, cursor as statements:
            yield statements

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Cursor]:
        """A cursor in a transaction that holds the write lock; commits at the end, rolls back on any error."""
        with self._translated(), self.transaction(commit=True) as cursor, cursor as statements:
            yield statements

    def run_script(self, sql: str) -> None:
        """Runs statements that end in a semicolon at a line's end, in one transaction."""
        with self.writing() as cursor:
            for statement in sql.split(";\n"):
                cursor.execute(statement)

    @contextmanager
    def waiter(self) -> Iterator[Callable[[Event, float], None]]:
        """See `Recorder.waiter`: asks `PRAGMA data_version`, which only says what others committed."""
        with self._translated():
            connection = sqlite3.connect(self.pool.db_name, uri=True, check_same_thread=False)
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
        except ConnectionPoolClosedError as error:
            raise StorageError(f"the database {self.path} was closed here; open it again") from error
        except PersistenceError as error:
            raise self._storage_error(error, error.__cause__ or error) from error
        except sqlite3.Error as error:
            raise self._storage_error(error, error) from error

    def _storage_error(self, error: Exception, cause: BaseException) -> StorageError:
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
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
            sqlite3.SQLITE_BUSY: StorageUnavailable(
                f"the database {self.path} was locked by another process for more than {LOCK_SECONDS_MAX} s"
            ),
        }
        return known.get(code) or StorageError(f"the database {self.path} cannot be used: {error}")


def _is_missing(path: str) -> bool:
    try:
        os.stat(path)  # noqa: PTH116 - Path.exists says no as well where the folder may not be read
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass
    return False


def _not_there(path: str) -> NotInstalled:
    return NotInstalled(f"there is no database {path}; create it with: appointments init")


def create_private_file(path: str) -> None:
    """Creates a file, readable by its owner only, where there is none."""
    try:
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise StorageError(f"cannot create the database {path}: {error.strerror}") from error


def _data_version(connection: sqlite3.Connection) -> int:
    [version] = connection.execute("PRAGMA data_version").fetchone()
    return int(version)
