"""Tests of the simulated Marketplace: against servers that answer in every way, and against the webhook."""
