"""Builds, validates and fills latency tables from measurements."""
