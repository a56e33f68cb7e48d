"""The read models in memory."""
