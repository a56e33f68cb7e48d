"""The law with poison: the rows depend on what is sound in the event store, not on what was done in which order."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import EventNotFound, NotPoison, PoisonEvent
from domain.topics import TOPIC
from tests.conftest import Place, own_schema, patch_batches
from tests.projections.test_markers import check_rebuild
from tests.projections.test_projector import store_unchecked
from tests.support.builders import as_json
from tests.support.damage import damage_stored
from tests.support.histories import histories
from tests.support.readmodels import check_read_models
from tests.support.rebuilding import rebuilt

ACTS = ("deliver", "deliver", "poison", "damage", "set aside", "replace", "retry", "project", "project", "rebuild")
STEPS = st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 5)), max_size=25)
_numbers = itertools.count(1)


class Oracle:
    """Does what a step says, and knows which envelopes must count then."""

    def __init__(self, place: Place, envelopes: list[dict[str, Any]]) -> None:
        self._place = place
        self._events = place.events()
        self._envelopes = envelopes
        self._states: dict[int, str] = {}
        """By envelope id: sound, poison or aside."""
        self._waiting: set[int] = set()
        """The ids of sound deliveries that were quarantined, since damaged events had their ids."""

    @property
    def sound(self) -> list[dict[str, Any]]:
        return [one for one in self._envelopes if self._states.get(one["id"]) == "sound"]

    @property
    def aside(self) -> list[int]:
        return [one for one, state in self._states.items() if state == "aside"]

    def take(self, act: str, number: int) -> None:
        one = self._envelopes[number % len(self._envelopes)]
        match act, self._states.get(one["id"]):
            case "deliver", state:
                appended = self._events.append([as_json(one)]).appended
                assert appended == (state in (None, "aside"))
                if state == "poison":
                    self._waiting.add(one["id"])
                else:
                    self._states[one["id"]] = "sound"
            case "poison", None:
                appointment_id = one["eventData"]["appointment"]["id"]
                store_unchecked(self._place, one["id"], appointment_id, TOPIC, b"damaged")
                self._states[one["id"]] = "poison"
            case "damage", "sound":
                damage_stored(self._place, one["id"], b"damaged")
                self._states[one["id"]] = "poison"
            case "set aside" | "replace", state:
                self._correct(act, one, state)
            case "retry", _:
                self._events.quarantine.retry()
                taken = {one for one in self._waiting if self._states[one] == "aside"}
                self._states |= dict.fromkeys(taken, "sound")
                self._waiting -= {one for one in self._waiting if self._states[one] == "sound"}
            case "project" | "rebuild", _:
                self._project(act)

    def _correct(self, act: str, one: dict[str, Any], state: str | None) -> None:
        positions = [it.position for it in self._events.stream(one["eventData"]["appointment"]["id"])]
        position = next(
            (it for it in positions if self._events.at(it).event_id == one["id"]), self._events.head() + 1
        )
        try:
            if act == "replace":
                self._events.replace(position, one)
                self._states[one["id"]] = "sound"
            else:
                self._events.set_aside(position, reason="damaged")
                self._states[one["id"]] = "aside"
        except EventNotFound:
            assert state is None
        except NotPoison:
            assert state == "sound" or (act, state) == ("set aside", "aside")

    def _project(self, act: str) -> None:
        work = self._place.projector().catch_up if act == "project" else lambda: rebuilt(self._place)
        try:
            work()
        except PoisonEvent:
            assert "poison" in self._states.values()

    def settle(self) -> None:
        """Sets everything aside that cannot be folded, and projects the rest."""
        for number, one in enumerate(self._envelopes):
            if self._states.get(one["id"]) == "poison":
                self.take("set aside", number)
        assert "poison" not in self._states.values()
        self._place.projector().catch_up()


def check_law(place: Place, envelopes: list[dict[str, Any]], steps: list[tuple[str, int]], batch: int) -> None:
    with place.closing, pytest.MonkeyPatch.context() as patch:
        patch_batches(patch, batch)
        place.projector()
        oracle = Oracle(place, envelopes)
        for act, number in steps:
            oracle.take(act, number)
        oracle.settle()
        check_read_models(place.url, place.schema, oracle.sound)
        aside = place.appointments().status().set_aside
        assert place.appointments().verify().set_aside == aside == len(oracle.aside)
        check_rebuild(place)
        check_read_models(place.url, place.schema, oracle.sound)


@settings(max_examples=100)
@given(histories(max_envelopes=6), STEPS, st.integers(1, 5))
def test_in_memory_the_rows_are_those_of_what_is_sound(
    envelopes: list[dict[str, Any]], steps: list[tuple[str, int]], batch: int
) -> None:
    check_law(Place("memory", f"memory:aside-{next(_numbers)}"), envelopes, steps, batch)


@settings(max_examples=10)
@given(envelopes=histories(max_envelopes=6), steps=STEPS, batch=st.integers(1, 5))
def test_in_a_file_the_rows_are_those_of_what_is_sound(
    tmp_path_factory: pytest.TempPathFactory,
    envelopes: list[dict[str, Any]],
    steps: list[tuple[str, int]],
    batch: int,
) -> None:
    place = Place("sqlite", f"sqlite:///{tmp_path_factory.mktemp('aside')}/appointments.db")
    check_law(place, envelopes, steps, batch)


@settings(max_examples=3)
@given(envelopes=histories(max_envelopes=6), steps=STEPS, batch=st.integers(1, 5))
def test_in_a_schema_the_rows_are_those_of_what_is_sound(
    postgres_place: Place, envelopes: list[dict[str, Any]], steps: list[tuple[str, int]], batch: int
) -> None:
    with own_schema(postgres_place.url) as schema:
        check_law(Place("postgresql", postgres_place.url, schema), envelopes, steps, batch)
