"""An installation in memory, shared by name within one process."""
