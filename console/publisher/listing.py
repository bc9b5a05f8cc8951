"""The command `list`: the applications, newest event first, as lines, JSON or CSV."""

import asyncio
import csv
import io
import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from console import UsageError, account, options, output
from console.publisher import grid
from console.publisher.durations import short
from console.publisher.row import COLUMNS as ALL
from console.publisher.row import Row
from console.publisher.selection import Selection
from console.publisher.spool import Spool
from webhook.settings import Storage

NO_APPLICATION_YET = "No application yet: the first notification makes one."

COLUMNS = (
    grid.Column("STATE", 10),
    grid.Column("AGE", 3),
    grid.Column("PLAN", 8),
    grid.Column("SUBSCRIPTION", 9, first=True),
    grid.Column("RESOURCE GROUP", 10),
    grid.Column("NAME", 16),
    grid.Column("ERROR", 12),
)
FETCHED = (
    "PartitionKey",
    "RowKey",
    "provisioningState",
    "eventType",
    "order",
    "planName",
    "planVersion",
    "subscriptionId",
    "resourceGroup",
    "applicationName",
    "errorCode",
)
"""What the lines need; JSON and CSV have all that a row shows."""


def list_(  # noqa: PLR0913 - the options of a command
    *,
    state: options.States = None,
    plan: options.Plan = None,
    subscription: options.Subscription = None,
    since: options.Since = None,
    stuck: options.Stuck = None,
    failed: options.Failed = False,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="At most so many, the newest.")] = None,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with 1 if there is any, for scripts that watch for them.")
    ] = False,
    json_: options.AsJson = False,
    csv_: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    connection: options.Connection = None,
    account_: options.Account = None,
) -> None:
    """List the applications, that with the newest event first.

    The conditions that are given must all be met; Table Storage itself filters by them.

    Example: managedapps list --stuck 2h --exit-code
    """
    if json_ and csv_:
        raise UsageError("--json and --csv exclude each other: give one of them")
    now = datetime.now(UTC)
    selection = selected(
        now, states=state, plan=plan, subscription=subscription, since=since, stuck=stuck, failed=failed
    )
    form: Form = AsJson() if json_ else AsCsv() if csv_ else Lines(now)
    storage = account.find(connection, account_)
    with Spool() as spool:
        asyncio.run(_collect(storage, selection, form, spool))
        form.print(spool.greatest_first(limit))
    if not form.count and not (json_ or csv_):
        chosen = selection != Selection()
        output.say("No application is like that." if chosen else NO_APPLICATION_YET)
    raise typer.Exit(int(exit_code and form.count > 0))


def selected(  # noqa: PLR0913 - the options that narrow a list
    now: datetime,
    *,
    states: Sequence[str] | None,
    plan: str | None,
    subscription: str | None,
    since: str | None,
    stuck: timedelta | None,
    failed: bool,
) -> Selection:
    """Give what the options mean at a time. Raises typer.BadParameter."""
    stuck_since = None if stuck is None else now - stuck
    return Selection(tuple(states or ()), plan, subscription, options.moment(since, now), stuck_since, failed)


async def _collect(storage: Storage, selection: Selection, form: "Form", spool: Spool) -> None:
    async with account.opened(storage) as tables:
        with output.progress("Reading", "rows read") as show:
            async for row in tables.rows(selection.where(), form.columns):
                seen = Row.of(row.entity)
                spool.add(seen.order, form.text(seen))
                form.count += 1
                show(form.count)


class Form:
    """A form of the list: how a row becomes a text, and how the texts are printed.

    Attributes:
        columns: what has to be fetched.
        count: the rows so far.
    """

    columns: Sequence[str] = ALL

    def __init__(self) -> None:
        self.count = 0

    def text(self, row: Row) -> str:
        """Give all that has to be kept of a row."""
        raise NotImplementedError

    def print(self, texts: Iterable[str]) -> None:
        """Print the list."""
        raise NotImplementedError


class AsJson(Form):
    """An array, an object a line."""

    def text(self, row: Row) -> str:
        """Give the object."""
        return json.dumps(shown(row), ensure_ascii=False)

    def print(self, texts: Iterable[str]) -> None:
        """Print the array."""
        separator = "["
        for text in texts:
            sys.stdout.write(f"{separator}\n  {text}")
            separator = ","
        sys.stdout.write("[]\n" if separator == "[" else "\n]\n")


class AsCsv(Form):
    """The same columns, under a line of their names."""

    def text(self, row: Row) -> str:
        """Give the line."""
        return _csv(row.to_json().values())

    def print(self, texts: Iterable[str]) -> None:
        """Print the lines."""
        sys.stdout.write(_csv(_EMPTY.to_json()))
        sys.stdout.writelines(texts)


class Lines(Form):
    """Lines for people, and for grep and awk."""

    columns = FETCHED

    def __init__(self, now: datetime) -> None:
        super().__init__()
        self._now = now
        self._widths = [len(column.heading) for column in COLUMNS]
        self._states: Counter[str] = Counter()

    def text(self, row: Row) -> str:
        """Give the cells; none of them holds a tab."""
        cells = cells_of(row, self._now)
        grid.widen(self._widths, cells)
        self._states[row.state] += 1
        return "\t".join(cells)

    def print(self, texts: Iterable[str]) -> None:
        """Print the lines: cut to the terminal, or as they are for a pipe."""
        if not self.count:
            return
        out = output.console()
        heading = [column.heading for column in COLUMNS]
        if not out.is_terminal:
            sys.stdout.write(grid.plain(heading, self._widths) + "\n")
            sys.stdout.writelines(grid.plain(text.split("\t"), self._widths) + "\n" for text in texts)
            return
        widths = grid.fit(COLUMNS, self._widths, out.width)
        out.print(grid.coloured(heading, widths, "bold"))
        for text in texts:
            cells = text.split("\t")
            out.print(grid.coloured(cells, widths, style_of(cells[0])))
        output.say(sentence(self._states))


def shown(row: Row) -> dict[str, Any]:
    """Give a row as JSON has it: as `Row.to_json`, with the error itself in place of its text."""
    return {**row.to_json(), "error": row.error_content()}


def state_of(row: Row) -> str:
    """Give the state as a cell; a deletion that is stuck says so, as Failed alone looks like a failed deployment."""
    return grid.cell(f"{row.state} (DELETE)" if row.failed == "deletion" else row.state)


def cells_of(row: Row, now: datetime) -> list[str]:
    """Give the cells of a row."""
    age = row.age(now)
    return [
        state_of(row),
        grid.MISSING if age is None else short(age),
        grid.cell(" ".join(filter(None, (row.plan, row.plan_version)))),
        grid.cell(row.subscription_id),
        grid.cell(row.resource_group),
        grid.cell(row.name),
        grid.cell(row.error_code),
    ]


def style_of(state: str) -> str:
    """Give the style of the first cell."""
    return grid.STYLES.get(state.partition(" ")[0], "")


def sentence(states: Counter[str]) -> str:
    """Count the applications by their states."""
    total = states.total()
    kinds = ", ".join(f"{number:,} {state or 'unknown'}" for state, number in states.most_common())
    return f"{total:,} application{'' if total == 1 else 's'}: {kinds}."


_EMPTY = Row.of({})


def _csv(values: Iterable[object]) -> str:
    line = io.StringIO(newline="")
    csv.writer(line).writerow(values)  # lines end in CR LF (RFC 4180)
    return line.getvalue()
