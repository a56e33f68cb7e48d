"""Several processes that share a rebuild or a verification find what one finds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from domain.errors import StorageError
from domain.identifiers import Generation, Position
from projections import DifferencesFound, Progress, rebuild, verify
from projections.stores.postgres_building import PostgresBuilder
from projections.stores.sqlite_building import SQLiteBuilder
from projections.verify import verification
from tests.builders import as_json, envelope
from tests.conftest import Place
from tests.damage import At, change, remove, where
from tests.generations import (
    builder,
)


def test_processes_that_share_a_verification_see_one_snapshot_and_find_what_one_process_finds(
    postgres_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    events, projector = postgres_place.events(), postgres_place.projector()
    events.append(as_json(envelope(number, id=f"appointment-{number % 50:02}")) for number in range(1, 201))
    projector.catch_up()
    for one in ("appointment-07", "appointment-41"):
        change(postgres_place, At("appointment", one), position=1)
        remove(postgres_place, At("talent_schedule", one, "talent-1"))
    alone = verification(postgres_place.url, schema=postgres_place.schema)
    monkeypatch.setattr(PostgresBuilder, "piece_events", 20)

    def append_more(done: int, total: int) -> None:
        assert done <= total == 50
        events.append([as_json(envelope(1000 + done, id=f"appointment-{done}"))])
        projector.catch_up()

    shared = verification(postgres_place.url, schema=postgres_place.schema, progress=append_more)
    assert shared.checked == alone.checked == 50
    assert len(shared.differences) == 4
    assert sorted(map(str, shared.differences)) == sorted(map(str, alone.differences))


def test_processes_that_share_a_rebuild_of_a_file_find_what_is_wrong_with_it(
    sqlite_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SQLiteBuilder, "piece_events", 20)
    sqlite_place.events().append(
        as_json(envelope(number, id=f"appointment-{number % 50:02}")) for number in range(1, 201)
    )

    def damage(told: Progress) -> None:
        if told.phase == "catch up":
            change(sqlite_place, At("appointment", "appointment-07"), generation=2, position=1)

    with pytest.raises(DifferencesFound) as caught:
        rebuild(sqlite_place.url, processes=2, progress=damage)
    assert where(caught.value.differences) == {("appointment", "appointment-07", None, "position")}
    assert rebuild(sqlite_place.url, processes=2).position == 200
    assert verify(sqlite_place.url) == []


def test_a_view_of_a_file_is_shared_only_while_nobody_changes_what_it_shows(sqlite_place: Place) -> None:
    sqlite_place.projector()
    adapter = builder(sqlite_place)
    with adapter.snapshot(Generation(1)) as serving:
        assert serving.share() is None
    generation = adapter.begin([])
    with adapter.snapshot(generation) as building, adapter.snapshot(generation, token=building.share()) as same:
        assert same.share() == building.share() is not None
        token = building.share()
    adapter.finish(generation, Position(5))
    with pytest.raises(StorageError, match="changed while it was checked"), adapter.snapshot(generation, token=token):
        pass


SCRIPT = """
import sys
from domain import EventStore
from projections import rebuild
from projections.sample import sample_envelopes
from projections.stores.sqlite_building import SQLiteBuilder

SQLiteBuilder.piece_events = 50
with EventStore.open(sys.argv[1]) as events:
    events.append(sample_envelopes(500))
print(rebuild(sys.argv[1], processes=2).events)
"""


def test_a_script_without_a_main_guard_may_rebuild(sqlite_place: Place, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, script, sqlite_place.url], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "500\n", "")
