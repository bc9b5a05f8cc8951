"""Starts the command line; by itself it does nothing but to take Ctrl-C while the rest is loaded."""

import sys
from collections.abc import Sequence

from console import INTERRUPTED


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and give the exit status."""
    try:
        from console.app import run  # noqa: PLC0415 - it takes a third of a second

        return run(arguments)
    except KeyboardInterrupt:
        sys.stderr.write("Stopped.\n")
        return INTERRUPTED
