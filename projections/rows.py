"""The rows of the read models: what one appointment puts into the schedules of its talents and coaches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import astuple, fields

from domain.appointment import DERIVED_FIELDS, Appointment, FoldedAppointment, Revision, derived_values
from domain.envelope import Snapshot
from domain.errors import StorageError
from domain.identifiers import AppointmentId, Position
from domain.markers import Marker
from domain.masking import FORGOTTEN
from domain.person import Side as Side  # noqa: PLC0414 - whoever works with rows, asks for a side

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MILLISECONDS: Final = 86_400_000

_encoder: Final = msgspec.json.Encoder()
# An `Appointment` on its way into a row: much quicker to make. What is None for want of a value is not written.
_Body: Final = msgspec.defstruct(
    "AppointmentBody",
    [*DERIVED_FIELDS, *(one.name if one.required else (one.name, object, None) for one in fields(Snapshot))],
    omit_defaults=True,
    gc=False,
)
_appointment_decoder: Final = msgspec.json.Decoder(Appointment)
_folded_decoder: Final = msgspec.json.Decoder(FoldedAppointment)


class _FoldedBody(msgspec.Struct, gc=False):
    """A `FoldedAppointment` on its way into a row; the JSON of the whole appointment is its snapshot."""

    snapshot: msgspec.Raw
    revisions: tuple[Revision, ...]


class AppointmentRow(NamedTuple):
    """A row of the `appointment` read model; `body` is the JSON of the folded appointment."""

    appointment_id: AppointmentId
    position: Position
    body: str


class ScheduleRow(NamedTuple):
    """A row of the talents' or the coaches' read model, or a tombstone: then all but the key and position is None.

    Times are in milliseconds since 1970 in UTC. `ends_at` is never before `starts_at`. `body` is the JSON of the
    whole appointment; the other columns repeat what is filtered or sorted.
    """

    owner_id: str
    appointment_id: AppointmentId
    position: Position
    counterpart_id: str | None
    status: str | None
    appointment_type: str | None
    subphase_id: str | None
    starts_at: int | None
    ends_at: int | None
    is_deleted: bool | None
    body: str | None


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows that one or more appointments have in the three tables of the read models."""

    appointments: list[AppointmentRow]
    talents: list[ScheduleRow]
    coaches: list[ScheduleRow]

    def of(self, side: Side) -> list[ScheduleRow]:
        """The schedule rows of one side."""
        return self.talents if side is Side.TALENT else self.coaches

    def extend(self, others: Rows) -> None:
        """Adds other rows to these."""
        self.appointments.extend(others.appointments)
        self.talents.extend(others.talents)
        self.coaches.extend(others.coaches)


def rows_of(folded_appointments: Iterable[tuple[FoldedAppointment, Position]]) -> Rows:
    """Makes the rows of appointments, each given with the highest position among its envelopes.

    For every talent and coach that any revision names there is one row: the present owner's, else a tombstone. Who is
    forgotten has none.
    """
    rows = Rows([], [], [])
    for folded, position in folded_appointments:
        snapshot = folded.snapshot
        appointment_id, talent_id, coach_id = snapshot.id, snapshot.talent_id, snapshot.coach_id
        body = _encoder.encode(_Body(*derived_values(folded), *astuple(snapshot)))
        folded_body = _encoder.encode(_FoldedBody(msgspec.Raw(body), folded.revisions))
        rows.appointments.append(AppointmentRow(appointment_id, position, folded_body.decode()))
        shown = (
            str(snapshot.status),
            str(snapshot.appointment_type),
            snapshot.subphase_id,
            *span_of(snapshot),
            snapshot.deleted_at is not None,
            body.decode(),
        )
        if talent_id != FORGOTTEN:
            rows.talents.append(ScheduleRow(talent_id, appointment_id, position, coach_id, *shown))
        if coach_id != FORGOTTEN:
            rows.coaches.append(ScheduleRow(coach_id, appointment_id, position, talent_id, *shown))
        owners = {(revision.talent_id, revision.coach_id) for revision in folded.revisions}
        if len(owners) > 1:
            for talent in {talent for talent, _ in owners} - {talent_id, FORGOTTEN}:
                rows.talents.append(_tombstone(talent, appointment_id, position))
            for coach in {coach for _, coach in owners} - {coach_id, FORGOTTEN}:
                rows.coaches.append(_tombstone(coach, appointment_id, position))
    return rows


def tombstones_of(markers: Iterable[tuple[Marker, Position]], folded: FoldedAppointment | None) -> Rows:
    """Makes the tombstones that markers ask for, each at the position of the last marker that does.

    For whom a revision names there is a row already.
    """
    revisions = folded.revisions if folded else ()
    talents = {revision.talent_id for revision in revisions}
    coaches = {revision.coach_id for revision in revisions}
    rows: dict[tuple[Side, str], ScheduleRow] = {}
    for marker, position in markers:
        for talent in set(marker.talents) - talents:
            rows[Side.TALENT, talent] = _tombstone(talent, marker.appointment_id, position)
        for coach in set(marker.coaches) - coaches:
            rows[Side.COACH, coach] = _tombstone(coach, marker.appointment_id, position)
    by_side = {side: [row for (its, _), row in rows.items() if its is side] for side in Side}
    return Rows([], by_side[Side.TALENT], by_side[Side.COACH])


def _tombstone(owner_id: str, appointment_id: AppointmentId, position: Position) -> ScheduleRow:
    return ScheduleRow(owner_id, appointment_id, position, None, None, None, None, None, None, None, None)


def span_of(appointment: Appointment | Snapshot) -> tuple[int | None, int | None]:
    """When an appointment begins and ends; a missing end, or one before the start, counts as the start."""
    if appointment.start_date is None:
        return None, None
    starts_at = milliseconds_of(appointment.start_date)
    if appointment.end_date is None:
        return starts_at, starts_at
    return starts_at, max(starts_at, milliseconds_of(appointment.end_date))


def milliseconds_of(moment: datetime) -> int:
    """An aware time in milliseconds since 1970 in UTC, rounded down."""
    since = moment - _EPOCH
    return since.days * _DAY_MILLISECONDS + since.seconds * 1000 + since.microseconds // 1000


def appointment_from(body: str | bytes) -> Appointment:
    """Decodes the body of a schedule row."""
    try:
        return _appointment_decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise _damaged(error) from error


def folded_from(body: str | bytes) -> FoldedAppointment:
    """Decodes the body of an appointment row."""
    try:
        return _folded_decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise _damaged(error) from error


def _damaged(error: msgspec.MsgspecError) -> StorageError:
    return StorageError(f"a row of the read models is damaged ({error}); run: appointments rebuild")
