-- The three tables of one generation. Their names end in its number.
-- Ids are compared by code point. Times are milliseconds since 1970 in UTC: to_timestamp(starts_at / 1000.0).

CREATE TABLE IF NOT EXISTS {schema}.appointment_{generation} (
    appointment_id text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    body text COLLATE "C" NOT NULL
);

CREATE TABLE IF NOT EXISTS {schema}.talent_schedule_{generation} (
    talent_id text COLLATE "C" NOT NULL,
    appointment_id text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    counterpart_id text COLLATE "C",
    status text COLLATE "C",
    appointment_type text COLLATE "C",
    subphase_id text COLLATE "C",
    starts_at bigint,
    ends_at bigint,
    is_deleted boolean,
    body text COLLATE "C"
);

CREATE TABLE IF NOT EXISTS {schema}.coach_schedule_{generation} (
    coach_id text COLLATE "C" NOT NULL,
    appointment_id text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    counterpart_id text COLLATE "C",
    status text COLLATE "C",
    appointment_type text COLLATE "C",
    subphase_id text COLLATE "C",
    starts_at bigint,
    ends_at bigint,
    is_deleted boolean,
    body text COLLATE "C"
);
