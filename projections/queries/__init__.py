"""What may be asked of the schedules, and what is answered."""
