"""Tests of the publisher's view, on real tables in Azurite."""
