"""Latency tables in foreign formats, one file a format."""
