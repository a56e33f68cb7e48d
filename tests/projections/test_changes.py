"""The change feed: a copy that follows it equals the schedule, whatever happens between two polls."""

from __future__ import annotations

import itertools
import json
import sqlite3
import threading
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.appointment import Appointment, current_fold_version
from domain.errors import InvalidToken, NotInstalled, RebuildFailed, UsageError
from projections import Appointments, Changes, Schedules
from projections.cli.app import run
from projections.cli.sample import sample_envelopes
from projections.queries.cursors import seal
from projections.queries.filters import question_of
from projections.rows import Side
from tests.conftest import Ask, Place, own_schema
from tests.support.builders import as_json, envelope
from tests.support.generations import TALENT as SAMPLE_TALENT
from tests.support.generations import execute
from tests.support.histories import histories, names
from tests.support.rebuilding import rebuilt, upgrade


class Window(TypedDict, total=False):
    start: datetime
    end: datetime


JULY: Window = {"start": datetime(2023, 7, 10, 9, tzinfo=UTC), "end": datetime(2023, 7, 12, tzinfo=UTC)}
FOREVER: Window = {}
_numbers = itertools.count(1)


class Copy:
    """What a caller of the feed keeps."""

    def __init__(self, schedules: Schedules, window: Window, limit: int | None = None, **owner: str) -> None:
        self._schedules = schedules
        self.limit = limit
        self._window = window
        self._owner = owner
        self._token: str | None = None
        self.appointments: dict[str, Appointment] = {}

    def poll(self) -> Changes:
        changes = self._schedules.changes(since=self._token, limit=self.limit, **self._owner, **self._window)  # type: ignore[arg-type] # which one, mypy cannot see
        for change in changes:
            if change.appointment is None:
                self.appointments.pop(change.id, None)
            else:
                self.appointments[change.id] = change.appointment
        self._token = changes.token
        return changes

    def poll_to_the_end(self) -> None:
        while len(self.poll()):
            pass

    def check(self) -> None:
        [(kind, owner_id)] = self._owner.items()
        ask = self._schedules.talent if kind == "talent_id" else self._schedules.coach
        assert self.appointments == {one.id: one for one in ask(owner_id, **self._window)}


def follow_a_history(url: str, schema: str | None, envelopes: list[dict[str, Any]], steps: list[str]) -> None:
    with Appointments.open(url, schema=schema) as appointments:
        events = appointments.events
        projector = appointments.projector
        schedules = appointments.schedules
        projector.install()
        copies = [
            Copy(schedules, window, limit, **{kind: owner})
            for window, limit in ((FOREVER, None), (JULY, None), (JULY, 1))
            for kind, owners in (("talent_id", names("talent", 3)), ("coach_id", names("coach", 3)))
            for owner in owners
        ]
        arriving = iter(envelopes)
        for step in [*steps, *("append" for _ in envelopes), "project", "poll"]:
            if step == "append":
                events.append(itertools.islice(arriving, 1))
            elif step == "project":
                projector.catch_up()
            elif step == "rebuild":
                appointments.rebuild(processes=1)
            elif step == "rollback":
                with suppress(RebuildFailed):
                    appointments.rollback()
            else:
                for copy in copies:
                    copy.poll()
                    if copy.limit is None:
                        copy.check()
        for copy in copies:
            copy.poll_to_the_end()
            copy.check()


STEPS = st.lists(
    st.sampled_from(["append", "append", "project", "project", "rebuild", "rollback", "poll"]), max_size=20
)


@settings(max_examples=200)
@given(histories(max_envelopes=12), STEPS)
def test_a_copy_that_follows_the_feed_equals_the_schedule(envelopes: list[dict[str, Any]], steps: list[str]) -> None:
    follow_a_history(f"memory:feed-{next(_numbers)}", None, envelopes, steps)


@settings(max_examples=15)
@given(envelopes=histories(max_envelopes=12), steps=STEPS)
def test_a_copy_of_a_file_follows_the_feed(
    tmp_path_factory: pytest.TempPathFactory, envelopes: list[dict[str, Any]], steps: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("feed")
    follow_a_history(f"sqlite:///{folder}/appointments.db", None, envelopes, steps)


@settings(max_examples=8)
@given(envelopes=histories(max_envelopes=12), steps=STEPS)
def test_a_copy_of_a_schema_follows_the_feed(
    postgres_place: Place, envelopes: list[dict[str, Any]], steps: list[str]
) -> None:
    with own_schema(postgres_place.url) as schema:
        follow_a_history(postgres_place.url, schema, envelopes, steps)


def test_a_feed_is_complete_while_several_projectors_take_turns(durable_place: Place) -> None:
    schedules, events = durable_place.schedules(), durable_place.events()
    projectors = [durable_place.projector() for _ in range(3)]
    owners = ["7a1e0000-0000-4000-8000-000000000000"]
    copies = [Copy(schedules, FOREVER, talent_id=owner) for owner in owners]
    stop = threading.Event()
    followers = [threading.Thread(target=one.follow, args=(stop,)) for one in projectors]
    for follower in followers:
        follower.start()
    try:
        lines = list(sample_envelopes(1500))
        for start in range(0, len(lines), 50):
            events.append(lines[start : start + 50])
            for copy in copies:
                copy.poll()
        schedules.talents(at_least=events.head(), timeout=60)
    finally:
        stop.set()
        for follower in followers:
            follower.join()
    for copy in copies:
        copy.poll()
        copy.check()
        assert copy.appointments


def project(place: Place, *envelopes: dict[str, Any]) -> Schedules:
    place.events().append(as_json(one) for one in envelopes)
    place.projector().catch_up()
    return place.schedules()


def backup(place: Place, path: Path) -> None:
    with closing(sqlite3.connect(_file_of(place))) as database:
        database.execute("VACUUM INTO ?", (str(path),))


def restore(place: Place, path: Path) -> None:
    with closing(sqlite3.connect(path)) as copy, closing(sqlite3.connect(_file_of(place))) as database:
        copy.backup(database)


def _file_of(place: Place) -> str:
    return place.url.removeprefix("sqlite:///")


def test_without_a_token_the_feed_is_everything_present(place: Place) -> None:
    schedules = project(place, envelope(1, id="a"), envelope(2, id="b"), envelope(3, id="b", talentId="other"))
    changes = schedules.changes(talent_id="talent-1")
    assert [(one.id, one.removed) for one in changes] == [("a", False)]
    assert changes.to_json()["changes"][0].keys() == {"id", "removed", "appointment"}


def test_the_first_time_changes_come_in_order_of_time_and_then_as_they_were_projected(place: Place) -> None:
    schedules = project(
        place,
        envelope(1, id="c", startDate="2023-07-12T09:00:00Z"),
        envelope(2, id="undated", startDate=None),
        envelope(3, id="a", startDate="2023-07-10T09:00:00Z"),
        envelope(4, id="b", startDate="2023-07-11T09:00:00Z"),
        envelope(5, id="gone", startDate="2023-07-11T09:00:00Z", deletedAt="2023-07-01T00:00:00Z"),
    )
    first = schedules.changes(talent_id="talent-1")
    assert [one.id for one in first] == ["a", "b", "c", "undated"]
    project(place, envelope(6, id="c"), envelope(7, id="a"))
    assert [one.id for one in schedules.changes(talent_id="talent-1", since=first.token)] == ["c", "a"]


def test_what_moved_away_or_was_deleted_comes_as_removed(place: Place) -> None:
    schedules = project(place, envelope(1, id="a"), envelope(2, id="b"), envelope(3, id="c"))
    token = schedules.changes(talent_id="talent-1").token
    project(place, envelope(4, id="a", talentId="other"), envelope(5, id="b", deletedAt="2023-07-03T00:00:00Z"))
    changes = schedules.changes(talent_id="talent-1", since=token)
    assert [(one.id, one.removed) for one in changes] == [("a", True), ("b", True)]
    assert schedules.changes(talent_id="talent-1", since=changes.token).changes == ()


def test_what_left_the_window_comes_as_removed(place: Place) -> None:
    schedules = project(place, envelope(1, id="a", startDate="2023-07-10T10:00:00Z"))
    token = schedules.changes(talent_id="talent-1", **JULY).token
    project(place, envelope(2, id="a", startDate="2024-07-10T10:00:00Z", endDate=None))
    assert [one.removed for one in schedules.changes(talent_id="talent-1", since=token, **JULY)] == [True]


@pytest.mark.parametrize("token", ["", "x", "é", "AAAA", "a" * 10_000])
def test_a_token_that_is_none_is_refused(place: Place, token: str) -> None:
    schedules = project(place, envelope(1))
    with pytest.raises(InvalidToken, match="start over"):
        schedules.changes(talent_id="talent-1", since=token)


def test_a_token_of_another_schedule_or_window_is_refused(place: Place) -> None:
    schedules = project(place, envelope(1))
    token = schedules.changes(talent_id="talent-1").token
    with pytest.raises(InvalidToken, match="start over"):
        schedules.changes(talent_id="talent-2", since=token)
    with pytest.raises(InvalidToken, match="start over"):
        schedules.changes(coach_id="talent-1", since=token)
    with pytest.raises(InvalidToken, match="start over"):
        schedules.changes(talent_id="talent-1", since=token, **JULY)
    with pytest.raises(InvalidToken, match="start over"):
        schedules.changes(talent_id="talent-1", since=token[:-1] + ("A" if token[-1] != "A" else "B"))


def test_a_token_of_another_version_of_the_fold_says_to_start_over(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedules = project(place, envelope(1))
    token = schedules.changes(talent_id="talent-1").token
    upgrade(monkeypatch)
    rebuilt(place)
    with pytest.raises(InvalidToken, match=r"of the fold.*start over"):
        schedules.changes(talent_id="talent-1", since=token)


def test_a_token_from_beyond_the_head_is_refused(sqlite_place: Place, tmp_path: Path) -> None:
    schedules = project(sqlite_place, envelope(1))
    backup(sqlite_place, tmp_path / "backup.db")
    token = project(sqlite_place, envelope(2)).changes(talent_id="talent-1").token
    restore(sqlite_place, tmp_path / "backup.db")
    with pytest.raises(InvalidToken, match="ahead of the event store"):
        schedules.changes(talent_id="talent-1", since=token)


OF_ANOTHER_STORE = r"another event store, or of this one before it was restored; start over"


def test_a_token_from_before_a_restore_is_refused_whatever_arrived_since(
    sqlite_place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schedules = project(sqlite_place, envelope(1, id="a"))
    backup(sqlite_place, tmp_path / "backup.db")
    project(sqlite_place, envelope(2, id="b"))
    copy = Copy(schedules, FOREVER, talent_id="talent-1")
    copy.poll()
    restore(sqlite_place, tmp_path / "backup.db")
    assert run(["init", "--restored", *sqlite_place.arguments]) == 0
    assert capsys.readouterr().err == ""
    project(sqlite_place, envelope(3, id="c"), envelope(4, id="d"))
    with pytest.raises(InvalidToken, match=OF_ANOTHER_STORE):
        copy.poll()
    fresh = Copy(schedules, FOREVER, talent_id="talent-1")
    fresh.poll()
    fresh.check()


def test_a_new_epoch_ends_the_tokens_before_it_and_no_others(place: Place) -> None:
    schedules = project(place, envelope(1, id="a"))
    before = schedules.changes(talent_id="talent-1").token
    assert place.schedules().changes(talent_id="talent-1", since=before).changes == ()
    place.events().renew_epoch()
    with pytest.raises(InvalidToken, match=OF_ANOTHER_STORE):
        schedules.changes(talent_id="talent-1", since=before)
    after = schedules.changes(talent_id="talent-1").token
    place.appointments().rebuild(processes=1)
    project(place, envelope(2, id="b"))
    assert [one.id for one in schedules.changes(talent_id="talent-1", since=after)] == ["b"]


def test_events_restored_into_a_new_installation_have_an_epoch_of_their_own(
    durable_place: Place, sqlite_place: Place, tmp_path: Path
) -> None:
    token = project(durable_place, envelope(1), envelope(2)).changes(talent_id="talent-1").token
    place = Place("sqlite", f"sqlite:///{tmp_path}/restored.db", closing=sqlite_place.closing)
    place.projector()
    columns = "originator_id, originator_version, topic, state"
    for event in execute(durable_place, f"SELECT {columns} FROM stored_events ORDER BY originator_version"):
        execute(place, f"INSERT INTO stored_events ({columns}) VALUES (?, ?, ?, ?)", *event)
    schedules = project(place)
    assert len(schedules.changes(talent_id="talent-1")) == 1
    with pytest.raises(InvalidToken, match=OF_ANOTHER_STORE):
        schedules.changes(talent_id="talent-1", since=token)


def test_a_token_made_before_there_were_epochs_is_refused(place: Place) -> None:
    schedules = project(place, envelope(1))
    belongs_to = ["changes", *question_of(Side.TALENT, "talent-1", {}).belongs_to]
    token = seal([current_fold_version(), 1], belongs_to=belongs_to)
    with pytest.raises(InvalidToken, match=OF_ANOTHER_STORE):
        schedules.changes(talent_id="talent-1", since=token)


def test_a_page_goes_on_after_a_restore_where_it_ended(place: Place) -> None:
    schedules = project(place, *(envelope(number, id=f"id-{number}") for number in (1, 2, 3)))
    page = schedules.talent("talent-1", limit=2)
    place.events().renew_epoch()
    assert [one.id for one in schedules.talent("talent-1", limit=2, after=page.next)] == ["id-3"]


def test_where_nothing_is_installed_no_epoch_is_renewed(ask: Ask, durable_place: Place, tmp_path: Path) -> None:
    status, out, complaint = ask("init", "--restored")
    assert (status, out, complaint.count("\n")) == (2, "", 1)
    assert "appointments init" in complaint
    with pytest.raises(NotInstalled):
        durable_place.events().renew_epoch()
    assert list(tmp_path.iterdir()) == []


def test_init_either_prints_or_renews(ask: Ask) -> None:
    status, out, complaint = ask("init", "--restored", "--print")
    assert (status, out) == (2, "")
    assert "--print and --restored" in complaint


def test_a_feed_is_of_one_talent_or_of_one_coach(memory_place: Place) -> None:
    schedules = project(memory_place, envelope(1))
    with pytest.raises(UsageError, match="one of the two"):
        schedules.changes()
    with pytest.raises(UsageError, match="one of the two"):
        schedules.changes(talent_id="a", coach_id="b")


def test_the_parts_of_a_limited_answer_are_the_whole_answer_with_its_token(place: Place) -> None:
    place.events().append(sample_envelopes(600))
    place.projector().catch_up()
    schedules = place.schedules()
    whole = schedules.changes(talent_id=SAMPLE_TALENT)
    place.events().append(
        as_json(envelope(number, id=f"a-{number}", talentId=SAMPLE_TALENT)) for number in range(1, 6)
    )
    place.projector().catch_up()
    for since in (None, whole.token):
        expected = schedules.changes(talent_id=SAMPLE_TALENT, since=since)
        assert len(expected) > 4
        parts = [schedules.changes(talent_id=SAMPLE_TALENT, since=since, limit=2)]
        while parts[-1].more:
            assert len(parts[-1]) == 2
            parts.append(schedules.changes(talent_id=SAMPLE_TALENT, since=parts[-1].token, limit=2))
        assert [one for part in parts for one in part] == list(expected)
        assert (parts[-1].token, expected.more) == (expected.token, False)


def test_what_changes_while_the_first_answer_comes_in_parts_comes_after_it(place: Place) -> None:
    place.events().append(
        as_json(envelope(number, id=f"a-{number}", startDate=f"2023-07-0{number}T09:00:00Z"))
        for number in range(1, 5)
    )
    place.projector().catch_up()
    copy = Copy(place.schedules(), FOREVER, 2, talent_id="talent-1")
    assert [one.id for one in copy.poll()] == ["a-1", "a-2"]
    place.events().append(
        [
            as_json(envelope(11, id="a-1", deletedAt="2023-07-09T00:00:00Z")),
            as_json(envelope(12, id="a-4", startDate="2023-07-01T08:00:00Z")),
        ]
    )
    place.projector().catch_up()
    copy.poll_to_the_end()
    copy.check()
    assert set(copy.appointments) == {"a-2", "a-3", "a-4"}


def test_the_command_prints_a_limited_answer_and_the_token_that_goes_on(durable_place: Place, ask: Ask) -> None:
    durable_place.events().append(as_json(envelope(number, id=f"a-{number}")) for number in (1, 2, 3))
    durable_place.projector().catch_up()
    status, out, _ = ask("changes", "--talent", "talent-1", "--limit", "2", "--tz", "UTC")
    assert (status, out.count("PLANNED")) == (0, 2)
    [token] = [line.removeprefix("More: --since ") for line in out.splitlines() if line.startswith("More")]
    status, out, _ = ask("changes", "--talent", "talent-1", "--limit", "2", "--tz", "UTC", "--since", token)
    assert (out.count("PLANNED"), "Next: --since" in out) == (1, True)


def test_the_command_prints_the_document_of_the_answer(durable_place: Place, ask: Ask) -> None:
    durable_place.events().append(sample_envelopes(300))
    durable_place.projector().catch_up()
    schedules = durable_place.schedules()
    first = schedules.changes(talent_id=SAMPLE_TALENT, limit=1)
    for options, changes in (
        ([], schedules.changes(talent_id=SAMPLE_TALENT)),
        (["--since", first.token], schedules.changes(talent_id=SAMPLE_TALENT, since=first.token)),
        (["--limit", "1"], first),
    ):
        _, out, _ = ask("changes", "--talent", SAMPLE_TALENT, "--json", *options)
        assert out == json.dumps(changes.to_json(), ensure_ascii=False, indent=2) + "\n"
