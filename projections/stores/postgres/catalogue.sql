-- The read models in the schema of the event store: the catalogue and the pointer.
-- The three tables of a generation are in generation.sql, their keys in keys.sql.

CREATE TABLE IF NOT EXISTS {schema}.generation (
    number bigint PRIMARY KEY,
    fold_version bigint NOT NULL,
    position bigint NOT NULL,
    state text NOT NULL,
    created_at timestamptz NOT NULL,
    projected_at timestamptz
);

-- The pointers: which generation serves the code of each version of the fold, and which one did before.
CREATE TABLE IF NOT EXISTS {schema}.serving (
    fold_version bigint PRIMARY KEY,
    generation bigint NOT NULL,
    previous bigint,
    tables_version bigint NOT NULL
);

INSERT INTO {schema}.serving (fold_version, generation, tables_version)
SELECT {fold_version}, 1, {tables_version}
WHERE NOT EXISTS (SELECT 1 FROM {schema}.serving);

INSERT INTO {schema}.generation (number, fold_version, position, state, created_at)
VALUES (1, {fold_version}, 0, 'ready', now())
ON CONFLICT DO NOTHING;

-- The partitions of a generation that is being built, and which of them are loaded. `tally` is JSON: counts and
-- digests of what loading one read and wrote, with which the rows are compared before the generation serves.
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

-- Whoever rebuilds holds this row.
CREATE TABLE IF NOT EXISTS {schema}.rebuilding (
    singleton bigint PRIMARY KEY CHECK (singleton = 1)
);

INSERT INTO {schema}.rebuilding (singleton) VALUES (1) ON CONFLICT DO NOTHING;

-- The tokens of calendar feeds: who has one reads that person's schedule, and nothing else.
CREATE TABLE IF NOT EXISTS {schema}.calendar_link (
    side text NOT NULL,
    owner_id text NOT NULL,
    token text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (side, owner_id)
);
