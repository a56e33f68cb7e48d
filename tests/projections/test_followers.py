"""Health that finds the dead: followers are seen, and an event that cannot be folded is told."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Event, Thread

import pytest

from domain.errors import PoisonEvent
from domain.identifiers import Position
from projections.following import sign_of_life
from tests.conftest import Ask, Place
from tests.support.builders import as_json, envelope
from tests.support.damage import damage_stored
from tests.support.generations import wait_until


def poisoned(place: Place) -> None:
    """The second of three envelopes cannot be folded."""
    place.projector()
    place.events().append([as_json(envelope(number, id=f"a-{number}")) for number in (1, 2, 3)])
    damage_stored(place, 2, b"{}")
    with pytest.raises(PoisonEvent):
        place.projector().catch_up()


def test_a_follower_is_seen_with_its_position(place: Place) -> None:
    place.projector()
    place.events().append([as_json(envelope(1))])
    appointments, stop = place.appointments(), Event()
    assert appointments.status().followers == ()
    before = datetime.now(UTC)
    thread = Thread(target=appointments.projector.follow, args=[stop])
    thread.start()
    try:
        wait_until(lambda: bool(appointments.status().followers))
    finally:
        stop.set()
        thread.join()
    [seen] = appointments.status().followers
    assert (seen.position, seen.blocked_at) == (1, None)
    assert before <= seen.started_at <= seen.seen_at <= datetime.now(UTC)


def test_a_poison_event_is_told_until_it_is_passed(place: Place) -> None:
    poisoned(place)
    status = place.appointments().status()
    assert (status.position, status.blocked_at, status.lag) == (1, 2, 2)
    damage_stored(place, 2, as_json(envelope(2, id="a-2")))
    place.projector().catch_up()
    assert place.appointments().status().blocked_at is None


def test_followers_of_another_version_of_the_fold_say_nothing_of_the_health_of_this_one(place: Place) -> None:
    place.projector()
    place.store().sign(replace(sign_of_life(Position(0), blocked_at=Position(1)), fold_version=0))
    status = place.appointments().status()
    assert (status.followers, status.blocked_at) == ((), None)


def test_the_health_check_finds_a_poison_event(durable_place: Place, ask: Ask) -> None:
    poisoned(durable_place)
    status, _, complaint = ask("status", "--check")
    assert status == 1
    assert complaint == "appointments: an event that cannot be folded stops the projector, at position 2\n"


def test_the_health_check_finds_that_no_follower_runs(durable_place: Place, ask: Ask) -> None:
    durable_place.projector()
    missing = (1, "appointments: no follower gave a sign of life within 60 s\n")
    check = ("status", "--check", "--max-silence", "60")
    assert ask(*check)[::2] == missing
    sign = sign_of_life(Position(0))
    durable_place.store().sign(sign)
    status, out, complaint = ask(*check)
    assert (status, complaint) == (0, "")
    assert f"follower {sign.name} since " in out


def test_status_shows_the_bytes_on_disk_of_each_table(durable_place: Place, ask: Ask) -> None:
    durable_place.projector()
    before = durable_place.appointments().sizes()
    assert {"stored_events", "quarantine", "talent_schedule_1"} <= set(before)
    durable_place.events().append(as_json(envelope(number, id=f"a-{number}")) for number in range(1, 500))
    assert durable_place.appointments().sizes()["stored_events"] > before["stored_events"] > 0
    _, out, _ = ask("status", "--sizes", "--json")
    assert json.loads(out)["sizes"]["stored_events"] > before["stored_events"]
    _, out, _ = ask("status", "--sizes")
    assert "bytes of stored_events" in out


def test_a_sign_takes_the_place_of_the_one_before_and_old_ones_are_forgotten(durable_place: Place) -> None:
    durable_place.projector()
    store = durable_place.store()
    sign = sign_of_life(Position(1))
    old = replace(sign, name="old", seen_at=sign.seen_at - timedelta(days=2))
    store.sign(old)
    store.sign(sign)
    store.sign(sign_of_life(Position(2), started_at=sign.started_at))
    [seen] = store.followers()
    assert (seen.name, seen.position, seen.started_at) == (sign.name, 2, sign.started_at)
