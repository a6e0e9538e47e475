"""Experiments beside the library."""
