"""Every question over random rows, answered as `ScheduleQuery` words it."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from projections.schedule import ScheduleRow, Side
from projections.stores.base import UNDATED_SORT_KEY, OwnerCounts, ScheduleQuery, SortKey
from tests.conftest import Place
from tests.test_stores import IDS, YEAR_1, YEAR_9999, installed, row, rows_of_talent, tombstone, write

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


def test_every_question_is_answered_as_the_contract_words_it_over_random_rows(place: Place) -> None:
    store = installed(place)
    held: dict[tuple[str, str], ScheduleRow] = {}

    @settings(max_examples=1000 if place.backend == "memory" else 100)
    @given(ROWS, QUERIES)
    def check(rows: list[ScheduleRow], queries: list[ScheduleQuery]) -> None:
        write(store, *rows)
        held.update({(one.owner_id, one.appointment_id): one for one in rows})
        for query in queries:
            of_owner = [one for one in held.values() if one.owner_id == query.owner_id]
            assert store.schedule(query)[1] == [one.body for one in query.page(of_owner)]
            expected = sorted(of_owner, key=lambda one: (one.position, one.appointment_id))
            assert rows_of_talent(store, query.owner_id) == expected
        visible = [one for one in held.values() if one.body is not None and not one.is_deleted]
        counts = Counter((one.owner_id, one.status) for one in visible)
        assert store.owners(Side.TALENT, after=None, limit=None)[1] == [
            OwnerCounts(owner, *(counts[owner, status] for status in STATUSES))
            for owner in sorted({one.owner_id for one in visible})
        ]

    check()
