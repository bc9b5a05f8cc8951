"""Putting any number of lines in order without keeping them in memory: SQLite, in a temporary file of its own.

Table Storage orders by key alone, so whatever is to be shown by time has to be ordered here.
"""

import sqlite3
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from console import ConsoleError

_BATCH = 1_000


class SpoolError(ConsoleError):
    """The lines do not fit into the folder for temporary files."""


class Spool:
    """Lines, each with a text that they are ordered by. Gone when it is closed."""

    def __init__(self) -> None:
        # An empty name is a temporary database: in memory while it is small, then in a file that SQLite removes.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("CREATE TABLE line (key TEXT, text TEXT)")
        self._database.execute("BEGIN")
        self._waiting: list[tuple[str, str]] = []

    def add(self, key: str, text: str) -> None:
        """Take a line."""
        self._waiting.append((key, text))
        if len(self._waiting) == _BATCH:
            self._flush()

    def greatest_first(self, limit: int | None = None) -> Iterator[str]:
        """Give the lines by falling key, those with the same key as they came; at most so many."""
        self._flush()
        found = self._database.execute(
            "SELECT text FROM line ORDER BY key DESC, rowid LIMIT ?", (-1 if limit is None else limit,)
        )
        for (text,) in found:
            yield text

    def _flush(self) -> None:
        try:
            self._database.executemany("INSERT INTO line VALUES (?, ?)", self._waiting)
        except sqlite3.Error as error:
            raise SpoolError(
                f"cannot put the lines in order: {error}. Is the folder for temporary files full?"
            ) from None
        self._waiting.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()
