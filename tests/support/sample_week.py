"""A week with everything that a schedule can show; the README's picture is made of it."""

from __future__ import annotations

from typing import Any

from tests.support.builders import as_json, envelope

TALENT = "06e6f647-6ed0-43c9-b323-85d8f3384f31"
COACH = "50ad7fff-687a-4498-8a3a-662fda294ba1"

CANCELATION = {
    "status": "CANCELED",
    "canceledBy": "COACH",
    "cancelationReason": "COACH_NO_LONGER_AVAILABLE",
    "cancelationExplanation": "Erreur d’horaire : le créneau était à 9 h, pas à 10 h",
}

_TOLD: list[tuple[str, str, int, str, str, dict[str, Any]]] = [
    ("point", "Point d’étape", 10, "12:00", "13:00", {"status": "PLANNED"}),
    ("point", "Point d’étape", 10, "12:00", "13:00", {"status": "DONE"}),
    ("poste", "Préparer la prise de poste", 11, "08:00", "09:30", {}),
    ("bilan", "Bilan à mi-parcours", 11, "08:30", "09:15", {}),
    ("atelier", "Atelier", 12, "13:00", "14:00", {}),
    ("atelier", "Atelier", 12, "13:00", "14:00", CANCELATION),
    ("coaching", "Coaching session", 13, "07:30", "08:15", {}),
    ("revue", "Revue des objectifs", 13, "14:00", "15:30", {}),
    ("soir", "Séance de fin de semaine", 14, "13:00", "14:00", {}),
    ("soir", "Séance de fin de semaine", 14, "15:00", "16:30", {}),
    ("undated", "À fixer ensemble", 0, "", "", {}),
]


def sample_week() -> list[bytes]:
    """The envelopes of the week of 10 July 2023, after the publisher's example."""
    return [
        as_json(
            envelope(
                7_000_000 + number,
                at=f"2023-07-09T10:00:{number:02}.000Z",
                id=one,
                title=title,
                talentId=TALENT,
                coachId=COACH,
                startDate=f"2023-07-{day}T{start}:00.000Z" if day else None,
                endDate=f"2023-07-{day}T{end}:00.000Z" if day else None,
                **fields,
            )
        )
        for number, (one, title, day, start, end, fields) in enumerate(_TOLD, start=1)
    ]
