"""An installation in one SQLite file: connections, and the event store's table."""
