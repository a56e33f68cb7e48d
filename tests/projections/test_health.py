"""What status tells of rebuilds, verifications and the last commit, and what its check finds in them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from projections import InstallationStatus
from projections.rebuilding.progress import Progress
from projections.rebuilding.signs import SIGN_SECONDS, RebuildSigns
from projections.stores.memory.health import MemoryHealth
from tests.conftest import Ask, Place
from tests.support.builders import as_json, envelope
from tests.support.damage import At, remove
from tests.support.generations import BrokenOffError, execute


def status(place: Place) -> InstallationStatus:
    return place.appointments().status()


def append(place: Place, *event_ids: int) -> None:
    place.projector()
    place.events().append([as_json(envelope(one, id=f"a-{one}")) for one in event_ids])
    place.projector().catch_up()


def break_off(place: Place, phase: str) -> None:
    """A rebuild that ends, as if it were killed, when it comes to a phase."""

    def end(progress: Progress) -> None:
        if progress.phase == phase:
            raise BrokenOffError

    with pytest.raises(BrokenOffError):
        place.appointments().rebuild(processes=1, progress=end)


def test_an_interrupted_rebuild_is_told_with_how_far_it_is_until_the_next_one_completes_it(place: Place) -> None:
    append(place, 1, 2, 3)
    assert status(place).rebuild is None
    break_off(place, "index")
    found = status(place).rebuild
    assert found is not None
    assert (found.generation, found.phase) == (2, "index")
    assert found.partitions_loaded == found.partitions >= 1
    assert found.silent_seconds < 60
    place.appointments().rebuild(processes=1)
    assert status(place).rebuild is None


def test_the_sign_of_an_earlier_rebuild_is_none_of_the_next_one(place: Place) -> None:
    append(place, 1)
    place.appointments().rebuild(processes=1)
    with pytest.raises(BrokenOffError):
        place.appointments().rebuild(processes=1, progress=lambda _: (_ for _ in ()).throw(BrokenOffError))
    found = status(place).rebuild
    assert found is not None
    assert (found.generation, found.phase, found.partitions_loaded) == (3, "read and fold", 0)


def test_a_rebuild_gives_a_sign_with_each_phase_and_now_and_then_within_one(monkeypatch: pytest.MonkeyPatch) -> None:
    signed: list[str] = []
    monkeypatch.setattr(MemoryHealth, "sign_rebuild", lambda _, phase: signed.append(phase))
    now = 0.0
    monkeypatch.setattr("projections.rebuilding.signs.time.monotonic", lambda: now)
    with_signs = RebuildSigns(MemoryHealth.__new__(MemoryHealth), None)
    for now in (0.0, 1.0, SIGN_SECONDS, SIGN_SECONDS + 1):  # noqa: B007 - read by the clock
        with_signs(Progress("load", 1, 2, 0.0))
    with_signs(Progress("index", 0, 1, 0.0))
    assert signed == ["load", "load", "index"]


def test_the_health_check_finds_a_rebuild_that_stands_still(durable_place: Place, ask: Ask) -> None:
    append(durable_place, 1)
    break_off(durable_place, "index")
    assert ask("status", "--check")[0] == 0
    long_ago = datetime.now(UTC) - timedelta(seconds=700)
    value = long_ago.isoformat() if durable_place.backend == "sqlite" else long_ago
    execute(durable_place, "UPDATE rebuild_sign SET seen_at = ?", value)
    execute(durable_place, "UPDATE generation SET created_at = ? WHERE number = 2", value)
    code, out, complaint = ask("status", "--check")
    assert code == 1
    assert "rebuild of generation 2, index: 1 of 1 partitions loaded, seen " in out
    assert complaint.startswith(
        "appointments: the rebuild of generation 2 stands still: it gave no sign of life for 70"
    )
    assert ask("status", "--check", "--max-rebuild-silence", "800")[0] == 0


def test_the_last_verification_of_everything_is_noted_with_its_differences(place: Place) -> None:
    append(place, 1, 2)
    place.appointments().verify(sample=1)
    assert status(place).last_verification is None
    before = datetime.now(UTC) - timedelta(seconds=1)
    place.appointments().verify()
    noted = status(place).last_verification
    assert noted is not None
    assert (noted.generation, noted.checked, noted.differences) == (1, 2, 0)
    assert before < noted.verified_at < datetime.now(UTC) + timedelta(seconds=1)
    remove(place, At("talent_schedule", "a-1", "talent-1"))
    place.appointments().verify()
    again = status(place).last_verification
    assert again is not None
    assert again.differences == 1
    assert place.appointments().rebuild(processes=1).generation == 2
    last = status(place).last_verification
    assert last is not None
    assert (last.generation, last.checked, last.differences) == (2, 2, 0)


def test_the_health_check_finds_the_differences_of_the_last_verification(durable_place: Place, ask: Ask) -> None:
    append(durable_place, 1)
    remove(durable_place, At("talent_schedule", "a-1", "talent-1"))
    assert ask("verify")[0] == 1
    code, out, complaint = ask("status", "--check")
    assert code == 1
    assert "verified generation 1 " in out
    assert complaint == "appointments: the last verification, of generation 1, found differences: 1\n"


def test_the_last_commit_of_a_projector_is_told(place: Place) -> None:
    place.projector()
    assert status(place).projected_at is None
    append(place, 1)
    first = status(place).projected_at
    assert first is not None
    assert abs((datetime.now(UTC) - first).total_seconds()) < 60
    append(place, 2)
    second = status(place).projected_at
    assert second is not None
    assert second >= first
    place.appointments().rebuild(processes=1)
    rebuilt = status(place).projected_at
    assert rebuilt is not None
    assert rebuilt >= second


def test_the_document_tells_it_too(durable_place: Place, ask: Ask) -> None:
    append(durable_place, 1)
    assert ask("verify")[0] == 0
    break_off(durable_place, "index")
    document = json.loads(ask("status", "--json")[1])
    assert document["rebuild"]["partitions_loaded"] == 1
    assert document["last_verification"]["differences"] == 0
    assert document["projected_at"].endswith("Z")
