-- Views for people who ask in SQL: one row for each appointment that is not deleted. Our own questions never use them.
-- Times are ISO 8601 in UTC with milliseconds, so that they sort as texts; SQLite's date functions read them.

CREATE VIEW IF NOT EXISTS current_appointment AS
SELECT
    appointment.appointment_id AS id,
    schedule.talent_id,
    schedule.counterpart_id AS coach_id,
    schedule.status,
    json_extract(schedule.body, '$.title') AS title,
    json_extract(schedule.body, '$.description') AS description,
    strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(schedule.body, '$.start_date')) AS start_date,
    strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(schedule.body, '$.end_date')) AS end_date,
    schedule.appointment_type,
    schedule.subphase_id,
    json_extract(schedule.body, '$.talent_block_id') AS talent_block_id,
    json_extract(schedule.body, '$.canceled_by') AS canceled_by,
    json_extract(schedule.body, '$.cancelation_reason') AS cancelation_reason,
    json_extract(schedule.body, '$.cancelation_explanation') AS cancelation_explanation,
    strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(schedule.body, '$.created_at')) AS created_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(schedule.body, '$.updated_at')) AS updated_at,
    json_extract(schedule.body, '$.event_id') AS event_id,
    json_extract(schedule.body, '$.revision') AS revision,
    json_extract(schedule.body, '$.reschedules') AS reschedules,
    json_extract(schedule.body, '$.irregular') AS irregular,
    schedule.position
FROM appointment_{generation} AS appointment
JOIN talent_schedule_{generation} AS schedule
    ON schedule.talent_id = json_extract(appointment.body, '$.snapshot.talent_id')
    AND schedule.appointment_id = appointment.appointment_id
WHERE schedule.body IS NOT NULL
AND NOT schedule.is_deleted;

CREATE VIEW IF NOT EXISTS current_talent_schedule AS
SELECT
    schedule.talent_id,
    schedule.appointment_id AS id,
    schedule.counterpart_id AS coach_id,
    schedule.status,
    json_extract(schedule.body, '$.title') AS title,
    json_extract(schedule.body, '$.description') AS description,
    strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(schedule.body, '$.start_date')) AS start_date,
    strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(schedule.body, '$.end_date')) AS end_date,
    schedule.appointment_type,
    schedule.subphase_id,
    json_extract(schedule.body, '$.talent_block_id') AS talent_block_id,
    json_extract(schedule.body, '$.canceled_by') AS canceled_by,
    json_extract(schedule.body, '$.cancelation_reason') AS cancelation_reason,
    json_extract(schedule.body, '$.cancelation_explanation') AS cancelation_explanation,
    strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(schedule.body, '$.created_at')) AS created_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(schedule.body, '$.updated_at')) AS updated_at,
    json_extract(schedule.body, '$.event_id') AS event_id,
    json_extract(schedule.body, '$.revision') AS revision,
    json_extract(schedule.body, '$.reschedules') AS reschedules,
    json_extract(schedule.body, '$.irregular') AS irregular,
    schedule.position
FROM talent_schedule_{generation} AS schedule
WHERE schedule.body IS NOT NULL
AND NOT schedule.is_deleted;

CREATE VIEW IF NOT EXISTS current_coach_schedule AS
SELECT
    schedule.coach_id,
    schedule.appointment_id AS id,
    schedule.counterpart_id AS talent_id,
    schedule.status,
    json_extract(schedule.body, '$.title') AS title,
    json_extract(schedule.body, '$.description') AS description,
    strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(schedule.body, '$.start_date')) AS start_date,
    strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(schedule.body, '$.end_date')) AS end_date,
    schedule.appointment_type,
    schedule.subphase_id,
    json_extract(schedule.body, '$.talent_block_id') AS talent_block_id,
    json_extract(schedule.body, '$.canceled_by') AS canceled_by,
    json_extract(schedule.body, '$.cancelation_reason') AS cancelation_reason,
    json_extract(schedule.body, '$.cancelation_explanation') AS cancelation_explanation,
    strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(schedule.body, '$.created_at')) AS created_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(schedule.body, '$.updated_at')) AS updated_at,
    json_extract(schedule.body, '$.event_id') AS event_id,
    json_extract(schedule.body, '$.revision') AS revision,
    json_extract(schedule.body, '$.reschedules') AS reschedules,
    json_extract(schedule.body, '$.irregular') AS irregular,
    schedule.position
FROM coach_schedule_{generation} AS schedule
WHERE schedule.body IS NOT NULL
AND NOT schedule.is_deleted;
