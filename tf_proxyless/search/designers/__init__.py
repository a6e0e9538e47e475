"""Designers: they suggest whole networks and learn from how accurate these were, NumPy only; one file each."""
