-- From version 1 of the tables to version 2, after the event store's script has made what it lacks.

UPDATE serving SET tables_version = 2 WHERE tables_version = 1;
