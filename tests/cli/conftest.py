"""What the tests of the command line share: a small history, and a command's JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Ask, Place
from tests.support.builders import as_json, envelope

HISTORY = [
    envelope(1),
    envelope(2, id="appointment-2", startDate="2023-07-10T09:30:00Z", endDate="2023-07-10T10:30:00Z"),
    envelope(3, id="appointment-3", startDate="2023-07-12T09:00:00Z", endDate="2023-07-12T10:00:00Z"),
    envelope(
        4,
        id="appointment-3",
        status="CANCELED",
        canceledBy="COACH",
        cancelationReason="TALENT_NO_SHOW",
        startDate="2023-07-13T09:00:00Z",
        endDate="2023-07-13T10:00:00Z",
    ),
    envelope(5, id="appointment-4", startDate=None, endDate=None, coachId="coach-2"),
    envelope(6, id="appointment-5", status="DONE", appointmentType="PART_ONE", subphaseId="subphase-1"),
    envelope(7, id="appointment-5", status="DONE", deletedAt="2023-07-03T00:00:00Z"),
]


@pytest.fixture
def document(ask: Ask) -> Callable[..., Any]:
    """Returns the JSON document of a command that succeeds and prints nothing on standard error."""

    def document(*arguments: str) -> Any:
        status, out, complaints = ask(*arguments, "--json")
        assert (status, complaints) == (0, "")
        return json.loads(out)

    return document


@pytest.fixture
def filled(durable_place: Place) -> Place:
    durable_place.events().append([as_json(one) for one in HISTORY])
    durable_place.projector().catch_up()
    return durable_place


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[bytes], None]]:
    """Sets the standard input of commands."""
    with ExitStack() as stack:

        def give(content: bytes) -> None:
            path = tmp_path / "stdin"
            path.write_bytes(content)
            monkeypatch.setattr("sys.stdin", stack.enter_context(path.open()))

        yield give
