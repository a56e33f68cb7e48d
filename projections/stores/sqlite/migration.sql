-- From version 1 of the tables to version 2, after the event store's script has made what it lacks.

UPDATE serving SET tables_version = 2;

-- The one pointer of version 1 becomes that of the fold which made its generation.
ALTER TABLE serving RENAME TO serving_1;

CREATE TABLE serving (
    fold_version INTEGER PRIMARY KEY,
    generation INTEGER NOT NULL,
    previous INTEGER,
    tables_version INTEGER NOT NULL
);

INSERT INTO serving (fold_version, generation, previous, tables_version)
SELECT now.fold_version, now.number, before.number, serving_1.tables_version
FROM serving_1
JOIN generation AS now ON now.number = serving_1.generation
LEFT JOIN generation AS before ON before.number = serving_1.previous AND before.fold_version = now.fold_version;

DROP TABLE serving_1;

-- What version 1 noted of an unfinished rebuild is of no use: the next rebuild begins anew.
DROP TABLE IF EXISTS piece;

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

-- When a projector last committed a batch: unknown of what version 1 projected.
ALTER TABLE generation ADD COLUMN projected_at TEXT;
