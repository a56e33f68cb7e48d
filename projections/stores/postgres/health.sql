
-- What the installation knows of its own health. Nothing here is content: the monitor reads it whole.

-- The signs of life of followers, and the position before which one was stopped by an event that cannot be folded.
CREATE TABLE IF NOT EXISTS {schema}.follower (
    name text PRIMARY KEY,
    fold_version bigint NOT NULL,
    started_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    position bigint NOT NULL,
    blocked_at bigint
);

-- One row: the last sign of life of a rebuild. There is one rebuild at a time.
CREATE TABLE IF NOT EXISTS {schema}.rebuild_sign (
    singleton bigint PRIMARY KEY CHECK (singleton = 1),
    phase text NOT NULL,
    seen_at timestamptz NOT NULL
);

-- One row: the last verification of everything.
CREATE TABLE IF NOT EXISTS {schema}.verification (
    singleton bigint PRIMARY KEY CHECK (singleton = 1),
    generation bigint NOT NULL,
    verified_at timestamptz NOT NULL,
    checked bigint NOT NULL,
    differences bigint NOT NULL
);
