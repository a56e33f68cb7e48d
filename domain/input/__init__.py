"""Files and pipes, read into items, each of which should be one envelope."""
