"""A function app of one small handler, to measure against."""
