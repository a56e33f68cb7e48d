"""The read models in the PostgreSQL schema of the event store."""
