"""The next generation of the read models: built from history, verified, switched to."""
