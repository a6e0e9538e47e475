"""Measures TFLite models on phones over adb, and on this machine. Needs nothing but Python's standard library."""
