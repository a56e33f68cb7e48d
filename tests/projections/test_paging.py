"""Pages and cursors: nothing twice, nothing skipped, and no cursor for another question."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import InvalidCursor, ReadModelBehind, UsageError
from projections import Schedule
from projections.queries.filters import Filters
from tests.conftest import Place
from tests.projections.test_queries import DAY, at, ids, project, text
from tests.support.builders import as_json, envelope


def pages(ask: Callable[..., Schedule], between: Callable[[], object] = lambda: None) -> list[str]:
    """The ids on all pages together."""
    page = ask()
    found: list[str] = [one.id for one in page]
    while page.next is not None:
        between()
        page = ask(after=page.next)
        found += [one.id for one in page]
    return found


FILTERS_OF_PAGES: list[Filters] = [
    {},
    {"desc": True},
    {"as_of": at(0)},
    {"as_of": at(0), "desc": True},
    {"past": True, "now": at(10)},
    {"start": at(9), "desc": True},
]


def test_pages_together_are_the_whole_schedule(place: Place) -> None:
    schedules = project(place, *DAY)
    for filters, limit in itertools.product(FILTERS_OF_PAGES, (1, 3, 5, 10)):
        ask = partial(schedules.talent, "talent-1", **filters)
        whole, first = ask(), ask(limit=limit)
        assert len(first) == min(limit, len(whole))
        assert (first.next is None) == (limit >= len(whole))
        assert pages(partial(ask, limit=limit)) == list(ids(whole))


def test_pages_of_what_is_upcoming_keep_the_time_of_the_first_page(place: Place) -> None:
    schedules = project(place, *DAY)
    first = schedules.talent("talent-1", upcoming=True, now=at(9), limit=3)
    rest = schedules.talent("talent-1", upcoming=True, now=at(99), limit=9, after=first.next)
    assert ids(first) + ids(rest) == "fbcdegh"


def test_a_page_boundary_may_change_vanish_or_move_away(place: Place) -> None:
    schedules = project(place, *DAY)
    first = schedules.talent("talent-1", limit=3)
    assert ids(first) == "afb"
    project(place, envelope(50, id="b", talentId="another"), envelope(51, id="0", startDate=text(9.5)))
    second = schedules.talent("talent-1", limit=3, after=first.next)
    assert ids(second) == "cde"
    project(place, envelope(52, id="e", startDate=text(20), endDate=None))
    assert ids(schedules.talent("talent-1", limit=9, after=second.next)) == "0gheuv"


KEPT = {f"keep-{number}": at(number + 1).isoformat() for number in range(6)}
CHANGED = [f"change-{number}" for number in range(6)]
CHANGE = st.tuples(
    st.sampled_from([*CHANGED, "new-1", "new-2", "new-3"]),
    st.sampled_from(
        [
            {"startDate": at(9).isoformat()},
            {"startDate": at(2).isoformat(), "endDate": None},
            {"startDate": None},
            {"deletedAt": at(0).isoformat()},
            {"talentId": "another"},
        ]
    ),
)


def test_paging_neither_repeats_nor_skips_what_does_not_change(place: Place) -> None:
    events, projector, schedules = place.events(), place.projector(), place.schedules()
    numbers = itertools.count(1)

    def arrive(example: int, one: str, **fields: Any) -> None:
        raw = envelope(next(numbers), id=f"{example} {one}", **{"talentId": f"talent {example}", **fields})
        events.append([as_json(raw)])
        projector.catch_up()

    @settings(max_examples=100 if place.backend == "memory" else 8)
    @given(st.lists(st.lists(CHANGE, max_size=3), max_size=6), st.integers(1, 5), st.booleans())
    def check(changes: list[list[tuple[str, dict[str, Any]]]], limit: int, descending: bool) -> None:  # noqa: FBT001
        example = next(numbers)
        for one, start in [*KEPT.items(), *((one, at(5).isoformat()) for one in CHANGED)]:
            arrive(example, one, startDate=start)
        coming = iter(changes)

        def change() -> None:
            for one, fields in next(coming, []):
                arrive(example, one, **fields)

        found = pages(partial(schedules.talent, f"talent {example}", limit=limit, desc=descending), change)
        kept = [f"{example} {one}" for one in KEPT]
        assert [one for one in found if one in kept] == (kept[::-1] if descending else kept)

    check()


def test_a_cursor_belongs_to_its_question(place: Place) -> None:
    schedules = project(place, *DAY)
    cursor = schedules.talent("talent-1", limit=2).next
    assert cursor is not None
    others: list[Callable[[], object]] = [
        lambda: schedules.talent("talent-2", after=cursor),
        lambda: schedules.coach("talent-1", after=cursor),
        lambda: schedules.talent("talent-1", status="PLANNED", after=cursor),
        lambda: schedules.talent("talent-1", start=at(9), after=cursor),
        lambda: schedules.talent("talent-1", end=at(9), after=cursor),
        lambda: schedules.talent("talent-1", upcoming=True, after=cursor),
        lambda: schedules.talent("talent-1", past=True, after=cursor),
        lambda: schedules.talent("talent-1", desc=True, after=cursor),
        lambda: schedules.talent("talent-1", include_deleted=True, after=cursor),
        lambda: schedules.talent("talent-1", appointment_type="STANDALONE", after=cursor),
        lambda: schedules.talent("talent-1", subphase_id="s", after=cursor),
        lambda: schedules.talent("talent-1", coach_id="coach-1", after=cursor),
        lambda: schedules.talent("talent-1", as_of=at(9), after=cursor),
        lambda: schedules.talents(after=cursor),
        lambda: schedules.changes(talent_id="talent-1", since=cursor),
    ]
    for ask in others:
        with pytest.raises(UsageError, match="without it"):
            ask()
    assert ids(schedules.talent("talent-1", after=cursor)) == "bcdeghuv"


NO_CURSORS = ["", " ", "x", "é", "\ud800", "AAAA", "=", "a" * 10_000, "\n", "a\x00"]


def test_what_is_no_cursor_is_refused(place: Place) -> None:
    schedules = project(place, *DAY)
    questions: list[Callable[..., object]] = [
        partial(schedules.talent, "talent-1"),
        partial(schedules.coach, "x", limit=1),
        schedules.talents,
    ]
    for cursor, ask in itertools.product(NO_CURSORS, questions):
        with pytest.raises(InvalidCursor, match="begin again without it") as caught:
            ask(after=cursor)
        assert len(str(caught.value).splitlines()) == 1


def test_a_cursor_with_any_letter_changed_is_refused_or_means_the_same(memory_place: Place) -> None:
    schedules = project(memory_place, *DAY)
    cursor = schedules.talent("talent-1", limit=2).next or ""
    for index, letter in enumerate(cursor):
        changed = cursor[:index] + ("A" if letter != "A" else "B") + cursor[index + 1 :]
        if index < len(cursor) - 1:  # of the last letter some bits mean nothing
            with pytest.raises(InvalidCursor):
                schedules.talent("talent-1", after=changed)
    with pytest.raises(InvalidCursor):
        schedules.talent("talent-1", after=cursor[:-2])


def test_a_loop_over_the_pages_of_a_schedule_sees_every_appointment_once_and_in_order(place: Place) -> None:
    schedules = project(place, *DAY)
    for filters in ({}, {"desc": True}, {"upcoming": True, "now": at(9)}, {"as_of": datetime.now(UTC)}):
        whole = schedules.talent("talent-1", **filters)
        for limit in (1, 3, len(DAY), 10_000):
            pages = list(schedules.pages(talent_id="talent-1", limit=limit, **filters))
            assert [one for page in pages for one in page] == list(whole)
            assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
            assert pages[-1].next is None
    assert [len(page) for page in schedules.pages(coach_id="nobody")] == [0]


def test_pages_of_a_talent_and_a_coach_hold_what_both_share(place: Place) -> None:
    schedules = project(
        place, *(envelope(one, id=f"a-{one}", coachId=f"coach-{one % 2}") for one in range(1, 7)), envelope(9, id="b")
    )
    shared = [page.appointments for page in schedules.pages(talent_id="talent-1", coach_id="coach-1", limit=2)]
    assert [one for page in shared for one in page] == list(schedules.talent("talent-1", coach_id="coach-1"))
    assert len(shared) == 2


def test_what_stays_where_it_is_comes_once_while_others_move_between_the_pages(place: Place) -> None:
    schedules = project(place, *(envelope(one, id=f"a-{one}", startDate=text(one)) for one in range(1, 9)))
    pages = schedules.pages(talent_id="talent-1", limit=2)
    assert [one.id for one in next(pages)] == ["a-1", "a-2"]
    project(
        place,
        envelope(20, id="a-1", startDate=text(23)),  # seen, and comes again
        envelope(21, id="a-8", startDate=text(0)),  # not seen, and is now before what was
        envelope(22, id="a-3", talentId="talent-2"),  # leaves
        envelope(23, id="new", startDate=text(4.5)),
    )
    seen = [one.id for page in pages for one in page]
    assert seen == ["a-4", "new", "a-5", "a-6", "a-7", "a-1"]


def test_pages_check_their_filters_before_the_loop_begins(place: Place) -> None:
    schedules = project(place, *DAY)
    for wrong in ({}, {"talent_id": "t", "limit": 0}, {"talent_id": "t", "upcoming": True, "past": True}):
        with pytest.raises(UsageError):
            schedules.pages(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ReadModelBehind):
        schedules.pages(talent_id="talent-1", at_least=99, timeout=0)
