-- The keys of one generation; a rebuild makes them after it has loaded the rows.

CREATE UNIQUE INDEX IF NOT EXISTS appointment_{generation}_key
    ON appointment_{generation} (appointment_id);

CREATE UNIQUE INDEX IF NOT EXISTS talent_schedule_{generation}_key
    ON talent_schedule_{generation} (talent_id, appointment_id);

CREATE UNIQUE INDEX IF NOT EXISTS coach_schedule_{generation}_key
    ON coach_schedule_{generation} (coach_id, appointment_id);
