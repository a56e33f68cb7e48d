"""The command line for programs: the JSON documents that questions are answered with, and the options they take."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Ask, Place
from tests.support.builders import APPOINTMENT, COACH, TALENT, as_json, envelope

FIELDS = [
    "id", "talent_id", "coach_id", "status", "title", "description", "start_date", "end_date", "appointment_type",
    "subphase_id", "talent_block_id", "canceled_by", "cancelation_reason", "cancelation_explanation", "created_at",
    "updated_at", "deleted_at", "event_id", "revision", "reschedules", "irregular",
]  # fmt: skip

STAMP = ["position", "lag", "generation"]


def ids(schedule: Any) -> list[str]:
    return [one["id"].removeprefix("appointment-") for one in schedule["appointments"]]


@pytest.mark.parametrize(("option", "name"), [("talent", TALENT), ("coach", COACH)])
def test_a_schedule_has_its_stamp_and_every_field_of_its_appointments(
    filled: Place, document: Any, option: str, name: str
) -> None:
    del filled
    schedule = document(option, name)
    assert list(schedule) == [f"{option}_id", *STAMP, "as_of", "known_at", "appointments", "next"]
    assert (schedule[f"{option}_id"], schedule["lag"], schedule["generation"]) == (name, 0, 1)
    assert (schedule["as_of"], schedule["next"]) == (None, None)
    assert [list(one) for one in schedule["appointments"]] == [FIELDS] * len(schedule["appointments"])
    assert schedule["appointments"][0]["start_date"] == "2023-07-10T09:00:00.000Z"


OPTIONS = [
    ("", "1 2 3 4"),
    ("--status PLANNED", "1 2 4"),
    ("--status CANCELED --status DONE", "3"),
    ("--from 2023-07-10T10:00:00Z", "2 3"),
    ("--to 2023-07-10T09:30:00Z", "1"),
    ("--from 2023-07-11 --to 2023-07-14 --tz UTC", "3"),
    ("--from 2023-07-10T12:00 --to 2023-07-10T12:01 --tz Europe/Paris", "2"),
    ("--upcoming --now 2023-07-10T10:15:00Z", "2 3"),
    ("--past --now 2023-07-10T10:15:00Z", "1"),
    ("--include-deleted", "1 5 2 3 4"),
    ("--include-deleted --type PART_ONE", ""),
    ("--include-deleted --type STANDALONE --status DONE", "5"),
    ("--subphase subphase-1", ""),
    ("--as-of 2023-07-02T00:00:06Z --appointment-type PART_ONE --subphase-id subphase-1", "5"),
    ("--coach coach-2", "4"),
    ("--desc", "3 2 1 4"),
    ("--limit 2", "1 2"),
    ("--as-of 2023-07-02T00:00:02Z", "1 2"),
    ("--as-of 2023-07-02T00:00:06Z --type PART_ONE --subphase subphase-1", "5"),
    ("--at-least 7 --timeout 0", "1 2 3 4"),
]


def test_every_option_of_a_schedule_narrows_or_orders_it(filled: Place, document: Any) -> None:
    del filled
    for options, expected in OPTIONS:
        assert ids(document("talent", TALENT, *options.split())) == expected.split(), options


def test_a_coach_is_asked_as_a_talent_is_and_a_talent_narrows_it(filled: Place, document: Any) -> None:
    del filled
    assert ids(document("coach", COACH, "--talent", TALENT, "--status", "PLANNED")) == ["1", "2"]
    assert ids(document("coach", COACH, "--talent", "somebody else")) == []


@pytest.mark.parametrize("arguments", [["talent", TALENT], ["talent", TALENT, "--desc"], ["talents"], ["coaches"]])
def test_pages_put_together_are_the_whole(filled: Place, document: Any, arguments: list[str]) -> None:
    del filled
    name = {"talent": "appointments"}.get(arguments[0], arguments[0])
    whole = document(*arguments)[name]
    page = document(*arguments, "--limit", "1")
    pages = page[name]
    while page["next"]:
        page = document(*arguments, "--limit", "1", "--after", page["next"])
        pages += page[name]
    assert pages == whole


def test_a_schedule_as_of_a_time_says_so(filled: Place, document: Any) -> None:
    del filled
    assert document("talent", TALENT, "--as-of", "2023-07-02T02:00:03+02:00")["as_of"] == "2023-07-02T00:00:03.000Z"


def test_talents_and_coaches_are_listed_with_counts_by_status(filled: Place, document: Any) -> None:
    del filled
    talents = document("talents")
    assert list(talents) == ["talents", *STAMP, "next"]
    assert talents["talents"] == [{"talent_id": TALENT, "PLANNED": 3, "DONE": 0, "CANCELED": 1}]
    assert [one["coach_id"] for one in document("coaches")["coaches"]] == [COACH, "coach-2"]


def test_an_appointment_is_the_object_itself_with_its_lifecycle_and_the_stamp(filled: Place, document: Any) -> None:
    del filled
    one = document("appointment", "appointment-3")
    assert list(one) == [*FIELDS, "lifecycle", *STAMP]
    assert (one["revision"], one["reschedules"], one["irregular"]) == (2, 1, False)
    assert one["lifecycle"] == [
        {
            "status": "PLANNED",
            "event_id": 3,
            "at": "2023-07-02T00:00:03.000Z",
            "canceled_by": None,
            "cancelation_reason": None,
        },
        {
            "status": "CANCELED",
            "event_id": 4,
            "at": "2023-07-02T00:00:04.000Z",
            "canceled_by": "COACH",
            "cancelation_reason": "TALENT_NO_SHOW",
        },
    ]


def test_history_lists_each_revision_with_what_it_changed(filled: Place, document: Any) -> None:
    filled.events().append([as_json(envelope(9, title="second")), as_json(envelope(8, title="first"))])
    history = document("history", APPOINTMENT)
    assert (list(history), history["id"]) == (["id", "revisions"], APPOINTMENT)
    first, late, last = history["revisions"]
    assert list(first) == ["event_id", "at", "arrived_at", "position", "late", "changes"]
    assert {"field": "status", "old": None, "new": "PLANNED"} in first["changes"]
    assert (late["event_id"], late["late"], last["late"]) == (8, True, False)
    assert last["changes"] == [{"field": "title", "old": "first", "new": "second"}]


def test_changes_are_what_to_put_in_and_take_out_since_a_token(filled: Place, document: Any) -> None:
    first = document("changes", "--talent", TALENT)
    assert set(first) >= {"changes", "token"}
    assert [list(one) for one in first["changes"]] == [["id", "removed", "appointment"]] * 4
    assert list(first["changes"][0]["appointment"]) == FIELDS
    filled.events().append([as_json(envelope(20, talentId="somebody else"))])
    assert document("project") == {"position": 8}
    since = document("changes", "--talent", TALENT, "--since", first["token"])
    assert since["changes"] == [{"id": APPOINTMENT, "removed": True, "appointment": None}]
    assert document("changes", "--talent", TALENT, "--since", since["token"])["changes"] == []


def test_conflicts_are_pairs_with_the_time_that_both_take(filled: Place, document: Any) -> None:
    del filled
    [conflict] = document("conflicts", "--coach", COACH)["conflicts"]
    assert list(conflict) == ["first", "second", "start", "end"]
    assert (conflict["start"], conflict["end"]) == ("2023-07-10T09:30:00.000Z", "2023-07-10T10:00:00.000Z")
    assert (conflict["first"]["id"], conflict["second"]["id"]) == (APPOINTMENT, "appointment-2")
    assert document("conflicts", "--coach", COACH, "--from", "2023-07-11")["conflicts"] == []


def test_figures_count_by_status_reason_and_who_and_add_up_hours(filled: Place, document: Any) -> None:
    del filled
    figures = document("figures", "--talent", TALENT)
    assert (figures["by_status"], figures["hours_planned"]) == ({"PLANNED": 3, "DONE": 0, "CANCELED": 1}, 2.0)
    assert (figures["canceled_by"], figures["cancelation_reasons"]) == ({"COACH": 1}, {"TALENT_NO_SHOW": 1})
    assert document("figures", "--talent", TALENT, "--to", "2023-07-10T09:10:00Z")["appointments"] == 1


FIGURES_OPTIONS = [
    ("--as-of 2023-07-02T00:00:02Z", 2),
    ("--as-of 2023-07-02T00:00:06Z --appointment-type PART_ONE --subphase-id subphase-1", 1),
    ("--upcoming --now 2023-07-10T10:15:00Z", 2),
    ("--past --now 2023-07-10T10:15:00Z", 1),
    ("--status CANCELED --status DONE", 1),
]


def test_figures_and_conflicts_take_the_options_of_a_schedule(filled: Place, document: Any) -> None:
    del filled
    for options, expected in FIGURES_OPTIONS:
        assert document("figures", "--talent", TALENT, *options.split())["appointments"] == expected, options
    for options, expected in (
        ("--as-of 2023-07-02T00:00:01Z", 0),
        ("--as-of 2023-07-02T00:00:02Z", 1),
        ("--past --now 2023-07-10T10:15:00Z", 0),
        ("--appointment-type PART_ONE", 0),
    ):
        assert len(document("conflicts", "--coach", COACH, *options.split())["conflicts"]) == expected, options


def test_an_appointment_that_is_not_there_is_exit_1(filled: Place, ask: Ask) -> None:
    del filled
    for command in ("appointment", "history"):
        assert ask(command, "nowhere", "--json") == (1, "", "appointments: no appointment has the id 'nowhere'\n")
