"""How a long work ended: whole, by Ctrl-C, or by a failure of storage; so that it can say what it did in any case."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

import typer

from console import INTERRUPTED
from console.account import AccountError


@dataclass(slots=True)
class Ending:
    """How a work ended.

    Attributes:
        stopped: by Ctrl-C.
        failure: of storage.
    """

    stopped: bool = False
    failure: AccountError | None = None

    def to_json(self) -> dict[str, bool]:
        """Give it for programs."""
        return {"stopped": self.stopped, "failed": self.failure is not None}

    def leave(self, status: int = 0) -> NoReturn:
        """End the command: with the failure, as stopped, or else with this status."""
        if self.failure:
            raise self.failure
        raise typer.Exit(INTERRUPTED if self.stopped else status)


@contextmanager
def ending() -> Iterator[Ending]:
    """Hold back what ends the block, until it is said what was done: `leave` then goes on with it."""
    found = Ending()
    try:
        yield found
    except KeyboardInterrupt:
        found.stopped = True
    except AccountError as error:
        found.failure = error
