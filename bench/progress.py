"""How far a run has come: a line on a terminal, nothing elsewhere; and where it looks whether somebody wants an end."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tools.stopping import Stopping

T = TypeVar("T")


class Progress:
    """What a run reports to.

    stopping: asked at every step.
    share: of the usual number of rounds, to do; from 0 to 1.
    """

    def __init__(self, stopping: Stopping, share: float = 1) -> None:
        """Report nothing yet."""
        self._stopping, self._share = stopping, share

    def rounds(self, usual: int, what: str, warm_up: int = 1) -> Iterator[int]:
        """Count the rounds to do, from 0; before that, with negative numbers, some that do not count.

        Raises Stopped between two of them if somebody asks to stop.
        """
        number, warm_up = self.number(usual), self.number(warm_up)
        yield from self.steps(range(-warm_up, number), warm_up + number, what)

    def number(self, usual: int) -> int:
        """Give the number of rounds to do."""
        return max(1, round(usual * self._share))

    def steps(self, things: Iterable[T], number: int, what: str) -> Iterator[T]:
        """Give the things on by one, and say how many of `number` are done."""
        for done, thing in enumerate(things):
            self._stopping.check()
            self._say(f"{what}: {100 * done // number}%")
            yield thing
        self._say("")

    def _say(self, text: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
