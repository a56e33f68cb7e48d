-- The read models in the SQLite file of the event store: the catalogue and the pointer.
-- The three tables of a generation are in generation.sql, their keys in keys.sql.

CREATE TABLE IF NOT EXISTS generation (
    number INTEGER PRIMARY KEY,
    fold_version INTEGER NOT NULL,
    position INTEGER NOT NULL,
    state TEXT NOT NULL,
    created_at TEXT NOT NULL,
    projected_at TEXT
);

-- The pointers: which generation serves the code of each version of the fold, and which one did before.
CREATE TABLE IF NOT EXISTS serving (
    fold_version INTEGER PRIMARY KEY,
    generation INTEGER NOT NULL,
    previous INTEGER,
    tables_version INTEGER NOT NULL
);

INSERT INTO serving (fold_version, generation, tables_version)
SELECT {fold_version}, 1, {tables_version}
WHERE NOT EXISTS (SELECT 1 FROM serving);

INSERT INTO generation (number, fold_version, position, state, created_at)
VALUES (1, {fold_version}, 0, 'ready', strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'))
ON CONFLICT DO NOTHING;

-- The partitions of a generation that is being built, and which of them are loaded. `tally` is JSON: counts and
-- digests of what loading one read and wrote, with which the rows are compared before the generation serves.
CREATE TABLE IF NOT EXISTS rebuild_partition (
    generation INTEGER NOT NULL,
    number INTEGER NOT NULL,
    first TEXT,
    until TEXT,
    upto INTEGER NOT NULL,
    is_loaded INTEGER NOT NULL,
    tally TEXT,
    PRIMARY KEY (generation, number)
);

-- The tokens of calendar feeds: who has one reads that person's schedule, and nothing else.
CREATE TABLE IF NOT EXISTS calendar_link (
    side TEXT NOT NULL,
    owner_id TEXT NOT NULL,
    token TEXT NOT NULL UNIQUE,
    created_at TEXT NOT NULL,
    PRIMARY KEY (side, owner_id)
);
