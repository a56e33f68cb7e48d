"""The JSON API: the documents of the command line's `--json`, under `/api`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from threading import BoundedSemaphore
from typing import Annotated, Any, Final, Protocol

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import Response

from domain.errors import ContradictoryFilters, InvalidCursor, InvalidToken
from projections.queries.schedules import Schedules
from projections.web.addresses import check_given_once
from projections.web.documents import (
    AppointmentWithLifecycleDocument,
    ChangesDocument,
    CoachDocument,
    CoachesDocument,
    ConflictsDocument,
    FiguresDocument,
    HistoryDocument,
    TalentDocument,
    TalentsDocument,
)
from projections.web.entity_tags import tagged
from projections.web.parameters import (
    AppointmentParameters,
    ChangesParameters,
    CoachParameters,
    ConflictsParameters,
    FiguresParameters,
    HistoryParameters,
    Id,
    OwnersParameters,
    TalentParameters,
)
from projections.web.problems import PROBLEM

WAITS_MAX: Final = 16
"""How many questions may wait for a position at once: each of them holds one of forty threads."""

_waits: Final = BoundedSemaphore(WAITS_MAX)

router: Final = APIRouter(prefix="/api", tags=["schedules"])


class _Answered(Protocol):
    def to_json(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request, and the schedules that it asks."""

    request: Request
    schedules: Schedules

    def answer(
        self, question: Callable[[], _Answered], *, at_least: int | None = None, depends_on_the_clock: bool = False
    ) -> Response:
        """The answer to a question, after the wait that it asks for; 304 where the client has it already."""
        with self._until(at_least), _contradictions():
            return tagged(
                self.request, self.schedules, lambda: question().to_json(), timeless=not depends_on_the_clock
            )

    @contextmanager
    def _until(self, at_least: int | None) -> Iterator[None]:
        """Bounds the waits for a position, each of which the question itself makes."""
        if at_least is None or at_least <= (stamp := self.schedules.stamp()).position:
            yield
            return
        if at_least > stamp.head:
            raise HTTPException(
                HTTPStatus.CONFLICT, f"at_least: nothing is stored at position {at_least}; the last is {stamp.head}"
            )
        if not _waits.acquire(blocking=False):
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "too many questions wait for a position; try again")
        try:
            yield
        finally:
            _waits.release()


@contextmanager
def _contradictions() -> Iterator[None]:
    """Answers 409 where each part of a question makes sense, and not together with the others or any more."""
    try:
        yield
    except (ContradictoryFilters, InvalidCursor, InvalidToken) as error:
        raise HTTPException(HTTPStatus.CONFLICT, str(error)) from None


async def _asked(request: Request) -> _Asked:
    check_given_once(request.query_params, but=("status",))
    return _Asked(request, request.app.state.appointments.schedules)


Asked = Annotated[_Asked, Depends(_asked)]


def _shape(document: type, *more: int) -> dict[int | str, dict[str, Any]]:
    """What a route says of its answers in the OpenAPI document."""
    return {
        200: {"model": document},
        304: {"description": "Nothing moved since the answer with the entity tag in If-None-Match."},
        **dict.fromkeys((400, *more), PROBLEM),
    }


@router.get("/talents", responses=_shape(TalentsDocument, 409))
def talents(asked: Asked, query: Annotated[OwnersParameters, Query()]) -> Response:
    """The talents who have a schedule, by id, with counts by status."""
    return asked.answer(lambda: asked.schedules.talents(**query.model_dump()), at_least=query.at_least)


@router.get("/coaches", responses=_shape(CoachesDocument, 409))
def coaches(asked: Asked, query: Annotated[OwnersParameters, Query()]) -> Response:
    """The coaches who have a schedule, by id, with counts by status."""
    return asked.answer(lambda: asked.schedules.coaches(**query.model_dump()), at_least=query.at_least)


@router.get("/talents/{id}", responses=_shape(TalentDocument, 409, 410))
def talent(asked: Asked, talent_id: Id, query: Annotated[TalentParameters, Query()]) -> Response:
    """A talent's appointments; an unknown talent has none."""
    return asked.answer(
        lambda: asked.schedules.talent(talent_id, coach_id=query.coach, **query.waiting(), **query.filters()),
        at_least=query.at_least,
        depends_on_the_clock=query.depends_on_the_clock,
    )


@router.get("/coaches/{id}", responses=_shape(CoachDocument, 409, 410))
def coach(asked: Asked, coach_id: Id, query: Annotated[CoachParameters, Query()]) -> Response:
    """A coach's appointments; an unknown coach has none."""
    return asked.answer(
        lambda: asked.schedules.coach(coach_id, talent_id=query.talent, **query.waiting(), **query.filters()),
        at_least=query.at_least,
        depends_on_the_clock=query.depends_on_the_clock,
    )


@router.get("/talents/{id}/changes", responses=_shape(ChangesDocument, 409, 410))
def talent_changes(asked: Asked, talent_id: Id, query: Annotated[ChangesParameters, Query()]) -> Response:
    """What changed in a talent's schedule since a token, or without one everything in it."""
    return _changes(asked, query, talent_id=talent_id)


@router.get("/coaches/{id}/changes", responses=_shape(ChangesDocument, 409, 410))
def coach_changes(asked: Asked, coach_id: Id, query: Annotated[ChangesParameters, Query()]) -> Response:
    """What changed in a coach's schedule since a token, or without one everything in it."""
    return _changes(asked, query, coach_id=coach_id)


def _changes(asked: _Asked, query: ChangesParameters, **owner: Any) -> Response:
    return asked.answer(
        lambda: asked.schedules.changes(
            since=query.since, start=query.start, end=query.end, limit=query.limit, **query.waiting(), **owner
        ),
        at_least=query.at_least,
    )


@router.get("/talents/{id}/conflicts", responses=_shape(ConflictsDocument, 409, 410))
def talent_conflicts(asked: Asked, talent_id: Id, query: Annotated[ConflictsParameters, Query()]) -> Response:
    """Which PLANNED appointments of a talent overlap."""
    return _conflicts(asked, query, talent_id=talent_id)


@router.get("/coaches/{id}/conflicts", responses=_shape(ConflictsDocument, 409, 410))
def coach_conflicts(asked: Asked, coach_id: Id, query: Annotated[ConflictsParameters, Query()]) -> Response:
    """Which PLANNED appointments of a coach overlap."""
    return _conflicts(asked, query, coach_id=coach_id)


def _conflicts(asked: _Asked, query: ConflictsParameters, **owner: str) -> Response:
    return asked.answer(
        lambda: asked.schedules.conflicts(**query.selected(), **query.waiting(), **owner),
        at_least=query.at_least,
        depends_on_the_clock=query.depends_on_the_clock,
    )


@router.get("/talents/{id}/figures", responses=_shape(FiguresDocument, 409, 410))
def talent_figures(asked: Asked, talent_id: Id, query: Annotated[FiguresParameters, Query()]) -> Response:
    """Counts and hours of a talent's appointments."""
    return _figures(asked, query, talent_id=talent_id)


@router.get("/coaches/{id}/figures", responses=_shape(FiguresDocument, 409, 410))
def coach_figures(asked: Asked, coach_id: Id, query: Annotated[FiguresParameters, Query()]) -> Response:
    """Counts and hours of a coach's appointments."""
    return _figures(asked, query, coach_id=coach_id)


def _figures(asked: _Asked, query: FiguresParameters, **owner: str) -> Response:
    return asked.answer(
        lambda: asked.schedules.figures(status=query.status, **query.selected(), **query.waiting(), **owner),
        at_least=query.at_least,
        depends_on_the_clock=query.depends_on_the_clock,
    )


@router.get("/appointments/{id}", responses=_shape(AppointmentWithLifecycleDocument, 404, 409))
def appointment(asked: Asked, appointment_id: Id, query: Annotated[AppointmentParameters, Query()]) -> Response:
    """One appointment with its lifecycle, deleted or not."""
    return asked.answer(
        lambda: asked.schedules.appointment(appointment_id, **query.waiting()), at_least=query.at_least
    )


@router.get("/appointments/{id}/history", responses=_shape(HistoryDocument, 404))
def history(asked: Asked, appointment_id: Id, query: Annotated[HistoryParameters, Query()]) -> Response:
    """Every revision of one appointment: what changed, when, by which envelope."""
    return asked.answer(lambda: asked.schedules.history(appointment_id, timeout=query.timeout))
