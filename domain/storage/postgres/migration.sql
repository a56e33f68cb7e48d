-- What version 1 of the event store's tables lacks, after event_store.sql has made the tables it lacks. The column
-- comes before its default, so that the time of arrival of what is stored already stays unknown.

ALTER TABLE {schema}.stored_events ADD COLUMN IF NOT EXISTS arrived_at timestamptz;

ALTER TABLE {schema}.stored_events
    ALTER COLUMN arrived_at SET DEFAULT date_trunc('milliseconds', statement_timestamp());

UPDATE {schema}.outcome SET appended = (SELECT COUNT(*) FROM {schema}.stored_events) WHERE appended = 0;
