"""Commands: the only package that may import all others; nothing imports it."""
