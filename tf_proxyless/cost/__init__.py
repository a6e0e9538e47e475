"""What an architecture costs: MACs, parameters, latency."""
