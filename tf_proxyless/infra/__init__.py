"""Files, JSON, locks, signals, processes: what every package may use; imports nothing of ours."""
