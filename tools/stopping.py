"""Ctrl-C and its relatives, as a flag that whoever waits looks at.

A signal handler that raises can strike between a program's start and the line that remembers it, and then leaves that
program running. So the handlers here only set a flag; every wait in `child.py` looks at it many times a second and
raises `Stopped` from there, where everything started is known. Never stops anything itself.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# SIGHUP comes when a terminal window is closed; SIGBREAK is Windows' Ctrl-Break.
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]


class Stopped(Exception):  # noqa: N818 - a request, not an error
    """Somebody asked to stop; `signal` is how."""

    def __init__(self, number: int) -> None:
        """Keep the number of the signal."""
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.signal = number


class Stopping:
    """Whether somebody asked this process to stop."""

    def __init__(self) -> None:
        """Begin with nobody having asked."""
        self._asked = threading.Event()
        self._signal = 0

    def ask(self, number: int) -> None:
        """Remember the first request to stop."""
        if not self._asked.is_set():
            self._signal = number
            self._asked.set()

    def check(self) -> None:
        """Raise Stopped if somebody has asked."""
        if self._asked.is_set():
            raise Stopped(self._signal)

    def wait(self, seconds: float) -> None:
        """Let the time pass, or raise Stopped as soon as somebody asks."""
        self._asked.wait(seconds)
        self.check()


NEVER = Stopping()
"""For callers that handle signals in their own way, as pytest does."""


@contextmanager
def signals_noted() -> Iterator[Stopping]:
    """Note signals in the Stopping that this gives, instead of what they did before. Main thread only.

    A hang-up that the parent process had told us to ignore stays ignored, as with `nohup`. An ignored SIGINT does not:
    the background jobs of a script start with one, and whoever then sends it means it.
    """
    stopping = Stopping()
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN or number == signal.SIGINT:
            signal.signal(number, lambda number, _frame: stopping.ask(number))
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
