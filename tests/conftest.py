"""The places that the suites run on: memory, a fresh SQLite file, a fresh schema of a real PostgreSQL server."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql

from domain import EventStore
from domain.databases import open_database
from domain.settings import locate
from projections import Projector, Schedules
from projections.stores import store_of
from projections.stores.base import Store
from tests.postgres_server import PostgresServer, postgres_server

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

    def events(self) -> EventStore:
        return self.closing.enter_context(EventStore.open(self.url, schema=self.schema))

    def projector(self) -> Projector:
        projector = self.closing.enter_context(Projector.open(self.url, schema=self.schema))
        projector.install()
        return projector

    def schedules(self) -> Schedules:
        return self.closing.enter_context(Schedules.open(self.url, schema=self.schema))

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


@pytest.fixture
def memory_place() -> Iterator[Place]:
    place = Place("memory", f"memory:test-{next(_numbers)}")
    with place.closing:
        place.events()  # keeps it alive between the openings of a test
        yield place


@pytest.fixture
def sqlite_place(tmp_path: Path) -> Iterator[Place]:
    place = Place("sqlite", f"sqlite:///{tmp_path}/appointments.db")
    with place.closing:
        yield place


@pytest.fixture
def postgres_place(postgres: PostgresServer) -> Iterator[Place]:
    place = Place("postgresql", postgres.url, f"test_{os.getpid()}_{next(_numbers)}")
    with place.closing:
        yield place
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("SET client_min_messages = warning")
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(place.schema or "")))


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def place(request: pytest.FixtureRequest) -> Place:
    """Every backend, one after the other."""
    found: Place = request.getfixturevalue(f"{request.param}_place")
    return found


@pytest.fixture(params=["sqlite", "postgres"])
def durable_place(request: pytest.FixtureRequest) -> Place:
    """Every backend that outlives a process."""
    found: Place = request.getfixturevalue(f"{request.param}_place")
    return found
