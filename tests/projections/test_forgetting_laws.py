"""The law of forgetting: what is shown is a pure function of the accepted envelopes and the forgotten persons.

In any order of forgetting, delivering, projecting, rebuilding, rolling back and verifying.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import Forgotten, RebuildFailed
from projections import Appointments
from tests.conftest import Place, own_schema
from tests.support.builders import as_json
from tests.support.histories import histories, names
from tests.support.reference import as_plain, expected_schedule, moment

Person = tuple[str, str]
PERSONS: tuple[Person, ...] = tuple((side, one) for side in ("talent", "coach") for one in names(side, 3))
KEPT = {
    "id", "talentId", "coachId", "status", "appointmentType", "createdAt", "updatedAt", "deletedAt", "startDate",
    "endDate", "canceledBy", "cancelationReason",
}  # fmt: skip
AS_OF = datetime(2023, 7, 2, 0, 0, 20, tzinfo=UTC)
FAR_FUTURE = datetime(9000, 1, 1, tzinfo=UTC)

_numbers = itertools.count(1)


def masked(sent: dict[str, Any], forgotten: Sequence[Person]) -> dict[str, Any]:
    """What is left of an envelope, worked out a second time from the README's words."""
    appointment = sent["eventData"]["appointment"]
    sides = [side for side in ("talent", "coach") if (side, appointment[f"{side}Id"]) in forgotten]
    said = (appointment["description"] or "").replace(",", " ").split()
    if not sides and not any(one in said for _, one in forgotten):
        return sent
    left = copy.deepcopy(sent)
    kept = {name: value if name in KEPT else None for name, value in appointment.items()}
    kept |= {"title": ""} | {f"{side}Id": "forgotten" for side in sides}
    left["eventData"]["appointment"] = kept
    return left


@st.composite
def mentioning(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A history, some of whose descriptions mention a person."""
    envelopes = draw(histories(max_envelopes=8))
    for one in envelopes:
        if draw(st.integers(0, 5)) == 0:
            _, person_id = draw(st.sampled_from(PERSONS))
            one["eventData"]["appointment"]["description"] = f"instead of {person_id}, who is ill"
    return envelopes


Step = Callable[[Appointments], object]


def roll_back(appointments: Appointments) -> None:
    with suppress(RebuildFailed):  # there is none, or it was dropped
        appointments.rollback()


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[Person], list[Step]]:
    """Envelopes, forgotten persons, and all that happens to both, in any order and with repetitions."""
    envelopes = draw(mentioning())
    forgotten = draw(st.lists(st.sampled_from(PERSONS), min_size=1, max_size=3, unique=True))

    def deliver(some: list[dict[str, Any]]) -> Step:
        return lambda appointments: appointments.events.append(map(as_json, some))

    def forget(person: Person) -> Step:
        side, person_id = person
        return lambda appointments: appointments.forget(**{f"{side}_id": person_id})

    steps = [deliver([one]) for one in envelopes]
    steps += [deliver(draw(st.lists(st.sampled_from(envelopes), max_size=4)))]
    steps += [forget(one) for one in (*forgotten, draw(st.sampled_from(forgotten)))]
    steps += [lambda appointments: appointments.projector.catch_up()] * draw(st.integers(0, 3))
    steps += [lambda appointments: appointments.rebuild(processes=1)] * draw(st.integers(0, 2))
    steps += [roll_back] * draw(st.integers(0, 1))
    steps += [check_verified] * draw(st.integers(0, 2))
    return envelopes, forgotten, draw(st.permutations(steps))


def check_verified(appointments: Appointments) -> None:
    assert appointments.verify().differences == []


def check_shown(appointments: Appointments, envelopes: list[dict[str, Any]], forgotten: list[Person]) -> None:
    left = [masked(one, forgotten) for one in envelopes]
    published = [one for one in left if (moment(one["createdAt"]) or AS_OF) <= AS_OF]
    for side, person_id in PERSONS:
        ask: Callable[..., Any] = getattr(appointments.schedules, side)
        if (side, person_id) in forgotten:
            with pytest.raises(Forgotten):
                ask(person_id)
            continue
        expected = expected_schedule(left, side, person_id)
        assert [as_plain(one) for one in ask(person_id)] == expected
        assert [as_plain(one) for one in ask(person_id, known_at=FAR_FUTURE)] == expected
        assert [as_plain(one) for one in ask(person_id, as_of=AS_OF)] == expected_schedule(published, side, person_id)
    shown = {one.owner_id for one in appointments.schedules.talents()}
    assert shown.isdisjoint({one for side, one in forgotten if side == "talent"} | {"forgotten"})


def check_law(story: tuple[list[dict[str, Any]], list[Person], list[Step]], url: str, schema: str | None) -> None:
    envelopes, forgotten, steps = story
    with Appointments.open(url, schema=schema) as appointments:
        appointments.install()
        for step in steps:
            step(appointments)
        appointments.projector.catch_up()
        check_shown(appointments, envelopes, forgotten)
        check_verified(appointments)
        for receipt in appointments.forgetting.receipts():
            assert receipt.verified


@settings(max_examples=40)
@given(stories())
def test_in_memory(story: tuple[list[dict[str, Any]], list[Person], list[Step]]) -> None:
    check_law(story, f"memory:forgetting-{next(_numbers)}", None)


@settings(max_examples=8)
@given(stories())
def test_on_sqlite(
    tmp_path_factory: pytest.TempPathFactory, story: tuple[list[dict[str, Any]], list[Person], list[Step]]
) -> None:
    check_law(story, f"sqlite:///{tmp_path_factory.mktemp('law')}/appointments.db", None)


@settings(max_examples=5)
@given(stories())
def test_on_postgresql(postgres_place: Place, story: tuple[list[dict[str, Any]], list[Person], list[Step]]) -> None:
    with own_schema(postgres_place.url) as schema:
        check_law(story, postgres_place.url, schema)
