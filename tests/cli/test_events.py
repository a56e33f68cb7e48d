"""`events show`: a stored event by its position, poison or not."""

from __future__ import annotations

import json

from domain.topics import TOPIC
from tests.conftest import Ask, Place
from tests.projections.test_projector import store_unchecked
from tests.support.builders import as_json, envelope


def test_a_poison_event_is_shown_with_the_reason_and_its_bytes(durable_place: Place, ask: Ask) -> None:
    durable_place.projector()
    position = store_unchecked(durable_place, 50, "a-50", TOPIC, b"{}")
    status, out, complaint = ask("events", "show", str(position), "--json")
    shown = json.loads(out)
    assert (status, complaint) == (0, "")
    assert (shown["position"], shown["event_id"], shown["appointment_id"], shown["topic"], shown["text"]) == (
        position, 50, "a-50", TOPIC, "{}",
    )  # fmt: skip
    assert shown["poison"]
    assert ask("events", "show", str(position), "--raw") == (0, "{}", "")
    assert f"poison: {shown['poison']}" in ask("events", "show", str(position))[1]


def test_an_event_that_is_not_poison_is_shown_as_such(durable_place: Place, ask: Ask) -> None:
    durable_place.projector()
    durable_place.events().append([as_json(envelope(7))])
    status, out, _ = ask("events", "show", "1", "--json")
    assert (status, json.loads(out)["poison"], json.loads(out)["event_id"]) == (0, None, 7)
    assert "poison: no, it can be folded" in ask("events", "show", "1")[1]


def test_an_unknown_position_is_one_line(durable_place: Place, ask: Ask) -> None:
    durable_place.projector()
    for position in ("5", "99999999999999999999999"):
        assert ask("events", "show", position) == (
            1,
            "",
            f"appointments: no stored event has the position {position}\n",
        )
    assert ask("events", "show", "0")[0] == 2
    assert ask("events", "show", "1", "--raw", "--json")[0] == 2
