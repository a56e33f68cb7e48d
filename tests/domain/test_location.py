"""Database URLs and the environment variables; no secret is in a message."""

from __future__ import annotations

import os
from typing import Final

import pytest

from domain.errors import AppointmentsError, UsageError
from domain.storage.location import SCHEMA_DEFAULT, URL_DEFAULT, Location, locate

SECRET: Final = "hunter2"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("APPOINTMENTS_")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("url", "backend", "target"),
    [
        ("sqlite:///appointments.db", "sqlite", "appointments.db"),
        ("sqlite:///data/a b.db", "sqlite", "data/a b.db"),
        ("sqlite:////var/lib/appointments.db", "sqlite", "/var/lib/appointments.db"),
        ("sqlite:///../séances.db", "sqlite", "../séances.db"),
        ("sqlite:///./appointments.db", "sqlite", "appointments.db"),
        ("memory:NAME", "memory", "NAME"),
        ("memory:a:b", "memory", "a:b"),
        ("postgresql://user@host/dbname", "postgresql", "postgresql://user@host/dbname"),
        ("postgres://user@host/dbname", "postgresql", "postgres://user@host/dbname"),
        ("postgresql:///dbname?host=/run/postgresql", "postgresql", "postgresql:///dbname?host=/run/postgresql"),
        ("postgresql://", "postgresql", "postgresql://"),
    ],
)
def test_every_form_of_a_database_url(url: str, backend: str, target: str) -> None:
    location = locate(url)
    assert (location.backend, location.target, location.schema) == (backend, target, SCHEMA_DEFAULT)


def test_without_a_url_it_is_a_file_in_the_working_directory() -> None:
    assert locate() == locate(URL_DEFAULT) == Location("sqlite", "appointments.db", "appointments")


def test_the_environment_says_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPOINTMENTS_DB", "memory:from-the-environment")
    monkeypatch.setenv("APPOINTMENTS_SCHEMA", "elsewhere")
    assert locate() == Location("memory", "from-the-environment", "elsewhere")


def test_what_is_said_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPOINTMENTS_DB", "memory:from-the-environment")
    monkeypatch.setenv("APPOINTMENTS_SCHEMA", "elsewhere")
    assert locate("memory:said", schema="here") == Location("memory", "said", "here")
    assert locate("memory:said") == Location("memory", "said", "elsewhere")
    assert locate(schema="here") == Location("memory", "from-the-environment", "here")


def test_an_empty_environment_variable_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPOINTMENTS_DB", "")
    monkeypatch.setenv("APPOINTMENTS_SCHEMA", "")
    assert locate() == Location("sqlite", "appointments.db", "appointments")


def test_a_database_url_of_someone_else_is_never_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "memory:of-another-program")
    assert locate().backend == "sqlite"


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://user:{SECRET}@host/db",
        f"postgresql:user:{SECRET}@host/db",
        f"postgresql:/user:{SECRET}@host/db",
        f"postgresql+psycopg://user:{SECRET}@host/db",
        f"POSTGRESQL://user:{SECRET}@host/db",
        f" postgresql://user:{SECRET}@host/db",
        f"host=db password={SECRET}",
        f"sqlite://{SECRET}.db",
        f"sqlite:{SECRET}.db",
        f"{SECRET}.db",
        "sqlite:///",
        "sqlite://",
        "memory:",
        "memory",
        "http://host/",
    ],
)
def test_a_bad_url_is_refused_without_repeating_it(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPOINTMENTS_DB", url)
    for said in (url, None):
        with pytest.raises(UsageError) as caught:
            locate(said)
        assert str(caught.value).startswith("expected a database URL: sqlite:///relative.db")
        assert SECRET not in repr(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None


def test_a_location_in_words_holds_no_secret() -> None:
    location = locate(f"postgresql://user:{SECRET}@host/db", schema="teams")
    assert str(location) == "the schema teams of the PostgreSQL database"
    assert SECRET not in f"{location} {location!r}"
    assert SECRET in location.target


def test_a_location_in_words() -> None:
    assert str(locate("sqlite:////tmp/a.db")) == "/tmp/a.db"
    assert str(locate("memory:a")) == "memory:a"


@pytest.mark.parametrize("schema", ["a", "_", "appointments", "Appointments_2", "a" * 48])
def test_a_schema_is_a_plain_sql_name(schema: str) -> None:
    assert locate("postgresql://host/db", schema=schema).schema == schema


@pytest.mark.parametrize(
    "schema",
    ["2a", "a-b", "a b", "a.b", 'a"; DROP SCHEMA b', "é", "a\n", "\0", "a" * 49, "a" * 5000, " a", "１"],
)
@pytest.mark.parametrize("url", ["postgresql://host/db", "sqlite:///a.db", "memory:a"])
def test_any_other_schema_is_refused(schema: str, url: str) -> None:
    with pytest.raises(UsageError, match="expected a schema of letters, digits and underscores") as caught:
        locate(url, schema=schema)
    assert len(str(caught.value)) < 200
    assert str(caught.value).isprintable()


def test_a_bad_schema_from_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPOINTMENTS_SCHEMA", "a b")
    with pytest.raises(UsageError, match="found 'a b'"):
        locate()


def test_a_usage_error_is_one_of_ours_and_a_value_error() -> None:
    assert issubclass(UsageError, AppointmentsError)
    assert issubclass(UsageError, ValueError)


def test_an_empty_text_is_refused_where_it_was_given_on_purpose() -> None:
    with pytest.raises(UsageError, match="expected a database URL"):
        locate("")
    with pytest.raises(UsageError, match="expected a schema"):
        locate("memory:name", schema="")
