"""Random histories of appointments, as the publisher might send them: what the laws are tried on."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

from tests.support.builders import envelope

# Few times, so that equal ones meet; some are one moment in two spellings, one is cut to another's millisecond.
MOMENTS: Final = (
    "2023-07-10T09:00:00.000Z",
    "2023-07-10T11:00:00+02:00",
    "2023-07-10T09:00:00.000999Z",
    "2023-07-10T09:00:00.001Z",
    "2023-07-10T10:00:00.000Z",
    "2023-07-12T23:30:00.500-05:00",
    "2023-07-13t04:30:00.500z",
    "1969-12-31T23:59:59.999Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.9999Z",
)
# Small ones are near each other; large ones fit no float, or no 32 bits.
EVENT_IDS: Final = (*range(1, 60), 2**31, 2**32, *range(2**53 - 2, 2**53 + 3), *range(2**63 - 4, 2**63))

# What changes together is drawn together: a history is made in milliseconds.
LIVES: Final[tuple[dict[str, Any], ...]] = (
    {"status": "PLANNED"},
    {"status": "DONE"},
    {"status": "CANCELED"},
    {"status": "CANCELED", "canceledBy": "TALENT", "cancelationReason": "TALENT_HAS_PROFESSIONAL_ENGAGMENT"},
    {"status": "CANCELED", "canceledBy": "COACH", "cancelationReason": "OTHER", "cancelationExplanation": "malade"},
    {"status": "CANCELED", "canceledBy": "ADMIN", "cancelationExplanation": ""},
    {"status": "PLANNED", "canceledBy": "ADMIN", "cancelationReason": "TALENT_NO_SHOW"},
    {"status": "DONE", "cancelationReason": "OTHER"},
)
DETAILS: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"title": "", "description": ""},
    {"title": "🙏 \u2028 \"'\\", "appointmentType": "PART_ONE", "subphaseId": "subphase-1"},
    {"description": "Bilan\n\tà mi-parcours", "appointmentType": "PART_TWO", "talentBlockId": "block-1"},
    {"subphaseId": "subphase-2", "createdAt": "0001-01-01T00:00:00Z", "updatedAt": "2023-07-01T12:00:00.000999Z"},
    {"subphaseId": "subphase-1", "updatedAt": "9999-12-31T23:59:59.9999Z", "unknown": {"to": ["us"]}},
)


def names(kind: str, count: int) -> list[str]:
    """The ids that histories use: `talent-1`, `talent-2` and so on."""
    return [f"{kind}-{number}" for number in range(1, count + 1)]


def histories(
    *, max_envelopes: int = 10, appointments: int = 2, talents: int = 3, coaches: int = 3, min_envelopes: int = 1
) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Envelopes with distinct ids in a random order of arrival.

    Appointments move between talents and coaches and back, get and lose dates, end before they start, are deleted
    and undeleted, and take any status after any other. The times of publication need not follow the ids.
    """
    return st.lists(
        _envelopes(names("appointment", appointments), names("talent", talents), names("coach", coaches)),
        min_size=min_envelopes,
        max_size=max_envelopes,
        unique_by=lambda one: int(one["id"]),
    )


def _envelopes(appointments: list[str], talents: list[str], coaches: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    perhaps_a_moment = st.sampled_from((None, *MOMENTS))
    return st.builds(
        _envelope,
        st.sampled_from(EVENT_IDS),
        st.sampled_from(MOMENTS),
        st.sampled_from(LIVES),
        st.sampled_from(DETAILS),
        id=st.sampled_from(appointments),
        talentId=st.sampled_from(talents),
        coachId=st.sampled_from(coaches),
        startDate=perhaps_a_moment,
        endDate=perhaps_a_moment,
        deletedAt=st.sampled_from((None, None, "2023-07-03T00:00:00Z")),
    )


def _envelope(
    event_id: int, published_at: str, life: dict[str, Any], details: dict[str, Any], **fields: Any
) -> dict[str, Any]:
    return envelope(event_id, at=published_at, **life, **details, **fields)
