-- The keys of one generation; a rebuild makes them after it has loaded the rows. Each holds its table's
-- distribution key, and its prefix serves the schedule, the change feed and the listing of owners.

CREATE UNIQUE INDEX IF NOT EXISTS appointment_{generation}_key
    ON {schema}.appointment_{generation} (appointment_id);

CREATE UNIQUE INDEX IF NOT EXISTS talent_schedule_{generation}_key
    ON {schema}.talent_schedule_{generation} (talent_id, appointment_id);

CREATE UNIQUE INDEX IF NOT EXISTS coach_schedule_{generation}_key
    ON {schema}.coach_schedule_{generation} (coach_id, appointment_id);
