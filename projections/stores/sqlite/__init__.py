"""The read models in the SQLite file of the event store."""
