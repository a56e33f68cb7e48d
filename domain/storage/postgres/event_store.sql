-- The event store and the quarantine in one schema of a PostgreSQL database.
-- What is in braces is filled in by `appointments init`.

-- The library's table, as its PostgresApplicationRecorder makes it, and when each envelope arrived: one time a
-- statement, after the append has the table to itself. NULL for what was stored by version 1.
CREATE TABLE IF NOT EXISTS {schema}.stored_events (
    originator_id text NOT NULL,
    originator_version bigint NOT NULL,
    topic text,
    state bytea,
    notification_id bigserial,
    arrived_at timestamptz DEFAULT date_trunc('milliseconds', statement_timestamp()),
    PRIMARY KEY (originator_id, originator_version)
) WITH (
    autovacuum_enabled = true,
    autovacuum_vacuum_threshold = 100000000,
    autovacuum_vacuum_scale_factor = 0.5,
    autovacuum_analyze_threshold = 1000,
    autovacuum_analyze_scale_factor = 0.01
);

CREATE UNIQUE INDEX IF NOT EXISTS stored_events_notification_id_idx
    ON {schema}.stored_events (notification_id);

-- An envelope id is unique in the whole store, not only in its stream.
CREATE UNIQUE INDEX IF NOT EXISTS stored_events_event_id
    ON {schema}.stored_events (originator_version);

-- The few events that are no envelope as received, by what they are: markers, what is set aside, what is masked.
CREATE INDEX IF NOT EXISTS stored_events_topic
    ON {schema}.stored_events (topic) WHERE topic <> 'VCSessionScheduledEvent.v1';

-- One row: which store this is, and the version of the tables (TABLES_VERSION). The epoch is made by chance with the
-- store and again after a restore; a change token of another epoch is refused. The secret is the key of the digests
-- in forgotten_person, and `erasures` counts the changes to that table.
CREATE TABLE IF NOT EXISTS {schema}.event_store (
    singleton bigint PRIMARY KEY CHECK (singleton = 1),
    epoch text NOT NULL,
    tables_version bigint NOT NULL,
    secret text NOT NULL,
    erasures bigint NOT NULL
);

INSERT INTO {schema}.event_store (singleton, epoch, tables_version, secret, erasures)
VALUES (1, gen_random_uuid()::text, 2, replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 0)
ON CONFLICT DO NOTHING;

-- Who is forgotten: HMAC-SHA256 of side and id, never an id. The receipt is JSON.
CREATE TABLE IF NOT EXISTS {schema}.forgotten_person (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest text NOT NULL,
    is_lifted boolean NOT NULL,
    is_scrubbed boolean NOT NULL,
    receipt text NOT NULL
);

CREATE UNIQUE INDEX IF NOT EXISTS forgotten_person_digest
    ON {schema}.forgotten_person (digest) WHERE NOT is_lifted;

CREATE TABLE IF NOT EXISTS {schema}.quarantine (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text NOT NULL,
    reason text NOT NULL,
    source text NOT NULL,
    line bigint,
    received_at timestamptz NOT NULL,
    content bytea NOT NULL,
    length bigint NOT NULL,
    sha256 text NOT NULL,
    event_id bigint,
    appointment_id text,
    count bigint NOT NULL,
    UNIQUE (sha256, code)
);

-- How far outboxes of other databases were read: by place, without a secret, and query.
CREATE TABLE IF NOT EXISTS {schema}.outbox (
    source text NOT NULL,
    query_sha256 text NOT NULL,
    last_id bigint NOT NULL,
    pulled_at timestamptz NOT NULL,
    PRIMARY KEY (source, query_sha256)
);

-- One row: what became of every item that was read, since the beginning. Version 1 did not count: what it stored is
-- counted as appended.
CREATE TABLE IF NOT EXISTS {schema}.outcome (
    singleton bigint PRIMARY KEY CHECK (singleton = 1),
    appended bigint NOT NULL,
    duplicates bigint NOT NULL,
    ignored bigint NOT NULL,
    quarantined bigint NOT NULL
);

INSERT INTO {schema}.outcome (singleton, appended, duplicates, ignored, quarantined)
VALUES (1, 0, 0, 0, 0)
ON CONFLICT DO NOTHING;
