"""The places that the suites run on: memory, a fresh SQLite file, a fresh schema of a real PostgreSQL server."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql

from domain import EventStore
from domain.storage import open_database
from domain.storage.location import locate
from projections import Appointments, Projector, Schedules
from projections.cli.app import run
from projections.stores import store_of
from projections.stores.base import Store
from projections.stores.memory.store import MemoryUnitOfWork
from projections.stores.postgres.unit_of_work import PostgresUnitOfWork
from projections.stores.sqlite.unit_of_work import SQLiteUnitOfWork
from tests.support.browser import AXE, CHROMIUM, NO_AXE, NO_BROWSER
from tests.support.pooler import PGBOUNCER
from tests.support.postgres_server import PostgresServer, postgres_server

Ask = Callable[..., tuple[int, str, str]]
"""One command's exit status, output and complaints."""

settings.register_profile(
    "tests",
    deadline=None,  # the machine may be busy
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    derandomize=bool(os.environ.get("CI")),
)
settings.load_profile("tests")

_numbers = itertools.count(1)


@dataclass
class Place:
    """Where one test's installation is. What it opens is closed at the end of the test."""

    backend: str
    url: str
    schema: str | None = None
    closing: ExitStack = field(default_factory=ExitStack)

    def appointments(self) -> Appointments:
        return self.closing.enter_context(Appointments.open(self.url, schema=self.schema))

    def events(self) -> EventStore:
        return self.appointments().events

    def projector(self) -> Projector:
        projector = self.appointments().projector
        projector.install()
        return projector

    def schedules(self) -> Schedules:
        return self.appointments().schedules

    def store(self) -> Store:
        database = open_database(locate(self.url, schema=self.schema))
        self.closing.callback(database.close)
        return store_of(database)

    @property
    def arguments(self) -> list[str]:
        """The options that lead the command line here."""
        return ["--db", self.url, *(["--schema", self.schema] if self.schema else [])]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@contextmanager
def in_memory() -> Iterator[Place]:
    """A place that is gone at the end of the block."""
    place = Place("memory", f"memory:test-{next(_numbers)}")
    with place.closing:
        place.events()  # keeps it alive between the openings of a test
        yield place


@contextmanager
def in_file(folder: Path) -> Iterator[Place]:
    """A place in a file of a folder."""
    place = Place("sqlite", f"sqlite:///{folder}/appointments.db")
    with place.closing:
        yield place


@contextmanager
def on_server(server: PostgresServer) -> Iterator[Place]:
    """A place in a schema of its own, which is dropped at the end of the block."""
    with own_schema(server.url) as schema:
        place = Place("postgresql", server.url, schema)
        with place.closing:
            yield place


@pytest.fixture
def memory_place() -> Iterator[Place]:
    with in_memory() as place:
        yield place


@pytest.fixture
def sqlite_place(tmp_path: Path) -> Iterator[Place]:
    with in_file(tmp_path) as place:
        yield place


@pytest.fixture
def postgres_place(postgres: PostgresServer) -> Iterator[Place]:
    with on_server(postgres) as place:
        yield place


@pytest.fixture(scope="module", params=["memory", "sqlite", "postgres"])
def shared_place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Every backend, and on each one installation for all tests of a module, which leave it as it is."""
    with ExitStack() as stack:
        if request.param == "memory":
            yield stack.enter_context(in_memory())
        elif request.param == "sqlite":
            yield stack.enter_context(in_file(tmp_path_factory.mktemp("shared")))
        else:
            yield stack.enter_context(on_server(request.getfixturevalue("postgres")))


@contextmanager
def own_schema(url: str) -> Iterator[str]:
    """The name of a schema that nobody else uses; dropped at the end of the block."""
    schema = f"test_{os.getpid()}_{next(_numbers)}"
    yield schema
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET client_min_messages = warning")
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))


@pytest.fixture
def partitioned_place(postgres_place: Place) -> Place:
    """The rehearsal for Citus: tables hash-partitioned by their keys, where no row may change its key or leave."""
    postgres_place.projector()
    with psycopg.connect(postgres_place.url, autocommit=True) as connection:
        connection.execute(f"SET search_path = {postgres_place.schema}")
        connection.execute(KEEP_ROWS)
        for table, key in DISTRIBUTION_KEYS.items():
            for statement in PARTITION.split(";"):
                connection.execute(statement.format(table=table, key=key))
    return postgres_place


@pytest.fixture
def citus_place() -> Iterator[Place]:
    """A real cluster: the three tables are distributed by their keys, everything else is local to the coordinator."""
    place = Place("postgresql", os.environ["CITUS_DSN"], f"test_{os.getpid()}_{next(_numbers)}")
    with place.closing, psycopg.connect(place.url, autocommit=True) as connection:
        place.projector()
        for table, key in DISTRIBUTION_KEYS.items():
            connection.execute("SELECT create_distributed_table(%s, %s)", (f"{place.schema}.{table}", key))
        yield place
        connection.execute(f"DROP SCHEMA {place.schema} CASCADE")


DISTRIBUTION_KEYS = {
    "appointment_1": "appointment_id",
    "talent_schedule_1": "talent_id",
    "coach_schedule_1": "coach_id",
}

KEEP_ROWS = """
    CREATE FUNCTION keep_rows() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' OR to_jsonb(OLD) -> TG_ARGV[0] <> to_jsonb(NEW) -> TG_ARGV[0] THEN
            RAISE EXCEPTION 'a row of % would change its key or be deleted', TG_TABLE_NAME;
        END IF;
        RETURN NEW;
    END
    $$
"""

PARTITION = """
    ALTER TABLE {table} RENAME TO {table}_plain;
    CREATE TABLE {table} (LIKE {table}_plain INCLUDING ALL) PARTITION BY HASH ({key});
    CREATE TABLE {table}_of_even PARTITION OF {table} FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE {table}_of_odd PARTITION OF {table} FOR VALUES WITH (MODULUS 2, REMAINDER 1);
    DROP TABLE {table}_plain;
    CREATE TRIGGER keep_rows BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION keep_rows('{key}')
"""


collect_ignore = [*([] if PGBOUNCER else ["system/test_pooler.py"]), *([] if CHROMIUM else ["web/test_browser.py"])]
collect_ignore += [] if CHROMIUM and AXE else ["web/test_accessibility.py"]


def pytest_configure() -> None:
    """Ends the run where a pooler is demanded and there is none; lets a run in the background be interrupted."""
    # What `&` in a script and `nohup` hand down would be handed down to the processes that tests send signals to.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if PGBOUNCER is None and os.environ.get("TEST_POOLER") == "required":
        raise pytest.UsageError("TEST_POOLER=required, and there is no pgbouncer in PATH or /usr/sbin")
    if CHROMIUM is None and os.environ.get("TEST_BROWSER") == "required":
        raise pytest.UsageError("TEST_BROWSER=required, and there is no chromium in PATH")
    if AXE is not None and not Path(AXE).is_file():
        raise pytest.UsageError(f"TEST_AXE={AXE}, and there is no such file")


@pytest.hookimpl(wrapper=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """One worker more than there are processors: a third of the time a test waits for another process."""
    return (yield) + 1


def pytest_report_header() -> list[str]:
    if "CITUS_DSN" in os.environ:
        citus = "citus: the projector's suite runs on the cluster of CITUS_DSN too"
    else:
        citus = "citus: CITUS_DSN is not set, so no test runs on a cluster; the rehearsal on partitioned tables does"
    return [
        citus,
        f"pgbouncer: {PGBOUNCER or NO_POOLER}",
        f"browser: {CHROMIUM or NO_BROWSER}",
        f"axe: {AXE or NO_AXE}",
    ]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if PGBOUNCER is None:
        terminalreporter.write_line(f"pgbouncer: {NO_POOLER}")
    if CHROMIUM is None:
        terminalreporter.write_line(f"browser: {NO_BROWSER}")
    if AXE is None:
        terminalreporter.write_line(f"axe: {NO_AXE}")


NO_POOLER = "there is none in PATH or /usr/sbin, so no test runs behind a pooler; Debian has it as a package"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The projector's suite runs on partitioned tables and on a cluster too."""
    if "place" in metafunc.fixturenames:
        places: list[object] = ["memory", "sqlite", "postgres"]
        if metafunc.module.__name__ == "tests.projections.test_projector":
            places.append("partitioned")
            if "CITUS_DSN" in os.environ:
                places.append(pytest.param("citus", marks=pytest.mark.citus))
        metafunc.parametrize("place", places, indirect=True)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Names a long text by its argument: zipped bytes hold the time of zipping, which differs between workers."""
    return argname if isinstance(val, str | bytes) and len(val) > 60 else None


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Place:
    """Every backend, one after the other."""
    found: Place = request.getfixturevalue(f"{request.param}_place")
    return found


@pytest.fixture(params=["sqlite", "postgres"])
def durable_place(request: pytest.FixtureRequest) -> Place:
    """Every backend that outlives a process."""
    found: Place = request.getfixturevalue(f"{request.param}_place")
    return found


def patch_batches(patch: pytest.MonkeyPatch, events: int) -> None:
    """Lets projectors take so many envelopes in one unit of work."""
    for unit_of_work in (MemoryUnitOfWork, SQLiteUnitOfWork, PostgresUnitOfWork):
        patch.setattr(unit_of_work, "batch_events", events)


@pytest.fixture
def ask(durable_place: Place, capfd: pytest.CaptureFixture[str]) -> Ask:
    """Runs one command on an installation."""

    def ask(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        status = run([*arguments, *durable_place.arguments])
        out, complaints = capfd.readouterr()
        return status, out, complaints

    return ask
