"""An installation in one schema of a PostgreSQL database: connections, and the event store's table."""
