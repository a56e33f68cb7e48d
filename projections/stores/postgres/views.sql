-- Views for people who ask in SQL: one row for each appointment that is not deleted. Our own questions never use them.
--
-- Replacing a view waits for every question to it and shows an empty table to older snapshots, so a switch replaces none.
-- Each view asks a function that the planner expands: all generations that there are, each on the condition that the
-- pointer of the newest fold names it. A rebuild adds a generation to the functions, which locks nobody out, and the
-- pointer decides.

CREATE OR REPLACE FUNCTION {schema}.shown_generation(known bigint[]) RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    shown bigint;
BEGIN
    SELECT generation INTO STRICT shown FROM {schema}.serving ORDER BY fold_version DESC LIMIT 1;
    IF shown <> ALL (known) THEN
        RAISE 'generation % was dropped after this transaction began; begin a new one', shown;
    END IF;
    RETURN shown;
END
$$;

-- Makes the functions anew when a generation was made, or is going to be dropped.
CREATE OR REPLACE FUNCTION {schema}.show_generations() RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    known bigint[] := ARRAY(
        SELECT number
        FROM {schema}.generation
        WHERE state IN ('building', 'ready')
        AND to_regclass(format('{schema}.appointment_%s', number)) IS NOT NULL
        AND to_regclass(format('{schema}.talent_schedule_%s', number)) IS NOT NULL
        AND to_regclass(format('{schema}.coach_schedule_%s', number)) IS NOT NULL
    );
    side text;
BEGIN
    FOREACH side IN ARRAY ARRAY['talent', 'coach'] LOOP
        EXECUTE format(
            'CREATE OR REPLACE FUNCTION {schema}.shown_%s_schedule() RETURNS TABLE (
                owner_id text, appointment_id text, counterpart_id text, status text, starts_at bigint,
                "position" bigint, body text
            ) LANGUAGE sql STABLE PARALLEL SAFE AS %L',
            side,
            (
                SELECT string_agg(
                    format(
                        'SELECT %1$s_id, appointment_id, counterpart_id, status, starts_at, position, body
                        FROM {schema}.%1$s_schedule_%2$s
                        WHERE {schema}.shown_generation(%3$L) = %2$s AND body IS NOT NULL AND NOT is_deleted',
                        side, number, known
                    ),
                    ' UNION ALL '
                )
                FROM unnest(known) AS number
            )
        );
    END LOOP;
    EXECUTE format(
        'CREATE OR REPLACE FUNCTION {schema}.shown_appointment() RETURNS TABLE (
            appointment_id text, talent_id text, coach_id text, status text, starts_at bigint, "position" bigint, body text
        ) LANGUAGE sql STABLE PARALLEL SAFE AS %L',
        (
            SELECT string_agg(
                format(
                    'SELECT appointment.appointment_id, schedule.talent_id, schedule.counterpart_id,
                        schedule.status, schedule.starts_at, schedule.position, schedule.body
                    FROM {schema}.appointment_%1$s AS appointment
                    JOIN {schema}.talent_schedule_%1$s AS schedule
                        ON schedule.talent_id = appointment.body::json #>> ''{{snapshot,talent_id}}''
                        AND schedule.appointment_id = appointment.appointment_id
                    WHERE {schema}.shown_generation(%2$L) = %1$s
                    AND schedule.body IS NOT NULL AND NOT schedule.is_deleted',
                    number, known
                ),
                ' UNION ALL '
            )
            FROM unnest(known) AS number
        )
    );
END
$$;

SELECT {schema}.show_generations();

CREATE OR REPLACE VIEW {schema}.current_appointment AS
SELECT
    appointment_id COLLATE "C" AS id,
    talent_id COLLATE "C" AS talent_id,
    coach_id COLLATE "C" AS coach_id,
    status COLLATE "C" AS status, told.title, told.description,
    to_timestamp(starts_at / 1000) + (starts_at % 1000) * interval '1 millisecond' AS start_date,
    told.end_date, told.appointment_type, told.subphase_id, told.talent_block_id, told.canceled_by,
    told.cancelation_reason, told.cancelation_explanation, told.created_at, told.updated_at, told.event_id,
    told.revision, told.reschedules, told.irregular, "position"
FROM {schema}.shown_appointment()
CROSS JOIN LATERAL json_to_record(body::json) AS told (
    title text, description text, end_date timestamptz, appointment_type text, subphase_id text,
    talent_block_id text, canceled_by text, cancelation_reason text, cancelation_explanation text,
    created_at timestamptz, updated_at timestamptz, event_id bigint, revision bigint, reschedules bigint,
    irregular boolean
);

CREATE OR REPLACE VIEW {schema}.current_talent_schedule AS
SELECT
    owner_id COLLATE "C" AS talent_id,
    appointment_id COLLATE "C" AS id,
    counterpart_id COLLATE "C" AS coach_id,
    status COLLATE "C" AS status, told.title, told.description,
    to_timestamp(starts_at / 1000) + (starts_at % 1000) * interval '1 millisecond' AS start_date,
    told.end_date, told.appointment_type, told.subphase_id, told.talent_block_id, told.canceled_by,
    told.cancelation_reason, told.cancelation_explanation, told.created_at, told.updated_at, told.event_id,
    told.revision, told.reschedules, told.irregular, "position"
FROM {schema}.shown_talent_schedule()
CROSS JOIN LATERAL json_to_record(body::json) AS told (
    title text, description text, end_date timestamptz, appointment_type text, subphase_id text,
    talent_block_id text, canceled_by text, cancelation_reason text, cancelation_explanation text,
    created_at timestamptz, updated_at timestamptz, event_id bigint, revision bigint, reschedules bigint,
    irregular boolean
);

CREATE OR REPLACE VIEW {schema}.current_coach_schedule AS
SELECT
    owner_id COLLATE "C" AS coach_id,
    appointment_id COLLATE "C" AS id,
    counterpart_id COLLATE "C" AS talent_id,
    status COLLATE "C" AS status, told.title, told.description,
    to_timestamp(starts_at / 1000) + (starts_at % 1000) * interval '1 millisecond' AS start_date,
    told.end_date, told.appointment_type, told.subphase_id, told.talent_block_id, told.canceled_by,
    told.cancelation_reason, told.cancelation_explanation, told.created_at, told.updated_at, told.event_id,
    told.revision, told.reschedules, told.irregular, "position"
FROM {schema}.shown_coach_schedule()
CROSS JOIN LATERAL json_to_record(body::json) AS told (
    title text, description text, end_date timestamptz, appointment_type text, subphase_id text,
    talent_block_id text, canceled_by text, cancelation_reason text, cancelation_explanation text,
    created_at timestamptz, updated_at timestamptz, event_id bigint, revision bigint, reschedules bigint,
    irregular boolean
);
