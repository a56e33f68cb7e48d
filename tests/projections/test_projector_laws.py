"""The law: the read models are a pure function of the set of accepted envelopes, positions apart."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections import Appointments, Schedules
from tests.conftest import Place, own_schema, patch_batches
from tests.support.builders import as_json
from tests.support.histories import histories, names
from tests.support.readmodels import check_read_models, rows_held, without_positions
from tests.support.reference import as_plain, expected_schedule

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Delivery:
    """How the envelopes of a history come and are projected."""

    envelopes: list[dict[str, Any]]
    arrivals: list[list[dict[str, Any]]]
    projected_after: list[bool]
    batch_events_max: int


@st.composite
def deliveries(draw: st.DrawFn) -> Delivery:
    """A history in any order, with repetitions, cut into any batches, with the projector running in between."""
    envelopes = draw(histories(max_envelopes=12))
    repeated = draw(st.lists(st.sampled_from(envelopes), max_size=6))
    arriving = iter(draw(st.permutations(envelopes + repeated)))
    sizes = draw(st.lists(st.integers(1, 5), max_size=10))
    arrivals = [list(itertools.islice(arriving, size)) for size in sizes] + [list(arriving)]
    projected_after = draw(st.lists(st.booleans(), min_size=len(arrivals), max_size=len(arrivals)))
    return Delivery(envelopes, arrivals, projected_after, draw(st.integers(1, 5)))


def deliver(delivery: Delivery, url: str, schema: str | None = None) -> None:
    with pytest.MonkeyPatch.context() as patch, Appointments.open(url, schema=schema) as appointments:
        events = appointments.events
        projector = appointments.projector
        patch_batches(patch, delivery.batch_events_max)
        for arrival, is_projected in zip(delivery.arrivals, delivery.projected_after, strict=True):
            events.append(map(as_json, arrival))
            if is_projected:
                projector.catch_up()
        assert projector.catch_up() == len(delivery.envelopes)


def check_law(delivery: Delivery, url: str, schema: str | None = None) -> None:
    in_order = f"memory:in-order-{next(_numbers)}"
    with (
        Appointments.open(in_order),
        Appointments.open(url, schema=schema) as appointments,
    ):  # keeps what is in memory
        deliver(delivery, url, schema)
        check_read_models(url, schema, itertools.chain.from_iterable(delivery.arrivals))
        published = sorted(delivery.envelopes, key=lambda one: int(one["id"]))
        deliver(Delivery(published, [published], [True], 1000), in_order)
        assert without_positions(rows_held(url, schema)) == without_positions(rows_held(in_order))
        check_schedules(appointments.schedules, delivery.envelopes)


def check_schedules(schedules: Schedules, envelopes: list[dict[str, Any]]) -> None:
    for include_deleted in (False, True):
        for side, ask, owners in (
            ("talent", schedules.talent, names("talent", 3)),
            ("coach", schedules.coach, names("coach", 3)),
        ):
            for owner_id in owners:
                found = ask(owner_id, include_deleted=include_deleted)
                expected = expected_schedule(envelopes, side, owner_id, include_deleted=include_deleted)
                assert [as_plain(one) for one in found] == expected


@settings(max_examples=300)
@given(deliveries())
def test_in_memory_the_rows_depend_on_the_set_of_envelopes_alone(delivery: Delivery) -> None:
    check_law(delivery, f"memory:law-{next(_numbers)}")


@settings(max_examples=30)
@given(delivery=deliveries())
def test_in_a_file_the_rows_depend_on_the_set_of_envelopes_alone(
    tmp_path_factory: pytest.TempPathFactory, delivery: Delivery
) -> None:
    check_law(delivery, f"sqlite:///{tmp_path_factory.mktemp('law')}/appointments.db")


@settings(max_examples=15)
@given(delivery=deliveries())
def test_in_a_schema_the_rows_depend_on_the_set_of_envelopes_alone(postgres_place: Place, delivery: Delivery) -> None:
    with own_schema(postgres_place.url) as schema:
        check_law(delivery, postgres_place.url, schema)
