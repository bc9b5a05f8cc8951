"""The benchmark, with tiny rounds: that it yields its figures, and the few that are the same on every machine."""
