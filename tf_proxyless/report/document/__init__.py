"""A run as one JSON document."""
