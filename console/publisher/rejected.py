"""The commands `rejected list`, `rejected show` and `rejected retry`: bodies that the webhook refused, and kept."""

import asyncio
import base64
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from console import account, options, output
from console.ending import Ending, ending
from console.publisher import grid
from console.publisher.listing import AsJson
from console.publisher.rejections import Retry, Run, chosen, read, rejections, said
from console.publisher.row import utc_text
from console.publisher.spool import Spool
from webhook.rejection import BODY_LIMIT, Rejection
from webhook.settings import Storage

app = typer.Typer(
    help="Bodies that were refused, and kept: list them, show one, record them after an upgrade.\n\n"
    "Example: managedapps rejected list --since 7d",
    rich_markup_mode="markdown",
)

LISTED = (
    grid.Column("RECEIVED", 10),
    grid.Column("ID", 8),
    grid.Column("REASON", 7),
    grid.Column("SIZE", 4),
    grid.Column("FIRST ERROR", 12, first=True),
)
"""What the list shows of each."""

RECORDED = grid.Column("RECORDED", 8)
"""The one column more where those are listed, too, that were recorded since."""

_DIGITS = 12  # of an ID on a terminal


@app.command("list")
def list_(
    *,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN",
            help="Only those that came since then: a date, a time (UTC unless it has a zone), or how long ago, such as "
            "7d.",
        ),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Also those that were recorded since.")] = False,
    json_: options.AsJson = False,
    connection: options.Connection = None,
    account_: options.Account = None,
) -> None:
    """List the bodies that were refused and not recorded since, that which came last first.

    Example: managedapps rejected list --since 7d
    """
    earliest = options.moment(since, datetime.now(UTC))
    lines = _Lines(recorded=all_)

    def text_of(rejection: Rejection) -> str | None:
        if rejection.recorded_at and not all_:
            return None
        return json.dumps(facts(rejection), ensure_ascii=False) if json_ else lines.text(rejection)

    with Spool() as spool:
        count = asyncio.run(_collect(account.find(connection, account_), earliest, text_of, spool))
        (AsJson() if json_ else lines).print(spool.greatest_first())
    if not count and not json_:
        output.say("There is no such body." if all_ or since else "Every body was taken, or recorded since.")


@app.command("show")
def show_(
    id_: Annotated[str, typer.Argument(metavar="ID", help="Its ID, or the first digits of that.")],
    *,
    json_: options.AsJson = False,
    connection: options.Connection = None,
    account_: options.Account = None,
) -> None:
    """Show a body that was refused, and what was wrong with it.

    Example: managedapps rejected show 3f9a86d0
    """
    times = asyncio.run(_read(account.find(connection, account_), id_))
    if json_:
        output.print_json(_whole(times))
        return
    out = output.console()
    for line in _shown(times):
        out.print(output.printable(line))


@app.command()
def retry(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="Their IDs, or the first digits; all if there is none.")
    ] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing; only say which would pass.")] = False,
    json_: options.AsJson = False,
    connection: options.Connection = None,
    account_: options.Account = None,
) -> None:
    """Validate refused bodies again, as after an upgrade of the app, and record those that pass now.

    Each is recorded exactly as a delivery would have been, as of when it came. The refused body stays, and is marked.
    Ends with 1 if any still fails.

    Example: managedapps rejected retry --dry-run
    """
    storage = account.find(connection, account_)
    run = Run()
    with ending() as end:
        asyncio.run(_retry(storage, ids or (), run, dry_run=dry_run))
    if run.attempts or not end.failure:
        _say(run, end, as_json=json_)
    end.leave(int(not all(attempt.passed for attempt in run.attempts)))


async def _collect(
    storage: Storage, earliest: datetime | None, text_of: Callable[[Rejection], str | None], spool: Spool
) -> int:
    """Put the texts of those that came since then in order, and count them."""
    seen = count = 0
    async with account.opened(storage) as tables:
        with output.progress("Reading", "refused bodies read") as show:
            async for rejection in rejections(tables, earliest, lambda _, flaw: output.say(f"Warning: {flaw}.")):
                if text := text_of(rejection):
                    spool.add(utc_text(rejection.received_at), text)
                    count += 1
                seen += 1
                show(seen)
    return count


async def _read(storage: Storage, text: str) -> list[Rejection]:
    async with account.opened(storage) as tables:
        return await read(tables, text)


async def _retry(storage: Storage, ids: Sequence[str], run: Run, *, dry_run: bool) -> None:
    async with account.opened(storage) as tables:
        await chosen(tables, ids, run)
        again = Retry(tables, lambda: datetime.now(UTC), dry_run=dry_run)
        with output.progress("Trying again", "bodies tried again", len(run.keys)) as show:
            for number, key in enumerate(run.keys, 1):
                run.attempts.append(await again.attempt(key))
                show(number)


class _Lines:
    """Lines for people, and for grep and awk; on a terminal, IDs are shortened to what tells them apart."""

    def __init__(self, *, recorded: bool) -> None:
        self._out, self._recorded = output.console(), recorded
        self._columns = (*LISTED[:-1], RECORDED, LISTED[-1]) if recorded else LISTED
        self._widths = [len(column.heading) for column in self._columns]

    def text(self, rejection: Rejection) -> str:
        """Give the cells; none of them holds a tab."""
        cells = [
            _second(rejection.received_at),
            rejection.digest[:_DIGITS] if self._out.is_terminal else rejection.digest,
            rejection.reason,
            str(rejection.size),
            grid.cell(said(rejection.errors[:1])),
        ]
        if self._recorded:
            cells.insert(-1, _second(rejection.recorded_at) if rejection.recorded_at else grid.MISSING)
        grid.widen(self._widths, cells)
        return "\t".join(cells)

    def print(self, texts: Iterable[str]) -> None:
        """Print the lines, if there are any: cut to the terminal, or as they are for a pipe."""
        heading = "\t".join(column.heading for column in self._columns)
        widths = grid.fit(self._columns, self._widths, self._out.width)
        for number, text in enumerate(texts):
            for line in (heading, text) if number == 0 else (text,):
                cells = line.split("\t")
                if self._out.is_terminal:
                    self._out.print(grid.coloured(cells, widths, "bold" if line is heading else ""))
                else:
                    sys.stdout.write(f"{grid.plain(cells, self._widths)}\n")


def facts(rejection: Rejection) -> dict[str, Any]:
    """Give for programs what is known of a refused body, without the body."""
    return {
        "day": rejection.day,
        "id": rejection.digest,
        "receivedAt": utc_text(rejection.received_at),
        "reason": rejection.reason,
        "size": rejection.size,
        "truncated": rejection.truncated,
        "errors": list(rejection.errors),
        "recordedAt": rejection.recorded_at and utc_text(rejection.recorded_at),
    }


def _whole(times: Sequence[Rejection]) -> dict[str, Any]:
    body = times[-1].body
    return {
        **facts(times[-1]),
        "times": [{name: facts(each)[name] for name in ("day", "receivedAt", "recordedAt")} for each in times],
        "body": body if isinstance(body, str) else None,
        "bodyBase64": None if isinstance(body, str) else base64.b64encode(body).decode(),
    }


def _shown(times: Sequence[Rejection]) -> Iterator[str]:
    """Say what is known of a body that came at these times."""
    last = times[-1]
    yield f"ID        {last.digest}"
    for each in times:
        since = f", recorded {_second(each.recorded_at)} UTC" if each.recorded_at else ""
        yield f"received  {_second(each.received_at)} UTC{since}"
    yield f"reason    {last.reason}"
    yield f"size      {last.size:,} bytes" + (
        f", the first {BODY_LIMIT:,} of which were kept" if last.truncated else ""
    )
    for error in last.errors:
        yield f"error     {grid.cell(said([error]))}"
    if isinstance(last.body, str):
        yield f"body\n\n{indented(last.body)}"
    else:
        yield f"body      no UTF-8; what is no ASCII is written as \\x and two digits\n\n{repr(last.body)[2:-1]}"


def indented(body: str) -> str:
    """Indent JSON; what is none, or would lose something by it, stays as it is."""

    def every(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError
        return found

    def exact(text: str) -> float:
        number = float(text)
        if repr(number) != text:
            raise ValueError
        return number

    try:
        content = json.loads(body, object_pairs_hook=every, parse_float=exact)
        return json.dumps(content, indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return body


def _say(run: Run, end: Ending, *, as_json: bool) -> None:
    counts = Counter(attempt.outcome for attempt in run.attempts)
    if as_json:
        output.print_json(
            {
                "chosen": len(run.keys),
                "tried": len(run.attempts),
                "outcomes": counts,
                "cutShort": run.cut_short,
                **end.to_json(),
                "attempts": [attempt.to_json() for attempt in run.attempts],
            }
        )
    else:
        out = output.console()
        for attempt in run.attempts:
            digest = attempt.key.digest[:_DIGITS] if out.is_terminal else attempt.key.digest
            out.print(grid.cell(f"{attempt.key.day} {digest} {attempt.sentence()}"))
    kinds = "".join(f", {number:,} {outcome}" for outcome, number in counts.items())
    if end.stopped:
        output.say("Stopped by Ctrl-C.")
    output.say(f"{len(run.attempts):,} of {len(run.keys):,} refused bodies tried again{kinds}.")
    if run.cut_short:
        output.say(f"{run.cut_short:,} more cannot be tried again: only their first 256 KiB were kept.")


def _second(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S}"
