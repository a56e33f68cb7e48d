"""What is asked of the read models on PostgreSQL: each query is one statement, with the stamp of its answer."""

from __future__ import annotations

from typing import Final

from projections.stores.relational import Queries

_STAMP: Final = """
    SELECT
        serving.generation, generation.fold_version, generation.position,
        (SELECT COALESCE(MAX(notification_id), 0) FROM {schema}.stored_events),
        (SELECT epoch FROM {schema}.event_store WHERE singleton = 1),
        (SELECT erasures FROM {schema}.event_store WHERE singleton = 1),
        serving.tables_version,
        NULL
    FROM {schema}.serving
    JOIN {schema}.generation ON generation.number = serving.generation
    WHERE serving.fold_version = %(fold_version)s
"""

_SCHEDULE: Final = """
    SELECT
        serving.generation, generation.fold_version, generation.position,
        (SELECT COALESCE(MAX(notification_id), 0) FROM {schema}.stored_events),
        (SELECT epoch FROM {schema}.event_store WHERE singleton = 1),
        (SELECT erasures FROM {schema}.event_store WHERE singleton = 1),
        serving.tables_version,
        answer.body
    FROM {schema}.serving
    JOIN {schema}.generation ON generation.number = serving.generation
    LEFT JOIN (
        SELECT body
        FROM (
            SELECT body, appointment_id, COALESCE(%(direction)s::bigint * starts_at, %(undated)s::bigint) AS sort_key
            FROM {schema}.{side}_schedule_{generation}
            WHERE {side}_id = %(owner_id)s
            AND body IS NOT NULL
            AND (%(include_deleted)s::boolean OR NOT is_deleted)
            AND (%(statuses)s::text[] IS NULL OR status = ANY(%(statuses)s::text[]))
            AND (%(appointment_type)s::text IS NULL OR appointment_type = %(appointment_type)s::text)
            AND (%(subphase_id)s::text IS NULL OR subphase_id = %(subphase_id)s::text)
            AND (%(counterpart_id)s::text IS NULL OR counterpart_id = %(counterpart_id)s::text)
            AND (
                %(ends_after)s::bigint IS NULL
                OR ends_at > %(ends_after)s::bigint
                OR starts_at >= %(ends_after)s::bigint
            )
            AND (%(starts_before)s::bigint IS NULL OR starts_at < %(starts_before)s::bigint)
            AND (
                %(past_before)s::bigint IS NULL
                OR (starts_at < %(past_before)s::bigint AND ends_at <= %(past_before)s::bigint)
            )
        ) AS selected
        WHERE %(after_start)s::bigint IS NULL
        OR (sort_key, appointment_id) > (%(after_start)s::bigint, %(after_id)s::text)
        ORDER BY sort_key, appointment_id
        LIMIT %(limit)s
    ) AS answer ON serving.generation = {generation}
    WHERE serving.fold_version = %(fold_version)s
"""

_APPOINTMENT: Final = """
    SELECT
        serving.generation, generation.fold_version, generation.position,
        (SELECT COALESCE(MAX(notification_id), 0) FROM {schema}.stored_events),
        (SELECT epoch FROM {schema}.event_store WHERE singleton = 1),
        (SELECT erasures FROM {schema}.event_store WHERE singleton = 1),
        serving.tables_version,
        answer.body
    FROM {schema}.serving
    JOIN {schema}.generation ON generation.number = serving.generation
    LEFT JOIN (
        SELECT body FROM {schema}.appointment_{generation} WHERE appointment_id = %(appointment_id)s
    ) AS answer ON serving.generation = {generation}
    WHERE serving.fold_version = %(fold_version)s
"""

_OWNERS: Final = """
    SELECT
        serving.generation, generation.fold_version, generation.position,
        (SELECT COALESCE(MAX(notification_id), 0) FROM {schema}.stored_events),
        (SELECT epoch FROM {schema}.event_store WHERE singleton = 1),
        (SELECT erasures FROM {schema}.event_store WHERE singleton = 1),
        serving.tables_version,
        answer.owner_id, answer.planned, answer.done, answer.canceled
    FROM {schema}.serving
    JOIN {schema}.generation ON generation.number = serving.generation
    LEFT JOIN (
        SELECT
            {side}_id AS owner_id,
            COUNT(*) FILTER (WHERE status = 'PLANNED') AS planned,
            COUNT(*) FILTER (WHERE status = 'DONE') AS done,
            COUNT(*) FILTER (WHERE status = 'CANCELED') AS canceled
        FROM {schema}.{side}_schedule_{generation}
        WHERE {side}_id > %(after)s
        AND body IS NOT NULL
        AND NOT is_deleted
        GROUP BY {side}_id
        ORDER BY {side}_id
        LIMIT %(limit)s
    ) AS answer ON serving.generation = {generation}
    WHERE serving.fold_version = %(fold_version)s
"""

_CHANGES: Final = """
    SELECT
        serving.generation, generation.fold_version, generation.position,
        (SELECT COALESCE(MAX(notification_id), 0) FROM {schema}.stored_events),
        (SELECT epoch FROM {schema}.event_store WHERE singleton = 1),
        (SELECT erasures FROM {schema}.event_store WHERE singleton = 1),
        serving.tables_version,
        answer.{side}_id, answer.appointment_id, answer.position, answer.counterpart_id, answer.status,
        answer.appointment_type, answer.subphase_id, answer.starts_at, answer.ends_at, answer.is_deleted, answer.body
    FROM {schema}.serving
    JOIN {schema}.generation ON generation.number = serving.generation
    LEFT JOIN (
        SELECT
            {side}_id, appointment_id, position, counterpart_id, status, appointment_type, subphase_id, starts_at,
            ends_at, is_deleted, body
        FROM {schema}.{side}_schedule_{generation}
        WHERE {side}_id = %(owner_id)s
        AND (position, appointment_id) > (%(after)s::bigint, %(after_id)s::text)
        ORDER BY position, appointment_id
        LIMIT %(limit)s
    ) AS answer ON serving.generation = {generation}
    WHERE serving.fold_version = %(fold_version)s
"""

# OFFSET 0 forces a nested loop, stream by stream in the order of the ids, whatever the planner knows of the tables.
# The library's column has the collation of the database, and an index serves only comparisons under its own.
_STREAMS: Final = """
    SELECT
        serving.generation, generation.fold_version, generation.position,
        (SELECT COALESCE(MAX(notification_id), 0) FROM {schema}.stored_events),
        (SELECT epoch FROM {schema}.event_store WHERE singleton = 1),
        (SELECT erasures FROM {schema}.event_store WHERE singleton = 1),
        serving.tables_version,
        answer.notification_id, answer.originator_version, answer.originator_id, answer.topic, answer.state,
        answer.arrived_at
    FROM {schema}.serving
    JOIN {schema}.generation ON generation.number = serving.generation
    LEFT JOIN (
        SELECT event.*
        FROM (
            SELECT appointment_id
            FROM {schema}.{side}_schedule_{generation}
            WHERE {side}_id = %(owner_id)s
            ORDER BY appointment_id
        ) AS schedule
        CROSS JOIN LATERAL (
            SELECT notification_id, originator_version, originator_id, topic, state, arrived_at
            FROM {schema}.stored_events
            WHERE originator_id = schedule.appointment_id COLLATE "default"
            ORDER BY originator_version
            OFFSET 0
        ) AS event
        WHERE event.notification_id <= (SELECT position FROM {schema}.generation WHERE number = {generation})
    ) AS answer ON serving.generation = {generation}
    WHERE serving.fold_version = %(fold_version)s
"""

_COUNT: Final = """
    SELECT
        serving.generation, generation.fold_version, generation.position,
        (SELECT COALESCE(MAX(notification_id), 0) FROM {schema}.stored_events),
        (SELECT epoch FROM {schema}.event_store WHERE singleton = 1),
        (SELECT erasures FROM {schema}.event_store WHERE singleton = 1),
        serving.tables_version,
        answer.count
    FROM {schema}.serving
    JOIN {schema}.generation ON generation.number = serving.generation
    LEFT JOIN (
        SELECT COUNT(*) AS count FROM {schema}.appointment_{generation}
    ) AS answer ON serving.generation = {generation}
    WHERE serving.fold_version = %(fold_version)s
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
