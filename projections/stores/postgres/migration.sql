-- From version 1 of the tables to version 2, after the event store's script has made what it lacks.

UPDATE {schema}.serving SET tables_version = 2 WHERE tables_version = 1;

-- What version 1 noted of an unfinished rebuild is of no use: the next rebuild begins anew.
DROP TABLE IF EXISTS {schema}.piece;

CREATE TABLE IF NOT EXISTS {schema}.rebuild_partition (
    generation bigint NOT NULL,
    number bigint NOT NULL,
    first text,
    until text,
    upto bigint NOT NULL,
    is_loaded boolean NOT NULL,
    tally text,
    PRIMARY KEY (generation, number)
);

-- The tokens of calendar feeds: who has one reads that person's schedule, and nothing else.
CREATE TABLE IF NOT EXISTS {schema}.calendar_link (
    side text NOT NULL,
    owner_id text NOT NULL,
    token text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (side, owner_id)
);

-- The signs of life of followers, and the position before which one was stopped by an event that cannot be folded.
CREATE TABLE IF NOT EXISTS {schema}.follower (
    name text PRIMARY KEY,
    started_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    position bigint NOT NULL,
    blocked_at bigint
);
