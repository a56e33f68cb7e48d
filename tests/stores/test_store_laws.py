"""Every question over random rows, answered as `ScheduleQuery` words it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from projections.rows import ScheduleRow, Side
from projections.stores.base import UNDATED_SORT_KEY, OwnerCounts, ScheduleQuery, SortKey
from tests.conftest import Place
from tests.stores.test_stores import IDS, YEAR_1, YEAR_9999, installed, row, rows_of_talent, tombstone, write

MOMENTS = (YEAR_1, -1, 0, 1, 2, 3, 4, YEAR_9999)
OWNERS = ("é", "E", "e", "🙏")
STATUSES = ("PLANNED", "DONE", "CANCELED")
COUNTERPARTS = ("c", "C")
SUBPHASES = ("s", "s'")
TYPES = ("STANDALONE", "PART_ONE")


def a_row(owner: str, one: str, times: tuple[int | None, int], what: dict[str, object], number: int) -> ScheduleRow:
    if what["status"] is None:
        return tombstone(one, owner, number)
    starts_at, ends_at = times[0], None if times[0] is None else max(times)  # type: ignore[type-var] # both are there
    return row(one, owner, number, starts_at=starts_at, ends_at=ends_at, body=f"{owner} {one} {number}", **what)


ROWS = st.lists(
    st.builds(
        a_row,
        st.sampled_from(OWNERS),
        st.sampled_from(IDS),
        st.tuples(st.sampled_from((None, *MOMENTS)), st.sampled_from(MOMENTS)),
        st.fixed_dictionaries(
            {
                "status": st.sampled_from((None, *STATUSES)),
                "counterpart_id": st.sampled_from(COUNTERPARTS),
                "appointment_type": st.sampled_from(TYPES),
                "subphase_id": st.sampled_from((None, *SUBPHASES)),
                "is_deleted": st.booleans(),
            }
        ),
        st.integers(1, 9),
    ),
    max_size=20,
    unique_by=lambda one: (one.owner_id, one.appointment_id),
)
PERHAPS_A_MOMENT = st.sampled_from((None, None, *MOMENTS))
QUERIES = st.lists(
    st.builds(
        ScheduleQuery,
        side=st.just(Side.TALENT),
        owner_id=st.sampled_from(OWNERS),
        statuses=st.none() | st.frozensets(st.sampled_from(STATUSES)),
        ends_after=PERHAPS_A_MOMENT,
        starts_before=PERHAPS_A_MOMENT,
        past_before=PERHAPS_A_MOMENT,
        appointment_type=st.sampled_from((None, *TYPES)),
        subphase_id=st.sampled_from((None, None, *SUBPHASES)),
        counterpart_id=st.sampled_from((None, *COUNTERPARTS)),
        include_deleted=st.booleans(),
        descending=st.booleans(),
        limit=st.none() | st.integers(1, 5),
        after=st.none() | st.builds(SortKey, st.sampled_from((*MOMENTS, UNDATED_SORT_KEY)), st.sampled_from(IDS)),
    ),
    min_size=1,
    max_size=6,
)


# The contract of `ScheduleQuery`, read a second time: from a row's columns to its page, without the product's code.


def is_asked_for(one: ScheduleRow, query: ScheduleQuery) -> bool:
    if one.status is None or one.owner_id != query.owner_id:  # a tombstone has no status
        return False
    exact = [
        (query.appointment_type, one.appointment_type),
        (query.subphase_id, one.subphase_id),
        (query.counterpart_id, one.counterpart_id),
    ]
    if any(asked is not None and asked != found for asked, found in exact):
        return False
    if query.statuses is not None and one.status not in query.statuses:
        return False
    if one.is_deleted and not query.include_deleted:
        return False
    return is_within(one, query)


def is_within(one: ScheduleRow, query: ScheduleQuery) -> bool:
    """Without a date it is within no bound."""
    first, last, now = query.ends_after, query.starts_before, query.past_before
    if one.starts_at is None or one.ends_at is None:
        return (first, last, now) == (None, None, None)
    if first is not None and max(one.starts_at, one.ends_at - 1) < first:
        return False
    if last is not None and one.starts_at > last - 1:
        return False
    return now is None or (one.starts_at != now and max(one.starts_at, one.ends_at) <= now)


def expected_page(rows: Iterable[ScheduleRow], query: ScheduleQuery) -> list[str | None]:
    asked_for = [one for one in rows if is_asked_for(one, query)]
    dated = sorted((one for one in asked_for if one.starts_at is not None), key=by_id)
    dated.sort(key=lambda one: one.starts_at or 0, reverse=query.descending)  # a stable sort, reversed or not
    in_order = dated + sorted((one for one in asked_for if one.starts_at is None), key=by_id)
    if query.after is not None:
        in_order = [one for one in in_order if is_behind(one, query.after, descending=query.descending)]
    return [one.body for one in in_order][: len(in_order) if query.limit is None else query.limit]


def by_id(one: ScheduleRow) -> bytes:
    return one.appointment_id.encode("utf-32-be")  # by code point


def is_behind(one: ScheduleRow, after: SortKey, *, descending: bool) -> bool:
    sign = -1 if descending else 1
    place = UNDATED_SORT_KEY if one.starts_at is None else sign * one.starts_at
    return place > after.start or (place == after.start and by_id(one) > after.appointment_id.encode("utf-32-be"))


def test_every_question_is_answered_as_the_contract_words_it_over_random_rows(place: Place) -> None:
    store = installed(place)
    held: dict[tuple[str, str], ScheduleRow] = {}

    @settings(max_examples=200 if place.backend == "memory" else 50)
    @given(ROWS, QUERIES)
    def check(rows: list[ScheduleRow], queries: list[ScheduleQuery]) -> None:
        write(store, *rows)
        held.update({(one.owner_id, one.appointment_id): one for one in rows})
        for query in queries:
            assert store.schedule(query)[1] == expected_page(held.values(), query)
            of_owner = [one for one in held.values() if one.owner_id == query.owner_id]
            expected = sorted(of_owner, key=lambda one: (one.position, one.appointment_id))
            assert rows_of_talent(store, query.owner_id) == expected
        visible = [one for one in held.values() if one.body is not None and not one.is_deleted]
        counts = Counter((one.owner_id, one.status) for one in visible)
        assert store.owners(Side.TALENT, after=None, limit=None)[1] == [
            OwnerCounts(owner, *(counts[owner, status] for status in STATUSES))
            for owner in sorted({one.owner_id for one in visible})
        ]

    check()
