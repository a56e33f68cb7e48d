-- The three tables of one generation. Their names end in its number.

CREATE TABLE IF NOT EXISTS appointment_{generation} (
    appointment_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    body TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS talent_schedule_{generation} (
    talent_id TEXT NOT NULL,
    appointment_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    counterpart_id TEXT,
    status TEXT,
    appointment_type TEXT,
    subphase_id TEXT,
    starts_at INTEGER,
    ends_at INTEGER,
    is_deleted INTEGER,
    body TEXT
);

CREATE TABLE IF NOT EXISTS coach_schedule_{generation} (
    coach_id TEXT NOT NULL,
    appointment_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    counterpart_id TEXT,
    status TEXT,
    appointment_type TEXT,
    subphase_id TEXT,
    starts_at INTEGER,
    ends_at INTEGER,
    is_deleted INTEGER,
    body TEXT
);
