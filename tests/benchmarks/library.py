"""The way of the library's documentation: `Application.save()` an event, `ProjectionRunner` and upserts by event."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import psycopg
from eventsourcing.application import Application
from eventsourcing.domain import DomainEvent
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresDatastore, PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.sql import SQL, Identifier

from domain import Envelope, read_envelope
from domain.appointment import fold
from domain.identifiers import Position
from projections.rows import Side, folded_from, rows_of
from tests.benchmarks.figures import seconds_of


@dataclass(frozen=True)
class AppointmentChanged(DomainEvent):
    """What an envelope tells, as an event of the library."""

    text: str


class Appointments(Application[UUID]):
    """Everything as the library comes."""

    name = "appointments"


class ScheduleView(PostgresTrackingRecorder):
    """The same three tables, kept event by event: read the appointment, fold, upsert its rows, track, commit."""

    def __init__(self, datastore: PostgresDatastore, **kwargs: Any) -> None:
        super().__init__(datastore, **kwargs)
        schema = Identifier(datastore.schema)
        for table, columns in TABLES.items():
            self.sql_create_statements.append(SQL(columns).format(schema, Identifier(table)))
        self._select = SQL("SELECT body FROM {0}.appointment_view WHERE appointment_id = %s").format(schema)
        self._upsert = SQL(
            "INSERT INTO {0}.appointment_view VALUES (%s, %s, %s) ON CONFLICT (appointment_id)"
            " DO UPDATE SET position = excluded.position, body = excluded.body"
        ).format(schema)
        self._upserts = {side: SQL(UPSERT).format(schema, Identifier(f"{side}_view")) for side in Side}

    def apply(self, event: AppointmentChanged, tracking: Tracking) -> None:
        """Folds one event and commits its rows with the tracking."""
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(self._select, (str(event.originator_id),))
            known = [folded_from(row["body"]) for row in cursor.fetchall()]
            envelope = read_envelope(event.text)
            assert isinstance(envelope, Envelope)
            position = Position(tracking.notification_id)
            rows = rows_of([(fold(known[0] if known else None, [envelope]), position)])
            for row in rows.appointments:
                cursor.execute(self._upsert, row)
            for side, statement in self._upserts.items():
                for schedule_row in rows.of(side):
                    cursor.execute(statement, schedule_row)


TABLES = {
    "appointment_view": (
        "CREATE TABLE IF NOT EXISTS {0}.{1} (appointment_id text PRIMARY KEY, position bigint, body text)"
    ),
} | dict.fromkeys(
    ("talent_view", "coach_view"),
    "CREATE TABLE IF NOT EXISTS {0}.{1} (owner_id text, appointment_id text, position bigint, counterpart_id text,"
    " status text, appointment_type text, subphase_id text, starts_at bigint, ends_at bigint, is_deleted boolean,"
    " body text, PRIMARY KEY (owner_id, appointment_id))",
)
UPSERT = (
    "INSERT INTO {0}.{1} VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (owner_id, appointment_id)"
    " DO UPDATE SET position = excluded.position, counterpart_id = excluded.counterpart_id, status = excluded.status,"
    " appointment_type = excluded.appointment_type, subphase_id = excluded.subphase_id,"
    " starts_at = excluded.starts_at, ends_at = excluded.ends_at, is_deleted = excluded.is_deleted,"
    " body = excluded.body"
)


class ScheduleProjection(Projection[ScheduleView]):
    """One event at a time, as the library's runner hands them over."""

    name = "schedules"

    def process_event(self, domain_event: AppointmentChanged, tracking: Tracking) -> None:
        self.view.apply(domain_event, tracking)


def events_of(lines: Sequence[bytes]) -> list[AppointmentChanged]:
    """One event an envelope."""
    events = []
    for line in lines:
        document = json.loads(line)
        events.append(
            AppointmentChanged(
                originator_id=UUID(document["eventData"]["appointment"]["id"]),
                originator_version=document["id"],
                timestamp=datetime.now(UTC),
                text=line.decode(),
            )
        )
    return events


def environment(backend: str, url: str, schema: str) -> dict[str, str]:
    """How the library is told where its tables are."""
    if backend == "sqlite":
        return {
            "PERSISTENCE_MODULE": "eventsourcing.sqlite",
            "SQLITE_DBNAME": url.removeprefix("sqlite:///"),
        }
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": parts.path.strip("/"),
        "POSTGRES_HOST": query.get("host") or parts.hostname or "",
        "POSTGRES_PORT": query.get("port") or str(parts.port or 5432),
        "POSTGRES_USER": query.get("user") or parts.username or "",
        "POSTGRES_PASSWORD": parts.password or "",
        "POSTGRES_SCHEMA": schema,
        "POSTGRES_POOL_SIZE": "5",
    }


def save_each(backend: str, url: str, schema: str, lines: Sequence[bytes]) -> float:
    """Envelopes a second by `Application.save()`."""
    application = _application(backend, url, schema)
    events = events_of(lines)

    def save() -> None:
        for event in events:
            application.save(event)

    try:
        return len(events) / seconds_of(save)
    finally:
        application.close()


def save_batches(backend: str, url: str, schema: str, lines: Sequence[bytes]) -> float:
    """Envelopes a second by `Application.save()` of a hundred events at once; with 400 its pipeline stood still."""
    application = _application(backend, url, schema)
    events = events_of(lines)

    def save() -> None:
        for start in range(0, len(events), 100):
            application.save(*events[start : start + 100])

    try:
        return len(events) / seconds_of(save)
    finally:
        application.close()


def _application(backend: str, url: str, schema: str) -> Appointments:
    if backend == "postgresql":
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {schema}".encode())
    return Appointments(environment(backend, url, schema))


def save_and_wait(url: str, schema: str, lines: Sequence[bytes]) -> list[float]:
    """Seconds from each `save()` until a runner in the same process has projected it."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}".encode())
    seconds = []
    with ProjectionRunner(
        application_class=Appointments,
        projection_class=ScheduleProjection,
        view_class=ScheduleView,
        env=environment("postgresql", url, schema),
    ) as runner:
        for event in events_of(lines):
            began = time.perf_counter()
            [recording] = runner.app.save(event)
            runner.wait(recording.notification.id, timeout=60)
            seconds.append(time.perf_counter() - began)
    return seconds


def run_projection(url: str, schema: str, count: int) -> float:
    """Envelopes a second by `ProjectionRunner`, of the events saved before."""
    with ProjectionRunner(
        application_class=Appointments,
        projection_class=ScheduleProjection,
        view_class=ScheduleView,
        env=environment("postgresql", url, schema),
    ) as runner:
        return count / seconds_of(lambda: runner.wait(count, timeout=600))
