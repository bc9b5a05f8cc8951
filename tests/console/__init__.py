"""Tests of the console, each half in its folder."""
