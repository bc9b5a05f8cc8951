"""The command `report`: the summary, all applications and their life cycles as one HTML page.

It reads rows and notifications once each, and of the notifications of failures the bodies too. It keeps a line for each
application that the page shows, and nothing of the others. The page replaces the file when it is whole, and not before.
"""

import asyncio
import heapq
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Annotated, BinaryIO, NamedTuple

import typer

from console import account, file, options, output
from console.ending import ending
from console.output import Show
from console.publisher import page
from console.publisher.application import error_of
from console.publisher.figures import Figures
from console.publisher.listing import NO_APPLICATION_YET
from console.publisher.notifications import Notifications
from console.publisher.row import COLUMNS, Row
from console.publisher.summary import begin, counted
from console.publisher.timeline import steps
from webhook.entities import InboxEntry
from webhook.settings import Storage
from webhook.store import Where

_FAILED = Where("provisioningState eq @state", {"state": "Failed"})
_KIB = 1024


def report(  # noqa: PLR0913 - the options of a command
    *,
    output_: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Where the page goes; - for standard output.")
    ] = "report.html",
    since: options.Period = "30d",
    stuck: options.StuckAfter = "2h",  # type: ignore[assignment] # read like what is given on the command line
    limit: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="List at most so many applications, those with the newest events; the figures are of all. A thousand "
            "take about 1 MB.",
        ),
    ] = 20_000,
    connection: options.Connection = None,
    account_: options.Account = None,
) -> None:
    """Write a page to open or to mail: the summary with charts, and all applications with their life cycles.

    It is one HTML file that loads nothing, with a list that can be searched and ordered.

    Example: managedapps report -o report.html --since 90d
    """
    figures = begin(datetime.now(UTC), since, stuck)
    storage = account.find(connection, account_)
    collection = Collection(figures, limit)
    target = None if output_ == "-" else Path(output_)
    with ending() as end, file.written(target) as stream:
        with output.progress("Reading", "rows and notifications read") as show:
            asyncio.run(_read(storage, collection, show))
        with output.progress("Writing", "applications written", collection.chosen) as show:
            size = _write(stream, figures, collection, show)
    if end.stopped:
        former = output.printable(file.former(target))
        output.say(f"Stopped by Ctrl-C after {collection.read:,} rows and notifications: {former}.")
    if end.stopped or end.failure:
        end.leave()
    listed = counted(collection.chosen, "application")
    output.say(f"Wrote {'standard output' if output_ == '-' else output_}: {listed}, {_in_words(size)}.")
    if not collection.chosen:
        output.say(NO_APPLICATION_YET)


class _Listed(NamedTuple):
    row: Row
    stuck: timedelta | None


class Collection:
    """The applications that the page lists: first their rows, then, as their notifications come, their lines.

    Attributes:
        read: rows and notifications, so far.
    """

    def __init__(self, figures: Figures, limit: int) -> None:
        self.figures, self._limit, self.read = figures, limit, 0
        self._newest: list[tuple[str, int, _Listed]] = []
        self._numbers = count()
        self._listed: dict[str, _Listed] = {}
        self._errors: dict[str, dict[str, str]] = {}
        self._lines: list[tuple[str, str, str]] = []

    def add_row(self, row: Row) -> None:
        """Count an application, and list it unless there are enough that are newer."""
        entry = (row.order, next(self._numbers), _Listed(row, self.figures.add_row(row)))
        (heapq.heappush if len(self._newest) < self._limit else heapq.heappushpop)(self._newest, entry)

    def choose(self) -> None:
        """End with rows: the newest are known."""
        self._listed = {listed.row.key: listed for *_, listed in self._newest}
        self._newest.clear()

    @property
    def chosen(self) -> int:
        """How many applications are listed."""
        return len(self._newest) + len(self._listed) + len(self._lines)

    def add_failure(self, entry: InboxEntry) -> None:
        """Keep the error of a notification, which must have its body, for when the application's turn comes."""
        if entry.partition_key in self._listed and (error := error_of(entry.body)) is not None:
            self._errors.setdefault(entry.partition_key, {})[entry.order] = page.error_line(error)

    def add_life(self, key: str, entries: list[InboxEntry]) -> None:
        """Make the line of an application, if it is listed, from all its notifications."""
        if listed := self._listed.pop(key, None):
            errors = self._errors.pop(key, {})
            line = page.application(listed.row, list(steps(entries)), errors, listed.stuck)
            self._lines.append((listed.row.order, key, line))

    def lines(self) -> Iterator[str]:
        """Give the lines, that with the newest event first."""
        for key in list(self._listed):
            self.add_life(key, [])
        self._lines.sort(reverse=True)
        return (line for *_, line in self._lines)


async def _read(storage: Storage, collection: Collection, show: Show) -> None:
    def counts() -> None:
        collection.read += 1
        show(collection.read)

    async with account.opened(storage) as tables:
        async for stored in tables.rows(columns=COLUMNS):
            collection.add_row(Row.of(stored.entity))
            counts()
        collection.choose()
        async for entry in Notifications(tables).read(_FAILED):
            collection.add_failure(entry)
            counts()
        life: list[InboxEntry] = []
        notifications = Notifications(tables)
        async for entry in notifications.read(bodies=False):
            collection.figures.add_entry(entry)
            if life and life[-1].partition_key != entry.partition_key:
                collection.add_life(life[-1].partition_key, life)
                life = []
            life.append(entry)
            counts()
        if life:
            collection.add_life(life[-1].partition_key, life)
    notifications.warn()


def _write(stream: BinaryIO, figures: Figures, collection: Collection, show: Show) -> int:
    """Write the page; give its size in bytes."""

    def lines() -> Iterator[str]:
        for number, line in enumerate(collection.lines(), 1):
            yield line
            show(number)

    size = 0
    for piece in page.render(figures.summary(), lines(), collection.chosen):
        size += stream.write(piece.encode("utf-8", "xmlcharrefreplace"))  # half a surrogate pair is no character
    return size


def _in_words(size: int) -> str:
    return f"{size / _KIB / _KIB:,.1f} MiB" if size >= _KIB * _KIB else f"{size / _KIB:,.0f} KiB"
