"""What is asked of the read models on SQLite: each query is one statement, with the stamp of its answer."""

from __future__ import annotations

from typing import Final

from projections.stores.relational import Queries

_STAMP: Final = """
    SELECT
        serving.generation, generation.fold_version, generation.position,
        (SELECT COALESCE(MAX(rowid), 0) FROM stored_events),
        (SELECT epoch FROM event_store WHERE singleton = 1),
        (SELECT erasures FROM event_store WHERE singleton = 1),
        serving.tables_version,
        NULL
    FROM serving
    JOIN generation ON generation.number = serving.generation
    WHERE serving.fold_version = :fold_version
"""

_SCHEDULE: Final = """
    SELECT
        serving.generation, generation.fold_version, generation.position,
        (SELECT COALESCE(MAX(rowid), 0) FROM stored_events),
        (SELECT epoch FROM event_store WHERE singleton = 1),
        (SELECT erasures FROM event_store WHERE singleton = 1),
        serving.tables_version,
        answer.body
    FROM serving
    JOIN generation ON generation.number = serving.generation
    LEFT JOIN (
        SELECT body
        FROM (
            SELECT body, appointment_id, COALESCE(:direction * starts_at, :undated) AS sort_key
            FROM {side}_schedule_{generation}
            WHERE {side}_id = :owner_id
            AND body IS NOT NULL
            AND (:include_deleted OR NOT is_deleted)
            AND (:statuses IS NULL OR status IN (SELECT value FROM json_each(:statuses)))
            AND (:appointment_type IS NULL OR appointment_type = :appointment_type)
            AND (:subphase_id IS NULL OR subphase_id = :subphase_id)
            AND (:counterpart_id IS NULL OR counterpart_id = :counterpart_id)
            AND (:ends_after IS NULL OR ends_at > :ends_after OR starts_at >= :ends_after)
            AND (:starts_before IS NULL OR starts_at < :starts_before)
            AND (:past_before IS NULL OR (starts_at < :past_before AND ends_at <= :past_before))
        )
        WHERE :after_start IS NULL OR (sort_key, appointment_id) > (:after_start, :after_id)
        ORDER BY sort_key, appointment_id
        LIMIT COALESCE(:limit, -1)
    ) AS answer ON serving.generation = {generation}
    WHERE serving.fold_version = :fold_version
"""

_APPOINTMENT: Final = """
    SELECT
        serving.generation, generation.fold_version, generation.position,
        (SELECT COALESCE(MAX(rowid), 0) FROM stored_events),
        (SELECT epoch FROM event_store WHERE singleton = 1),
        (SELECT erasures FROM event_store WHERE singleton = 1),
        serving.tables_version,
        answer.body
    FROM serving
    JOIN generation ON generation.number = serving.generation
    LEFT JOIN (
        SELECT body FROM appointment_{generation} WHERE appointment_id = :appointment_id
    ) AS answer ON serving.generation = {generation}
    WHERE serving.fold_version = :fold_version
"""

_OWNERS: Final = """
    SELECT
        serving.generation, generation.fold_version, generation.position,
        (SELECT COALESCE(MAX(rowid), 0) FROM stored_events),
        (SELECT epoch FROM event_store WHERE singleton = 1),
        (SELECT erasures FROM event_store WHERE singleton = 1),
        serving.tables_version,
        answer.owner_id, answer.planned, answer.done, answer.canceled
    FROM serving
    JOIN generation ON generation.number = serving.generation
    LEFT JOIN (
        SELECT
            {side}_id AS owner_id,
            SUM(status = 'PLANNED') AS planned,
            SUM(status = 'DONE') AS done,
            SUM(status = 'CANCELED') AS canceled
        FROM {side}_schedule_{generation}
        WHERE {side}_id > :after
        AND body IS NOT NULL
        AND NOT is_deleted
        GROUP BY {side}_id
        ORDER BY {side}_id
        LIMIT COALESCE(:limit, -1)
    ) AS answer ON serving.generation = {generation}
    WHERE serving.fold_version = :fold_version
"""

_CHANGES: Final = """
    SELECT
        serving.generation, generation.fold_version, generation.position,
        (SELECT COALESCE(MAX(rowid), 0) FROM stored_events),
        (SELECT epoch FROM event_store WHERE singleton = 1),
        (SELECT erasures FROM event_store WHERE singleton = 1),
        serving.tables_version,
        answer.{side}_id, answer.appointment_id, answer.position, answer.counterpart_id, answer.status,
        answer.appointment_type, answer.subphase_id, answer.starts_at, answer.ends_at, answer.is_deleted, answer.body
    FROM serving
    JOIN generation ON generation.number = serving.generation
    LEFT JOIN (
        SELECT
            {side}_id, appointment_id, position, counterpart_id, status, appointment_type, subphase_id, starts_at,
            ends_at, is_deleted, body
        FROM {side}_schedule_{generation}
        WHERE {side}_id = :owner_id
        AND (position, appointment_id) > (:after, :after_id)
        ORDER BY position, appointment_id
        LIMIT COALESCE(:limit, -1)
    ) AS answer ON serving.generation = {generation}
    WHERE serving.fold_version = :fold_version
"""

_STREAMS: Final = """
    SELECT
        serving.generation, generation.fold_version, generation.position,
        (SELECT COALESCE(MAX(rowid), 0) FROM stored_events),
        (SELECT epoch FROM event_store WHERE singleton = 1),
        (SELECT erasures FROM event_store WHERE singleton = 1),
        serving.tables_version,
        answer.rowid, answer.originator_version, answer.originator_id, answer.topic, answer.state,
        answer.arrived_at
    FROM serving
    JOIN generation ON generation.number = serving.generation
    LEFT JOIN (
        SELECT event.*
        FROM {side}_schedule_{generation} AS schedule
        JOIN stored_events AS event ON event.originator_id = schedule.appointment_id
        WHERE schedule.{side}_id = :owner_id
        AND event.rowid <= (SELECT position FROM generation WHERE number = {generation})
        ORDER BY schedule.appointment_id, event.originator_version
    ) AS answer ON serving.generation = {generation}
    WHERE serving.fold_version = :fold_version
"""

_COUNT: Final = """
    SELECT
        serving.generation, generation.fold_version, generation.position,
        (SELECT COALESCE(MAX(rowid), 0) FROM stored_events),
        (SELECT epoch FROM event_store WHERE singleton = 1),
        (SELECT erasures FROM event_store WHERE singleton = 1),
        serving.tables_version,
        answer.count
    FROM serving
    JOIN generation ON generation.number = serving.generation
    LEFT JOIN (
        SELECT COUNT(*) AS count FROM appointment_{generation}
    ) AS answer ON serving.generation = {generation}
    WHERE serving.fold_version = :fold_version
"""

QUERIES: Final = Queries(
    stamp=_STAMP,
    schedule=_SCHEDULE,
    appointment=_APPOINTMENT,
    owners=_OWNERS,
    changes=_CHANGES,
    streams=_STREAMS,
    appointments_count=_COUNT,
)
