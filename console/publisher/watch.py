"""The command `watch`: the list, live, with what has changed standing out; for a pipe, a line for each change.

Only rows that were written since the last look are fetched, by the service's own clock.
"""

import asyncio
import heapq
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Protocol

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from console import account, options, output
from console.publisher import grid
from console.publisher.durations import short
from console.publisher.listing import COLUMNS, FETCHED, cells_of, selected, sentence, shown, state_of, style_of
from console.publisher.row import COLUMNS as ALL
from console.publisher.row import Row, utc_text
from console.publisher.selection import Selection
from webhook.settings import Storage
from webhook.store import StoreError, Where

if TYPE_CHECKING:
    from webhook.tables import Tables

OVERLAP = timedelta(seconds=30)
"""How far each look reaches back before the last write seen, as the service's machines need not agree on the time."""

FRESH = timedelta(seconds=30)
"""For how long a change stands out."""


@dataclass(frozen=True, slots=True)
class Change:
    """A row that is new, says something else than before, or came to be listed or not to be for another reason.

    Attributes:
        before: the state that it had; None where it is new.
        listed: whether it is one of those that are asked for.
    """

    row: Row
    before: str | None
    listed: bool = True


@dataclass(slots=True)
class Watched:
    """All rows of an account or a subscription, as they were last seen.

    Attributes:
        columns: what is fetched of them.
        listed: the keys of those that were asked for when last chosen.
    """

    subscription: str | None
    columns: Sequence[str]
    rows: dict[str, Row] = field(default_factory=dict)
    listed: set[str] = field(default_factory=set)
    _versions: dict[str, str] = field(default_factory=dict)
    _newest: datetime | None = None

    async def look(self, tables: "Tables") -> list[Change]:
        """Fetch what was written since the last look, all if this is the first; give what changed."""
        found = []
        async for stored in tables.rows(self._where(), self.columns):
            row = Row.of(stored.entity)
            if stored.changed_at and (self._newest is None or stored.changed_at > self._newest):
                self._newest = stored.changed_at
            if self._versions.get(row.key) == stored.version:
                continue
            before = self.rows.get(row.key)
            self.rows[row.key], self._versions[row.key] = row, stored.version
            found.append(Change(row, None if before is None else before.state))
        return found

    def choose(self, selection: Selection, changes: Sequence[Change]) -> list[Change]:
        """Choose anew, as time alone can make a row one of those that are asked for; give what changed of them."""
        before, self.listed = self.listed, {key for key, row in self.rows.items() if selection.admits(row)}
        concerned = {change.row.key: change for change in changes if change.row.key in before | self.listed}
        for key in before ^ self.listed:
            concerned.setdefault(key, Change(self.rows[key], self.rows[key].state))
        return [replace(change, listed=key in self.listed) for key, change in concerned.items()]

    def _where(self) -> Where:
        where = Selection(subscription=self.subscription).where()
        if self._newest is None:
            return where
        recent = "Timestamp ge @recent"
        condition = f"{where.filter} and {recent}" if where.filter else recent
        return Where(condition, {**where.parameters, "recent": self._newest - OVERLAP})


def watch(  # noqa: PLR0913 - the options of a command
    *,
    interval: Annotated[
        timedelta, typer.Option(metavar="DURATION", parser=options.duration, help="Between two looks; at least 1s.")
    ] = "5s",  # type: ignore[assignment] # typer reads it like what is given on the command line
    state: options.States = None,
    plan: options.Plan = None,
    subscription: options.Subscription = None,
    since: options.Since = None,
    stuck: options.Stuck = None,
    failed: options.Failed = False,
    json_: options.AsJson = False,
    connection: options.Connection = None,
    account_: options.Account = None,
) -> None:
    """Show the list as it changes, until Ctrl-C; in a pipe, print each change as a line.

    Example: managedapps watch --subscription 00000000-1111-2222-3333-444444444444 --interval 10s
    """
    if interval < timedelta(seconds=1):
        raise typer.BadParameter("at least 1s", param_hint="--interval")
    chosen = partial(
        selected, states=state, plan=plan, subscription=subscription, since=since, stuck=stuck, failed=failed
    )
    chosen(datetime.now(UTC))  # what cannot be meant is refused here, not after the first look
    storage, out = account.find(connection, account_), output.console()
    view: View = Screen(out, interval) if out.is_terminal and not json_ else Lines(as_json=json_)
    try:
        asyncio.run(
            _watch(storage, Watched(subscription, (*(ALL if json_ else FETCHED), "Timestamp")), chosen, view, interval)
        )
    except KeyboardInterrupt:
        return  # the way to end it


async def _watch(
    storage: Storage,
    watched: Watched,
    chosen: Callable[[datetime], Selection],
    view: "View",
    interval: timedelta,
) -> None:
    async with account.opened(storage) as tables:
        await watched.look(tables)  # what fails here will fail again: it ends the command
        watched.choose(chosen(datetime.now(UTC)), [])
        changes: list[Change] = []
        trouble = ""
        with view:
            while True:
                now = datetime.now(UTC)
                view.show(watched, watched.choose(chosen(now), changes), now, trouble)
                await asyncio.sleep(interval.total_seconds())
                try:
                    changes, trouble = await watched.look(tables), ""
                except StoreError as error:
                    changes, trouble = [], str(error)


class View(Protocol):
    """Where changes are shown."""

    def __enter__(self) -> object:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""

    def show(self, watched: Watched, changes: Sequence[Change], now: datetime, trouble: str) -> None:
        """Show how things stand, what just changed, and why that could not be seen, if it could not."""


class Lines:
    """A line for each change, and one on standard error when storage fails or answers again."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._trouble = ""

    def __enter__(self) -> object:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def show(self, _: Watched, changes: Sequence[Change], now: datetime, trouble: str) -> None:
        """Print what changed."""
        if bool(trouble) != bool(self._trouble):
            output.say(f"Warning: {trouble}. Trying again." if trouble else "Storage answers again.")
        self._trouble = trouble
        for change in changes:
            print(self._line(change, now), flush=True)  # noqa: T201 - a command line tool prints

    def _line(self, change: Change, now: datetime) -> str:
        row = change.row
        if self._as_json:
            seen = {
                "seenAt": utc_text(now),
                "listed": change.listed,
                "previousProvisioningState": change.before,
            }
            return json.dumps({**seen, **shown(row)}, ensure_ascii=False)
        cells = cells_of(row, now)
        line = "  ".join((row.event_time, _transition(change), *cells[2:]))
        return line if change.listed else f"{line}  (not listed any more)"


class Screen:
    """The list on the whole terminal, newest event first."""

    def __init__(self, out: Console, interval: timedelta) -> None:
        self._out, self._interval = out, interval
        self._live = Live(console=out, screen=True, auto_refresh=False)
        self._fresh: dict[str, tuple[datetime, Change]] = {}

    def __enter__(self) -> object:
        return self._live.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def show(self, watched: Watched, changes: Sequence[Change], now: datetime, trouble: str) -> None:
        """Draw everything anew."""
        self._fresh = {key: seen for key, seen in self._fresh.items() if now - seen[0] < FRESH}
        self._fresh |= {change.row.key: (now, change) for change in changes}
        self._live.update(Group(*self._picture(watched, now, trouble)), refresh=True)

    def _picture(self, watched: Watched, now: datetime, trouble: str) -> Iterable[Text]:
        rows = [watched.rows[key] for key in watched.listed]
        room = max(self._out.height - 4, 1)
        newest = heapq.nlargest(room, rows, key=lambda row: row.order)
        lines = [(row.key in self._fresh, self._cells(row, now)) for row in newest]
        widths = [len(column.heading) for column in COLUMNS]
        for _, cells in lines:
            grid.widen(widths, cells)
        widths = grid.fit(COLUMNS, widths, self._out.width - 2)
        yield Text(f"{sentence(Counter(row.state for row in rows))}", "bold", no_wrap=True)
        yield Text(
            f"{now:%Y-%m-%d %H:%M:%S} UTC, every {short(self._interval)}, Ctrl-C ends it"
            + (f". {trouble}" if trouble else ""),
            "bold red" if trouble else "dim",
            no_wrap=True,
            overflow="ellipsis",
        )
        yield Text("  ").append_text(grid.coloured([column.heading for column in COLUMNS], widths, "bold"))
        for fresh, cells in lines:
            line = Text().append("● " if fresh else "  ", "bold cyan")
            line.append_text(grid.coloured(cells, widths, style_of(cells[0].rpartition(" → ")[2])))
            if fresh:
                line.stylize("bold")
            yield line
        if len(rows) > len(newest):
            yield Text(f"  and {len(rows) - len(newest):,} more", "dim")

    def _cells(self, row: Row, now: datetime) -> list[str]:
        cells = cells_of(row, now)
        if seen := self._fresh.get(row.key):
            cells[0] = _transition(seen[1])
        return cells


def _transition(change: Change) -> str:
    state = state_of(change.row)
    return state if change.before in (None, change.row.state) else f"{grid.cell(change.before)} → {state}"
