"""`eventsource-py` doing the same work as its documentation recommends, in an interpreter of its own.

    python eventsource_py.py DSN FILE

It needs Python 3.13, so `rivals.py` runs this file in a virtual environment that it makes; nothing of this
repository is imported. FILE has an envelope a line. Prints the envelopes a second of appending them, a stream at a
time, and of projecting them through a batch subscriber, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any
from uuid import UUID

from eventsource import (
    DomainEvent,
    InMemoryEventBus,
    PostgreSQLEventStore,
    SQLCheckpointRepository,
    StreamId,
    register_event,
)
from eventsource.adapters.sql.schemas import get_schema
from eventsource.application.subscriptions.config import SubscriptionConfig
from eventsource.application.subscriptions.manager import SubscriptionManager
from eventsource.ports import ExpectedVersion
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

BATCH = 1000
SECONDS_MAX = 300

TABLES = (
    "CREATE TABLE appointment_view (appointment_id text PRIMARY KEY, body text NOT NULL)",
    """CREATE TABLE talent_view (owner_id text, appointment_id text, status text, start_date text, body text,
        PRIMARY KEY (owner_id, appointment_id))""",
    """CREATE TABLE coach_view (owner_id text, appointment_id text, status text, start_date text, body text,
        PRIMARY KEY (owner_id, appointment_id))""",
)
SELECT = "SELECT appointment_id, body FROM appointment_view WHERE appointment_id = ANY($1::text[])"
UPSERT = (
    "INSERT INTO appointment_view (appointment_id, body) VALUES ($1, $2)"
    " ON CONFLICT (appointment_id) DO UPDATE SET body = excluded.body"
)
UPSERT_SCHEDULE = (
    "INSERT INTO {side}_view (owner_id, appointment_id, status, start_date, body) VALUES ($1, $2, $3, $4, $5)"
    " ON CONFLICT (owner_id, appointment_id) DO UPDATE SET status = excluded.status,"
    " start_date = excluded.start_date, body = excluded.body"
)


@register_event
class AppointmentChanged(DomainEvent):  # type: ignore[misc, unused-ignore]
    """What an envelope tells."""

    aggregate_type: str = "Appointment"
    envelope_id: int
    published_at: str
    appointment: dict[str, Any]


class Schedules:
    """The same three tables, a batch at a time: read what is known, fold, upsert, commit."""

    def __init__(self, engine: AsyncEngine, events: int) -> None:
        self._engine = engine
        self._left = events
        self.done = asyncio.Event()

    def subscribed_to(self) -> list[type[DomainEvent]]:
        return [AppointmentChanged]

    async def handle_batch(self, events: Sequence[Any]) -> None:
        """Folds a batch and commits its rows."""
        async with self._engine.connect() as connection:
            raw = await connection.get_raw_connection()
            driver: Any = raw.driver_connection
            async with driver.transaction():
                ids = list({str(event.aggregate_id) for event in events})
                known = {row[0]: json.loads(row[1]) for row in await driver.fetch(SELECT, ids)}
                for event in events:
                    _apply(known.setdefault(str(event.aggregate_id), {"revisions": []}), event)
                bodies = {one: json.dumps(state) for one, state in known.items()}
                await driver.executemany(UPSERT, list(bodies.items()))
                for side in ("talent", "coach"):
                    rows = [
                        (now[f"{side}Id"], one, now["status"], now.get("startDate"), bodies[one])
                        for one, now in ((one, state["appointment"]) for one, state in known.items())
                    ]
                    await driver.executemany(UPSERT_SCHEDULE.format(side=side), rows)
        self._left -= len(events)
        if self._left == 0:
            self.done.set()


def _apply(state: dict[str, Any], event: Any) -> None:
    now = event.appointment
    state["revisions"].append([event.envelope_id, event.published_at, now["status"], now["talentId"], now["coachId"]])
    state["revisions"].sort()
    if state["revisions"][-1][0] == event.envelope_id:
        state["appointment"] = now


async def run(dsn: str, lines: Sequence[str]) -> dict[str, float]:
    """Envelopes a second of both."""
    engine = create_async_engine(dsn)
    async with engine.connect() as connection:
        raw = await connection.get_raw_connection()
        driver: Any = raw.driver_connection
        # Of its script for checkpoints only the table: a function further down is refused by PostgreSQL.
        checkpoints = get_schema("checkpoints").split("\n);")[0] + ");"
        token = "ALTER TABLE projection_checkpoints ADD COLUMN IF NOT EXISTS position_token TEXT"
        for script in (get_schema("events"), checkpoints, token, *TABLES):
            await driver.execute(script)
    store = PostgreSQLEventStore(engine)
    began = time.perf_counter()
    await _append(store, lines)
    appended = time.perf_counter()
    schedules = Schedules(engine, len(lines))
    manager = SubscriptionManager(store, InMemoryEventBus(), SQLCheckpointRepository(engine), enable_tracing=False)
    await manager.subscribe(schedules, SubscriptionConfig(start_from="beginning", batch_size=BATCH))
    await manager.start()
    await asyncio.wait_for(schedules.done.wait(), SECONDS_MAX)
    projected = time.perf_counter()
    await manager.stop()
    await engine.dispose()
    return {"append": len(lines) / (appended - began), "catch-up": len(lines) / (projected - appended)}


async def _append(store: PostgreSQLEventStore, lines: Sequence[str]) -> None:
    """Each stream's events at once: the most that one call can take."""
    documents = [json.loads(line) for line in lines]
    documents.sort(key=lambda one: (one["eventData"]["appointment"]["id"], one["id"]))
    for appointment_id, stream in groupby(documents, key=lambda one: one["eventData"]["appointment"]["id"]):
        aggregate_id = UUID(appointment_id)
        events = [
            AppointmentChanged(
                aggregate_id=aggregate_id,
                aggregate_version=version,
                envelope_id=one["id"],
                published_at=one["createdAt"],
                appointment=one["eventData"]["appointment"],
            )
            for version, one in enumerate(stream, 1)
        ]
        await store.append(StreamId(aggregate_id, "Appointment"), events, ExpectedVersion.any_())


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(sys.argv[1], Path(sys.argv[2]).read_text(encoding="utf-8").splitlines()))))
