"""Tests: `unit` needs only the runtime requirements, `integration` a real Azurite, `e2e` the function behind HTTP."""
