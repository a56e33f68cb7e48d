"""Generates envelopes as Phoenix would publish them, to try the product out, for tests and for benchmarks.

A small simulation: appointments are made at random moments; each then lives its life, a generator that says when its
next change is due; the earliest change of all is published next. Talents and coaches who finish their programs are
replaced, so that memory holds what is open at one moment, however long the sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import count, islice
from random import Random
from typing import Final, TypeAlias
from uuid import UUID

import msgspec

from domain.arguments import whole_number
from domain.errors import UsageError

_Appointment: TypeAlias = dict[str, str | None]  # as the contract's example spells it

_MINUTE: Final = 60_000  # all times are milliseconds since 1970 in UTC
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_FIRST_MADE_AT: Final = 1_688_958_167_900  # 2023-07-10T03:02:47.900Z, as in the example
_FIRST_EVENT_ID: Final = 6_105_100
_EVENT_IDS_OF_A_SEED: Final = 1_000_000_000  # enough for 200 million envelopes
_SEEDS: Final = 2**63 // _EVENT_IDS_OF_A_SEED - 1  # that have ids of their own
_CLOCK_AHEAD: Final = 4 * _HOUR  # of the appointment's times, before the envelope's, as in the example
_BETWEEN_APPOINTMENTS: Final = 54 * _HOUR  # of one talent, on average: with 2.5 envelopes each, 1.1 envelopes a day
_TALENTS_MAX: Final = 2_600  # active at once; reached after some months: then an envelope every 30 seconds

_NODES: Final = tuple(f"phoenix-production-788774c7f-{name}" for name in ("v2hp2", "ptzwj", "k8x4d", "m6rqt"))
_TYPES: Final = ("STANDALONE", "STANDALONE", "STANDALONE", "STANDALONE", "PART_ONE", "PART_TWO")
_TITLES: Final = ("Séance Découverte", "Séance de suivi", "Point d’étape", "Bilan à mi-parcours", "Coaching session")
_DESCRIPTIONS: Final = (
    "Séance Découverte",
    "Préparer « les 3 priorités » du trimestre",
    'Apporter le document "Mes forces" complété',
    "Objectifs :\n- déléguer\n- être à l’écoute de l’équipe",
    "Follow-up on last session's action plan",
    None,
)
_CANCELATIONS: Final = (
    ("TALENT", "TALENT_HAS_PROFESSIONAL_ENGAGMENT"),
    ("TALENT", "TALENT_HAS_PERSONAL_ENGAGEMENT"),
    ("TALENT", "TALENT_NEED_MORE_TIME"),
    ("TALENT", "TALENT_ACTIVITIES_NOT_FINISHED"),
    ("TALENT", "TALENT_NOT_AVAILABLE_MORE_THAN_24H"),
    ("TALENT", "TALENT_NOT_AVAILABLE_LESS_THAN_24H"),
    ("COACH", "TALENT_NO_SHOW"),
    ("COACH", "TALENT_SUBPHASE_NOT_FINISHED"),
    ("COACH", "COACH_NO_LONGER_AVAILABLE"),
    ("COACH", "COACH_SET_WRONG_DATE_OR_HOUR"),
    ("ADMIN", "TALENT_NOT_PRIORITIZING_HIS_PROGRAM"),
    ("ADMIN", "TALENT_IS_DEPAIRED_OR_REPAIRED"),
    ("ADMIN", "OTHER"),
)
_EXPLANATIONS: Final = (
    "Réunion de comité déplacée au même créneau",
    "Erreur d’horaire : le créneau était à 9 h, pas à 10 h",
    "Enfant malade, désolée 🙏",
    "The talent changes teams and will be paired again",
    None,
)


def sample_envelopes(events: int = 1000, *, seed: int = 0) -> Iterator[str]:
    """Yields `events` realistic envelopes as compact JSON text without line ends, in the order of publication.

    The same seed gives the same envelopes, and a shorter sample is the start of a longer one. Samples of different
    seeds have different ids, so they can be appended to one store. Memory is bounded. With seed 0 the first
    appointment is that of talent 7a1e0000-0000-4000-8000-000000000000.

    Raises:
        UsageError: `events` is negative.
    """
    events, seed = whole_number("events", events), whole_number("seed", seed)
    if events < 0:
        raise UsageError(f"events: expected 0 or more, found {events}", argument="events")
    return islice(_envelopes(seed), events)


def _envelopes(seed: int) -> Iterator[str]:
    rng = Random(seed)  # noqa: S311 - a sample has to be the same again, not unguessable
    newcomers = _newcomers(rng, seed)
    active = list(islice(newcomers, 60))
    changes: list[tuple[int, int, _Appointment, Iterator[int]]] = []  # a heap: when due, a number to break ties
    event_id = _FIRST_EVENT_ID + seed % _SEEDS * _EVENT_IDS_OF_A_SEED
    created_at, made_at = 0, _FIRST_MADE_AT
    for number in count():
        while changes and changes[0][0] <= made_at:
            due, tie, appointment, life = heappop(changes)
            if (next_due := next(life, None)) is not None:
                heappush(changes, (next_due, tie, appointment, life))
            appointment["updatedAt"] = _time(due + _CLOCK_AHEAD)
            created_at = max(created_at + 1, due + rng.randrange(20, 100))
            yield _envelope(rng, event_id, created_at, appointment)
            event_id += rng.randint(1, 5)
        if len(active) < _TALENTS_MAX and rng.random() < 0.04:
            active.append(next(newcomers))
        place = rng.randrange(len(active)) if number else 0  # the first appointment is the first talent's
        appointment = _new_appointment(rng, active[place], made_at)
        heappush(changes, (made_at, number, appointment, _Life(rng, active, appointment, made_at).changes()))
        active[place].appointments_left -= 1
        if not active[place].appointments_left:
            active[place] = next(newcomers)
        made_at += 1 + int(rng.expovariate(len(active) / _BETWEEN_APPOINTMENTS))


@dataclass(slots=True)
class _Talent:
    id: str
    coach_id: str
    subphase_id: str
    block_id: str
    appointments_left: int


def _newcomers(rng: Random, seed: int) -> Iterator[_Talent]:
    """Yields talents without end; the first one and the first coach have ids that are easy to recognise."""
    readable = f"0000-0000-4000-8000-{seed % 2**48:012x}"
    talent_id, coach_id = f"7a1e{readable}", f"c0ac{readable}"
    while True:
        for _ in range(rng.randint(8, 32)):
            appointments = min(1 + int(rng.expovariate(1 / 15)), 120)
            yield _Talent(talent_id, coach_id, _random_id(rng), _random_id(rng), appointments)
            talent_id = _random_id(rng)
        coach_id = _random_id(rng)


def _envelope(rng: Random, event_id: int, created_at: int, appointment: _Appointment) -> str:
    name, key_id = "VCSessionScheduledEvent", _random_id(rng)
    envelope = {
        "id": event_id,
        "createdAt": _time(created_at),
        "updatedAt": _time(created_at + rng.randrange(5, 50)),
        "eventName": name,
        "keyId": key_id,
        "eventData": {"name": name, "type": "event", "keyId": key_id, "version": 1, "appointment": appointment},
        "status": "ACKNOWLEDGED",
        "publisherNodeId": rng.choice(_NODES),
        "processorNodeId": rng.choice(_NODES),
        "version": 1,
        "userId": None,
        "talentId": appointment["talentId"],
    }
    return msgspec.json.encode(envelope).decode()


def _new_appointment(rng: Random, talent: _Talent, made_at: int) -> _Appointment:
    appointment_type = rng.choice(_TYPES)
    return {
        "id": _random_id(rng),
        "title": rng.choice(_TITLES),
        "status": "PLANNED",
        "coachId": talent.coach_id,
        "endDate": None,
        "talentId": talent.id,
        "createdAt": _time(made_at + _CLOCK_AHEAD),
        "deletedAt": None,
        "startDate": None,
        "updatedAt": None,
        "canceledBy": None,
        "subphaseId": talent.subphase_id if rng.random() < 0.85 else None,
        "description": rng.choice(_DESCRIPTIONS),
        "talentBlockId": None if appointment_type == "STANDALONE" else talent.block_id,
        "appointmentType": appointment_type,
        "cancelationReason": None,
        "cancelationExplanation": None,
    }


class _Life:
    """The life of one appointment: its generators yield when the next change is due, and make it when resumed."""

    def __init__(self, rng: Random, active: list[_Talent], appointment: _Appointment, made_at: int) -> None:
        self._rng, self._active, self._appointment = rng, active, appointment
        self._clock = self._start = self._end = made_at

    def changes(self) -> Iterator[int]:
        if self._rng.random() < 0.04:  # made without a date, which is found later
            yield self._within(2 * _DAY)
        self._set_dates()
        if self._rng.random() < 0.005:  # irregular, mostly: the first thing heard of it is that it is off
            self._cancel(*self._rng.choice(_CANCELATIONS))
        while self._appointment["status"] == "PLANNED" and self._rng.random() < 0.35:
            yield self._within(self._start - self._clock)
            self._change_plans()
        yield from self._outcome()
        if self._rng.random() < 0.015:  # irregular: open again
            yield self._within(2 * _DAY)
            self._appointment |= {"status": "PLANNED", "canceledBy": None}
            self._appointment |= {"cancelationReason": None, "cancelationExplanation": None}
            self._set_dates()
            yield from self._outcome()
        if self._rng.random() < 0.02:
            yield self._within(_DAY)
            self._appointment["deletedAt"] = _time(self._clock + _CLOCK_AHEAD)
            if self._rng.random() < 0.5:
                yield self._within(_DAY)
                self._appointment["deletedAt"] = None

    def _outcome(self) -> Iterator[int]:
        chance = self._rng.random()
        if self._appointment["status"] != "PLANNED" or chance < 0.05:
            return  # known already, or nobody ever says how it went
        canceled_by, reason = self._rng.choice(_CANCELATIONS)
        before_start = chance < 0.33 and reason != "TALENT_NO_SHOW"
        if not before_start:
            self._clock = self._end
        yield self._within(self._start - self._clock if before_start else 4 * _HOUR)
        if chance < 0.33:
            self._cancel(canceled_by, reason)
        else:
            self._appointment["status"] = "DONE"

    def _change_plans(self) -> None:
        chance = self._rng.random()
        if chance < 0.60:
            self._set_dates()
        elif chance < 0.91:
            self._appointment["description"] = self._rng.choice(_DESCRIPTIONS)
        elif chance < 0.98:
            self._appointment["coachId"] = self._rng.choice(self._active).coach_id
        else:
            self._appointment["talentId"] = self._rng.choice(self._active).id

    def _set_dates(self) -> None:
        day = (self._clock + int(self._rng.expovariate(1 / (3 * _DAY)))) // _DAY * _DAY
        self._start = day + 7 * _HOUR + self._rng.randrange(24) * 30 * _MINUTE + self._rng.randrange(1_000)
        if self._start <= self._clock:
            self._start += _DAY
        self._end = self._start + self._rng.choice((30, 30, 45, 60)) * _MINUTE
        self._appointment |= {"startDate": _time(self._start), "endDate": _time(self._end)}

    def _cancel(self, canceled_by: str, reason: str) -> None:
        self._appointment |= {"status": "CANCELED", "canceledBy": canceled_by, "cancelationReason": reason}
        self._appointment["cancelationExplanation"] = self._rng.choice(_EXPLANATIONS)

    def _within(self, duration: int) -> int:
        self._clock += int(self._rng.random() * duration)
        return self._clock


def _time(milliseconds: int) -> str:
    return f"{(_EPOCH + timedelta(milliseconds=milliseconds)).isoformat(timespec='milliseconds')[:-6]}Z"


def _random_id(rng: Random) -> str:
    return str(UUID(int=rng.getrandbits(128), version=4))
