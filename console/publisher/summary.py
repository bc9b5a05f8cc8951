"""The command `summary`: the figures of all applications, with small charts; and reading them, which `report` does too.

Rows and notifications are read once each, the latter without their bodies, and none is kept.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import typer
from rich.console import Console
from rich.text import Text

from console import account, options, output
from console.publisher import charts, grid
from console.publisher.durations import exact, option, short
from console.publisher.figures import Figures, Summary
from console.publisher.listing import NO_APPLICATION_YET, style_of
from console.publisher.notifications import Notifications
from console.publisher.row import Row
from webhook.notification import EARLIEST
from webhook.settings import Storage
from webhook.store import Where

FETCHED = (
    "PartitionKey",
    "RowKey",
    "applicationId",
    "subscriptionId",
    "resourceGroup",
    "applicationName",
    "provisioningState",
    "eventType",
    "order",
    "planProduct",
    "planName",
    "planVersion",
    "applicationDefinitionId",
    "errorCode",
    "error",
)
"""The columns of a row that count."""

_HEADING = "bold"
_GOOD, _BAD = "green", "red"
_INDENT = "  "
_PLAIN_WIDTH = 80  # of charts, where there is no terminal
_WIDEST = 100
_HEIGHT = 6
_MOST_PLANS, _MOST_VERSIONS, _MOST_CODES = 15, 3, 10
_MOST_COLUMNS = 62


def summary(
    *,
    since: options.Period = "30d",
    stuck: options.StuckAfter = "2h",  # type: ignore[assignment] # read like what is given on the command line
    json_: options.AsJson = False,
    connection: options.Connection = None,
    account_: options.Account = None,
) -> None:
    """Sum up how the applications stand and how deployments go: what is stuck, what failed and why, how long it takes.

    Each attempt to deploy counts, upgrades too, on the day (UTC) on which it ended.

    Example: managedapps summary --since 7d
    """
    now = datetime.now(UTC)
    figures = begin(now, since, stuck)
    storage = account.find(connection, account_)
    found = asyncio.run(_read(storage, figures))
    if json_:
        output.print_json(found.to_json())
    elif not found.applications:
        output.say(NO_APPLICATION_YET)
    else:
        out = output.console()
        for line in lines(found, out):
            out.print(line)


def begin(now: datetime, since: str, stuck: timedelta) -> Figures:
    """Begin with figures, as the options say. Raises typer.BadParameter."""
    first = options.moment(since, now)
    if first is None or first > now:
        raise typer.BadParameter(f"--since: {since} is still to come")
    # no event is earlier than that, and so nothing has been stuck for longer
    return Figures(now, max(first, EARLIEST + timedelta(days=1)), min(stuck, now - EARLIEST))


async def _read(storage: Storage, figures: Figures) -> Summary:
    recent = Where("RowKey ge @since", {"since": figures.reads_from})  # order keys begin with the time
    async with account.opened(storage) as tables:
        with output.progress("Reading", "rows and notifications read") as show:
            count = 0
            async for stored in tables.rows(columns=FETCHED):
                figures.add_row(Row.of(stored.entity))
                count += 1
                show(count)
            notifications = Notifications(tables)
            async for entry in notifications.read(recent, bodies=False):
                figures.add_entry(entry)
                count += 1
                show(count)
    notifications.warn()
    return figures.summary()


def lines(found: Summary, out: Console) -> Iterator[Text]:
    """Give the summary for people."""
    glyphs = charts.ASCII if out.options.ascii_only else charts.BLOCKS
    width = min(out.width, _WIDEST) if out.is_terminal else _PLAIN_WIDTH
    yield Text(f"{counted(found.applications, 'application')} on {found.now:%Y-%m-%d %H:%M} UTC", _HEADING)
    states = [(name, number, style_of(name)) for name, number in standing(found).items()]
    yield from _bars(states, width, glyphs)
    yield from _plans(found, out)
    yield from _deployments(found, width, glyphs)
    yield from _stuck(found)
    yield from _failed(found, width, glyphs)


def counted(number: int, noun: str) -> str:
    """Give a number and what it is of, such as 1 application or 2,000 applications."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def standing(found: Summary) -> dict[str, int]:
    """Count the applications by state as the list names it, with failed deletions apart from failed deployments."""
    apart: dict[str, int] = {}
    for state, number in found.states.items():
        if state == "Failed":
            apart |= {"Failed": found.failed["deployment"], "Failed (DELETE)": found.failed["deletion"]}
        else:
            apart[state] = number
    return apart


def percent(share: float) -> str:
    """Give a share so that only what is whole reads 0 % or 100 %."""
    rounded = round(100 * share, 1)
    if rounded in (0, 100) and share not in (0, 1):
        rounded = 0.1 if rounded == 0 else 99.9
    return f"{rounded:.3g} %"


def period(found: Summary) -> str:
    """Say from when on deployments count."""
    return f"since {found.since:%Y-%m-%d %H:%M} UTC, {short(found.now - found.since)}"


class PlanCount(NamedTuple):
    """How many applications have a plan, whatever its version.

    Attributes:
        name: product and plan; of the service catalog, definition and nothing.
        states: how many are in each of the summary's states.
        versions: each, with its number, the most frequent first.
    """

    name: tuple[str, str]
    applications: int
    states: Sequence[int]
    versions: Sequence[tuple[str, int]]

    @property
    def most_versions(self) -> str:
        """The versions that most have, and how many others there are."""
        named = [f"{version} ({number:,})" for version, number in self.versions[:_MOST_VERSIONS]]
        rest = len(self.versions) - len(named)
        return ", ".join([*named, *([f"{rest:,} more"] if rest else [])])


def by_plan(found: Summary) -> list[PlanCount]:
    """Count the applications by product and plan, the most frequent first."""
    together: dict[tuple[str, str], list[tuple[str | None, Mapping[str, int]]]] = {}
    for offer, states in found.offers.items():
        catalog = offer.definition is not None
        name = (f"{offer.definition} (service catalog)", "") if catalog else (offer.product or "", offer.plan or "")
        together.setdefault(name, []).append((offer.version, states))
    plans = []
    for name, offers in together.items():
        numbers = [sum(counts.get(state, 0) for _, counts in offers) for state in found.states]
        versions = [(version, sum(counts.values())) for version, counts in offers if version]
        plans.append(PlanCount(name, sum(numbers), numbers, versions))
    return sorted(plans, key=lambda each: (-each.applications, each.name))


def _bars(rows: Sequence[tuple[str, int, str]], width: int, glyphs: charts.Glyphs) -> Iterator[Text]:
    names = [grid.cell(name) for name, *_ in rows]
    wide = max(map(grid.width, names), default=0)
    greatest = max((number for _, number, _ in rows), default=0)
    digits = len(f"{greatest:,}")
    room = max(width - len(_INDENT) - wide - digits - 2 * grid.GAP, 10)
    for name, (_, number, style) in zip(names, rows, strict=True):
        line = Text(f"{_INDENT}{name}{' ' * (wide - grid.width(name))}  {number:>{digits},}")
        if drawn := charts.bar(number, greatest, room, glyphs):
            line.append("  ").append(drawn, style)
        yield line


def _plans(found: Summary, out: Console) -> Iterator[Text]:
    states = list(found.states)
    heading = ["PRODUCT", "PLAN", "APPLICATIONS", *map(str.upper, states), "VERSIONS"]
    last = len(heading) - 1
    plans = by_plan(found)
    table = [
        [
            *map(grid.cell, each.name),
            *(f"{number:,}" for number in (each.applications, *each.states)),
            grid.cell(each.most_versions),
        ]
        for each in plans[:_MOST_PLANS]
    ]
    widths = list(map(len, heading))
    for row in table:
        grid.widen(widths, row)
    if out.is_terminal:  # words give way to numbers
        columns = [
            grid.Column(name, 8 if n in (0, 1, last) else len(name), n == last) for n, name in enumerate(heading)
        ]
        widths = grid.fit(columns, widths, out.width - len(_INDENT))
    yield Text("\nBy plan", _HEADING)
    for number, row in enumerate([heading, *table]):
        cells = [each.rjust(widths[n]) if n not in (0, 1, last) else each for n, each in enumerate(row)]
        line = grid.coloured(cells, widths) if out.is_terminal else Text(grid.plain(cells, widths))
        yield Text(_INDENT, _HEADING if number == 0 else "").append_text(line)
    if rest := plans[_MOST_PLANS:]:
        yield Text(
            f"{_INDENT}and {len(rest):,} more, of {counted(sum(each.applications for each in rest), 'application')}"
        )


def _deployments(found: Summary, width: int, glyphs: charts.Glyphs) -> Iterator[Text]:
    yield Text(f"\nDeployments ({period(found)})", _HEADING)
    rate, times = found.success_rate, found.times
    if rate is None:
        yield Text(f"{_INDENT}none ended in that time")
        if day := found.ended_before:
            yield Text(
                f"{_INDENT}the newest that is still an application's latest event ended on {day}: "
                f"`managedapps summary --since {day.replace(day=1)}`"
            )
        return
    yield Text(f"{_INDENT}{percent(rate)} succeeded: {found.succeeded:,}, and {found.failures:,} failed")
    if times:
        took = {"median": times.median, "95 % within": times.p95, "slowest": times.slowest}
        yield Text(
            f"{_INDENT}time to deploy: "
            + ", ".join(f"{name} {exact(timedelta(seconds=seconds))}" for name, seconds in took.items())
        )
    unit, parts = found.columns(_MOST_COLUMNS)
    values = [(part.succeeded, part.failed) for part in parts]
    ends = f"{parts[0].first}", f"{parts[-1].last}"
    yield Text()
    for line in charts.columns(
        values, ends, width=width - len(_INDENT), height=_HEIGHT, glyphs=glyphs, styles=(_GOOD, _BAD)
    ):
        yield Text(_INDENT).append_text(line)
    legend = Text(_INDENT).append(glyphs.column[-1], _GOOD).append(" succeeded  ")
    yield legend.append(glyphs.failed, _BAD).append(f" failed  (a column is a {unit}, UTC)")


def _stuck(found: Summary) -> Iterator[Text]:
    after = option(found.stuck_after)
    if not found.stuck:
        yield Text(f"\nStuck: no application has been Accepted or Deleting for longer than {after}", _HEADING)
        return
    yield Text(f"\nStuck: {counted(found.stuck, 'application')} Accepted or Deleting for longer than {after}", _HEADING)
    table = [
        [grid.cell(each.row.state), short(each.lasts), *map(grid.cell, _place(each.row))] for each in found.longest
    ]
    widths = [0] * len(table[0])
    for row in table:
        grid.widen(widths, row)
    for row in table:
        line = grid.plain(row, widths)
        yield Text(_INDENT).append(line[: len(row[0])], style_of(row[0])).append(line[len(row[0]) :])
    if (more := found.stuck - len(table)) > 0:
        yield Text(f"{_INDENT}and {more:,} more: `managedapps list --stuck {after}`")


def _place(row: Row) -> tuple[str, str, str]:
    return row.subscription_id, row.resource_group, row.name


def _failed(found: Summary, width: int, glyphs: charts.Glyphs) -> Iterator[Text]:
    total = found.states["Failed"]
    yield Text(f"\nFailed now: {counted(total, 'application')}" if total else "\nFailed now: none", _HEADING)
    for title, codes in (("error code", found.codes), ("caused by", found.causes)):
        if codes:
            yield Text(f"{_INDENT}{title}", "dim")
            yield from _bars([(code, number, _BAD) for code, number in _most(codes)], width, glyphs)
    if found.without_code:
        yield Text(f"{_INDENT}without any code: {found.without_code:,}")


def _most(codes: Mapping[str, int]) -> list[tuple[str, int]]:
    shown = list(codes.items())[:_MOST_CODES]
    rest = list(codes.items())[_MOST_CODES:]
    return shown + ([(f"{len(rest):,} others", sum(number for _, number in rest))] if rest else [])
