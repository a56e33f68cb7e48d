-- From version 1 of the tables to version 2, after the event store's script has made what it lacks.

-- The one pointer of version 1 becomes that of the fold which made its generation.
ALTER TABLE {schema}.serving ADD COLUMN IF NOT EXISTS fold_version bigint;

UPDATE {schema}.serving
SET
    fold_version = generation.fold_version,
    previous = (
        SELECT before.number
        FROM {schema}.generation AS before
        WHERE before.number = serving.previous
        AND before.fold_version = generation.fold_version
    ),
    tables_version = 2
FROM {schema}.generation
WHERE generation.number = serving.generation
AND tables_version = 1;

ALTER TABLE {schema}.serving DROP COLUMN IF EXISTS singleton;

ALTER TABLE {schema}.serving DROP CONSTRAINT IF EXISTS serving_pkey;

ALTER TABLE {schema}.serving ADD PRIMARY KEY (fold_version);

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

-- When a projector last committed a batch: unknown of what version 1 projected.
ALTER TABLE {schema}.generation ADD COLUMN IF NOT EXISTS projected_at timestamptz;
