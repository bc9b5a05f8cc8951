"""The tools, as a user has them: real programs, real signals, free ports."""
