"""The command `export`: every row of a table, to a file or a pipe, for the programs that people think with."""

import asyncio
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from console import UsageError, account, file, options, output
from console.ending import ending
from console.publisher import columns
from console.publisher.columns import Layout, Record
from console.publisher.formats import ENDINGS, Format, Writer, format_of, writing
from console.publisher.row import order_text
from console.publisher.selection import Selection
from webhook.settings import Storage
from webhook.store import Where

_BATCH, _BATCH_SIZE = 1_000, 4 * 1024 * 1024
"""Records, and characters in them, that are written at once."""


class Exported(StrEnum):
    """What can be exported."""

    APPLICATIONS = "applications"
    NOTIFICATIONS = "notifications"


def export(  # noqa: PLR0913 - the options of a command
    what: Annotated[
        Exported,
        typer.Argument(
            metavar="applications|notifications", help="Each application with its latest state, or the whole inbox."
        ),
    ] = Exported.APPLICATIONS,
    *,
    format_: Annotated[
        Format | None,
        typer.Option("--format", help="If it is left out, the file's ending says it; without a file, it is jsonl."),
    ] = None,
    target: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where to write it, instead of to standard output. A file of that name is replaced, once the new one "
            "is complete.",
        ),
    ] = None,
    since: options.Since = None,
    subscription: options.Subscription = None,
    connection: options.Connection = None,
    account_: options.Account = None,
) -> None:
    """Write applications or notifications for Power BI, pandas, DuckDB and the like.

    The columns are those of the table, always the same. Times are in UTC. Parquet needs pyarrow.

    Example: managedapps export notifications -o notifications.parquet
    """
    if target == Path("-"):
        target = None
    format_ = format_ or _guess(target)
    if target is None and format_ is Format.PARQUET and sys.stdout.isatty():
        raise UsageError("Parquet is not for a terminal: give -o and a file's name")
    where = where_of(what, subscription, options.moment(since, datetime.now(UTC)))
    storage = account.find(connection, account_)
    job = _Job(what, where)
    with ending() as end, file.written(target) as stream, writing(format_, stream, _LAYOUTS[what]) as writer:
        with output.progress("Exporting", "exported", quiet=target is None and sys.stdout.isatty()) as show:
            asyncio.run(job.run(storage, writer, show))
        job.formulas = writer.formulas
    if end.stopped:
        output.say(f"Stopped by Ctrl-C after {job.count:,} {what}: {output.printable(file.former(target))}.")
    if end.stopped or end.failure:
        end.leave()
    if target:
        output.say(f"{job.count:,} {what} in {output.printable(str(target))}.")
    job.warn()


_LAYOUTS = {Exported.APPLICATIONS: columns.APPLICATIONS, Exported.NOTIFICATIONS: columns.NOTIFICATIONS}


def where_of(what: Exported, subscription: str | None, since: datetime | None) -> Where:
    """Give the condition for what is exported: in this subscription, and with an event since then."""
    if what is Exported.APPLICATIONS:
        return Selection(subscription=subscription, since=since).where()
    parts: list[str] = []
    parameters: dict[str, str | datetime] = {}
    if subscription is not None:
        key = subscription.strip().lower()
        parts.append("PartitionKey ge @first and PartitionKey lt @last")
        parameters |= {"first": f"{key}|", "last": f"{key}}}"}  # the character after |
    if since is not None:
        parts.append("RowKey ge @since")  # order keys begin with the time
        parameters["since"] = order_text(since)
    return Where(" and ".join(parts), parameters)


def _guess(target: Path | None) -> Format:
    found = Format.JSONL if target is None else format_of(target)
    if found is None:
        raise UsageError(f"{target} ends in none of {', '.join(ENDINGS)}: give --format, or name it so")
    return found


@dataclass(slots=True)
class _Job:
    """An export that is under way.

    Attributes:
        count: records that were written.
        lacking: of those, how many lack what every row has, and the key of the first.
        formulas: values that a spreadsheet would take for formulas.
    """

    what: Exported
    where: Where
    count: int = 0
    lacking: int = 0
    first_lacking: str = ""
    formulas: int = 0

    async def run(self, storage: Storage, writer: Writer, show: output.Show) -> None:
        """Write everything. Raises AccountError."""
        batch: list[Record] = []
        size = 0
        async with account.opened(storage) as tables:
            list_ = tables.rows if self.what is Exported.APPLICATIONS else tables.entries
            async for row in list_(self.where, self._layout.fetched):
                record = self._layout.record(row.entity)
                batch.append(record)
                size += sum(map(len, filter(None, record.values())))
                if len(batch) >= _BATCH or size >= _BATCH_SIZE:
                    self._write(writer, batch)
                    show(self.count)
                    batch, size = [], 0
        self._write(writer, batch)

    def warn(self) -> None:
        """Say what is not as it should be in what was written."""
        if self.lacking:
            remedy = " `managedapps rebuild` mends rows." if self.what is Exported.APPLICATIONS else ""
            output.say(
                f"Warning: what every row has is missing in {self.lacking:,} of them; they are exported with what "
                f"there is. The first is {output.printable(self.first_lacking)}.{remedy}"
            )
        if self.formulas:
            output.say(
                f"Warning: values that begin as formulas do: {self.formulas:,}. They are as they were stored; "
                "import the file into a spreadsheet as text, and do not open it there with a double click."
            )

    @property
    def _layout(self) -> Layout:
        return _LAYOUTS[self.what]

    def _write(self, writer: Writer, batch: list[Record]) -> None:
        if not batch:
            return
        writer.write(batch)
        self.count += len(batch)
        lacking = [record for record in batch if self._layout.lacking(record)]
        if lacking and not self.lacking:
            self.first_lacking = f"{lacking[0]['PartitionKey']}, {lacking[0]['RowKey']}"
        self.lacking += len(lacking)
