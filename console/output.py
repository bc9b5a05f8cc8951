"""What every command prints with: texts as they are, colours and progress for people, plain lines for pipes.

Results go to standard output, all else to standard error, so that a pipe gets results alone.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

_EVERY = 5.0  # seconds between two lines of progress where there is no terminal
_MOMENT = 0.1  # seconds between two looks of a bar: people see no more

Show = Callable[..., None]
"""Called with how much is done, and with a remark, as often as one likes: it costs a look at the clock."""


def console(*, stderr: bool = False) -> Console:
    """Give a console that prints texts as they are: what looks like markup, an emoji or a number is none."""
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)


def say(line: str) -> None:
    """Print a line for people: a remark, a warning."""
    typer.echo(line, err=True)


def print_json(content: object) -> None:
    """Print a result for programs."""
    typer.echo(json.dumps(content, indent=2, ensure_ascii=False))


def printable(text: str) -> str:
    """Give a text from elsewhere without what would command the terminal; lines and tabs stay."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "�" for letter in text)


@contextmanager
def progress(doing: str, done: str, total: int | None = None, *, quiet: bool = False) -> Iterator[Show]:
    """Show how far a long work is: a bar on a terminal, a line every few seconds elsewhere, nothing if quiet.

    Args:
        doing: what a terminal shows beside the bar, such as "Delivering".
        done: what a line says of the count, such as "delivered".
        total: where it ends; None if that is not known.
    """
    err = console(stderr=True)
    if quiet:
        yield lambda _count, _remark="": None
    elif not err.is_terminal:
        yield _now_and_then(_Lines(err, done, total), _EVERY)
    else:
        bar = _Bar(err, doing, total)
        try:
            yield _now_and_then(bar, _MOMENT)
        finally:
            bar.stop()


def _now_and_then(show: Show, seconds: float) -> Show:
    """Pass on only one call in so many seconds, and none before those have passed."""
    due = time.monotonic() + seconds

    def throttled(count: int, remark: str = "") -> None:
        nonlocal due
        if (now := time.monotonic()) >= due:
            due = now + seconds
            show(count, remark)

    return throttled


class _Bar:
    """A bar that appears with the first count that it is shown: what is done at once needs none."""

    def __init__(self, err: Console, doing: str, total: int | None) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, TextColumn("{task.fields[remark]}"), console=err, transient=True)
        self._task = self._bar.add_task(doing, total=total, remark="")

    def __call__(self, count: int, remark: str = "") -> None:
        self._bar.start()
        self._bar.update(self._task, completed=count, remark=remark)

    def stop(self) -> None:
        self._bar.stop()


class _Lines:
    def __init__(self, err: Console, done: str, total: int | None) -> None:
        self._err, self._done = err, done
        self._of = "" if total is None else f" of {total:,}"

    def __call__(self, count: int, remark: str = "") -> None:
        self._err.print(f"{count:,}{self._of} {self._done}" + (f", {remark}" if remark else ""))
