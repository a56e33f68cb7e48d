-- The event store and the quarantine in one SQLite file. `sqlite3 FILE < event_store.sql` creates them.

-- The library's table. An implicit rowid is not promised to survive a VACUUM; a declared one is, and under
-- exactly this name the library finds the position. When an envelope arrived is NULL for what version 1 stored.
CREATE TABLE IF NOT EXISTS stored_events (
    rowid INTEGER PRIMARY KEY,
    originator_id TEXT NOT NULL,
    originator_version INTEGER NOT NULL,
    topic TEXT NOT NULL,
    state BLOB NOT NULL,
    arrived_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    UNIQUE (originator_id, originator_version)
);

-- An envelope id is unique in the whole store, not only in its stream.
CREATE UNIQUE INDEX IF NOT EXISTS stored_events_event_id ON stored_events (originator_version);

-- The few events that are no envelope as received, by what they are: markers, what is set aside, what is masked.
CREATE INDEX IF NOT EXISTS stored_events_topic ON stored_events (topic) WHERE topic <> 'VCSessionScheduledEvent.v1';

-- One row: which store this is, and the version of the tables (TABLES_VERSION). The epoch is made by chance with the
-- store and again after a restore; a change token of another epoch is refused. The secret is the key of the digests
-- in `forgotten_person`, and `erasures` counts the changes to that table.
CREATE TABLE IF NOT EXISTS event_store (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
    epoch TEXT NOT NULL,
    tables_version INTEGER NOT NULL,
    secret TEXT NOT NULL,
    erasures INTEGER NOT NULL
);

INSERT INTO event_store (singleton, epoch, tables_version, secret, erasures)
VALUES (1, lower(hex(randomblob(16))), 2, lower(hex(randomblob(32))), 0)
ON CONFLICT DO NOTHING;

-- Who is forgotten: HMAC-SHA256 of side and id, never an id. The receipt is JSON.
CREATE TABLE IF NOT EXISTS forgotten_person (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    digest TEXT NOT NULL,
    is_lifted INTEGER NOT NULL,
    is_scrubbed INTEGER NOT NULL,
    receipt TEXT NOT NULL
);

CREATE UNIQUE INDEX IF NOT EXISTS forgotten_person_digest ON forgotten_person (digest) WHERE NOT is_lifted;

CREATE TABLE IF NOT EXISTS quarantine (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    code TEXT NOT NULL,
    reason TEXT NOT NULL,
    source TEXT NOT NULL,
    line INTEGER,
    received_at TEXT NOT NULL,
    content BLOB NOT NULL,
    length INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    event_id INTEGER,
    appointment_id TEXT,
    count INTEGER NOT NULL,
    UNIQUE (sha256, code)
);

-- How far outboxes of other databases were read: by place, without a secret, and query.
CREATE TABLE IF NOT EXISTS outbox (
    source TEXT NOT NULL,
    query_sha256 TEXT NOT NULL,
    last_id INTEGER NOT NULL,
    pulled_at TEXT NOT NULL,
    PRIMARY KEY (source, query_sha256)
);

-- One row: what became of every item that was read, since the beginning. Version 1 did not count: what it stored is
-- counted as appended.
CREATE TABLE IF NOT EXISTS outcome (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
    appended INTEGER NOT NULL,
    duplicates INTEGER NOT NULL,
    ignored INTEGER NOT NULL,
    quarantined INTEGER NOT NULL
);

INSERT INTO outcome (singleton, appended, duplicates, ignored, quarantined)
VALUES (1, 0, 0, 0, 0)
ON CONFLICT DO NOTHING;
