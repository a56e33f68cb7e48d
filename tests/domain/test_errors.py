"""Errors have their details as attributes, also after pickling."""

from __future__ import annotations

import inspect
import pickle
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

import domain
from domain import (
    AppointmentId,
    EventId,
    InputUnreadable,
    PoisonEvent,
    Position,
    RefusalCode,
    StorageError,
    StorageUnavailable,
    StoredEnvelope,
)
from domain.errors import AppointmentsError, NotInstalled, ReadModelBehind, VersionMismatch
from domain.storage.tables_version import TABLES_VERSION, check_tables_version
from domain.topics import envelope_of
from projections import Appointments, DifferencesFound
from projections.cli.exits import PartlyDone
from projections.rebuilding.differences import Difference
from tests.conftest import Place
from tests.support.builders import as_json, envelope

MADE: dict[str, Callable[[type[Any]], AppointmentsError]] = {
    "AppointmentNotFound": lambda kind: kind("a"),
    "EnvelopeRefused": lambda kind: kind(RefusalCode.CONFLICT, expected="one", field="id", found="2", offset=3),
    "InputUnreadable": lambda kind: kind("envelopes.jsonl", "No such file or directory"),
    "NotPoison": lambda kind: kind(3, "it can be folded"),
    "NotRebuilt": lambda kind: kind("no", expected=1, found=2, place="memory:x"),
    "PoisonEvent": lambda kind: kind(1, "a", 2, "it is damaged"),
    "QuarantinedItemNotFound": lambda kind: kind(7),
    "ReadModelBehind": lambda kind: kind(5, 3, 0.5, head=4),
    "StorageError": lambda kind: kind("no", place="sqlite:///x.db", sqlstate="42501"),
    "VersionMismatch": lambda kind: kind("no", expected=1, found=2, place="memory:x"),
}


def errors() -> list[type[AppointmentsError]]:
    exported = [getattr(domain, name) for name in domain.__all__]
    return [one for one in exported if inspect.isclass(one) and issubclass(one, AppointmentsError)]


@pytest.mark.parametrize("kind", errors())
def test_an_error_is_the_same_after_pickling(kind: type[AppointmentsError]) -> None:
    error = MADE[kind.__name__](kind) if kind.__name__ in MADE else kind("what went wrong")
    error.add_note("meanwhile")
    read_back = pickle.loads(pickle.dumps(error))
    assert type(read_back) is kind
    assert (str(read_back), read_back.args) == (str(error), error.args)
    assert read_back.__dict__ == error.__dict__


def test_found_differences_are_the_same_after_pickling() -> None:
    differences = [Difference("appointment", "a", None, "title", "x", "y")]
    assert pickle.loads(pickle.dumps(DifferencesFound(differences))).differences == differences


def test_who_waited_in_vain_learns_for_what_how_long_and_how_far_the_event_store_is(place: Place) -> None:
    events = place.events()
    events.append([as_json(envelope(1))])
    place.projector().catch_up()
    events.append([as_json(envelope(2))])
    with pytest.raises(ReadModelBehind) as caught:
        place.schedules().talent("talent-1", at_least=9, timeout=0)
    error = caught.value
    assert (error.at_least, error.position, error.seconds, error.head) == (9, 1, 0, 2)


def test_a_file_that_cannot_be_read_is_told_with_its_reason(memory_place: Place, tmp_path: Path) -> None:
    with pytest.raises(InputUnreadable) as caught:
        memory_place.events().append_file(tmp_path / "none.jsonl")
    assert (caught.value.source, caught.value.reason) == (f"{tmp_path}/none.jsonl", "No such file or directory")


def test_a_poison_event_is_told_with_the_reason_why_it_cannot_be_folded() -> None:
    stored = StoredEnvelope(Position(7), EventId(5), AppointmentId("a"), "another.topic", b"{}")
    with pytest.raises(PoisonEvent) as caught:
        envelope_of(stored)
    error = caught.value
    assert (error.position, error.event_id, error.appointment_id) == (7, 5, "a")
    assert error.reason == "the topic 'another.topic' is unknown; upgrade this code if newer code stored it"


def test_what_is_not_installed_says_where(durable_place: Place) -> None:
    for ask in (durable_place.schedules().talents, durable_place.events().head):
        with pytest.raises(NotInstalled) as caught:
            ask()
        assert caught.value.place == durable_place.appointments().place


def test_an_error_of_postgresql_has_its_code_and_one_of_sqlite_has_none(
    postgres_place: Place, sqlite_place: Place
) -> None:
    with pytest.raises(NotInstalled) as caught:
        postgres_place.schedules().talents()
    assert caught.value.sqlstate == "42P01"
    with pytest.raises(NotInstalled) as caught:
        sqlite_place.schedules().talents()
    assert caught.value.sqlstate is None


def test_an_unreachable_server_is_named_without_a_secret() -> None:
    url = "postgresql://app:hunter2@127.0.0.1:1/appointments?password=hunter3"
    with Appointments.open(url) as appointments, pytest.raises(StorageUnavailable) as caught:
        appointments.schedules.talents()
    assert caught.value.place == "postgresql://127.0.0.1:1/appointments, schema appointments"
    assert "hunter" not in repr(appointments) + repr(caught.value)


def test_a_right_that_is_missing_is_told_by_its_code(postgres_place: Place) -> None:
    postgres_place.projector()
    role = f"{postgres_place.schema}_nobody"
    with psycopg.connect(postgres_place.url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN")
        try:
            url = f"{postgres_place.url}&options=-crole%3D{role}"
            with (
                Appointments.open(url, schema=postgres_place.schema) as appointments,
                pytest.raises(StorageError) as caught,
            ):
                appointments.schedules.talents()
            assert caught.value.sqlstate == "42501"
        finally:
            connection.execute(f"DROP ROLE {role}")


def test_another_version_says_which_was_found_and_which_was_expected() -> None:
    with pytest.raises(VersionMismatch) as caught:
        check_tables_version(99)
    assert (caught.value.expected, caught.value.found) == (TABLES_VERSION, 99)


def test_an_opened_object_shows_where_it_is(place: Place) -> None:
    shown = repr(place.appointments())
    assert shown.startswith("<Appointments at ")
    if place.backend == "postgresql":
        assert place.schema is not None
        assert place.schema in shown
        assert urlsplit(place.url).path in shown
    else:
        assert place.url in shown


def test_the_tree_of_errors_in_the_docstring_is_the_tree_of_classes() -> None:
    drawn: dict[str, str] = {}
    path: list[str] = []
    for indent, name in re.findall(r"^([ │├└─]*)([A-Z]\w+)(?:  .*)?$", domain.errors.__doc__ or "", re.MULTILINE):
        path[len(indent) // 4 :] = [name]
        drawn[name] = " ".join(path)

    def classes(kind: type[Exception], above: str) -> Iterator[tuple[str, str]]:
        yield kind.__name__, (here := f"{above} {kind.__name__}".strip())
        for one in kind.__subclasses__():
            if one.__module__.startswith(("domain.", "projections.")) and one is not PartlyDone:
                yield from classes(one, here)

    assert drawn == dict(classes(AppointmentsError, ""))
