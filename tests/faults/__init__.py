"""Faults of storage, and what becomes of the events that they strike; see tests/relay.py."""
