
-- What the installation knows of its own health. Nothing here is content: the monitor reads it whole.

-- The signs of life of followers, and the position before which one was stopped by an event that cannot be folded.
CREATE TABLE IF NOT EXISTS follower (
    name TEXT PRIMARY KEY,
    fold_version INTEGER NOT NULL,
    started_at TEXT NOT NULL,
    seen_at TEXT NOT NULL,
    position INTEGER NOT NULL,
    blocked_at INTEGER
);

-- One row: the last sign of life of a rebuild. There is one rebuild at a time.
CREATE TABLE IF NOT EXISTS rebuild_sign (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
    phase TEXT NOT NULL,
    seen_at TEXT NOT NULL
);

-- One row: the last verification of everything.
CREATE TABLE IF NOT EXISTS verification (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
    generation INTEGER NOT NULL,
    verified_at TEXT NOT NULL,
    checked INTEGER NOT NULL,
    differences INTEGER NOT NULL
);
