"""The commands `simulate` and `send`: their options, and what they print."""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from console import INTERRUPTED, ConsoleError, account, options, output
from console.client import Answer, Client, Unreachable, address, unreachable
from console.endpoint import Endpoint, EndpointError
from console.marketplace.delivery import Fate, Marketplace, Tally, fate
from console.marketplace.lives import Life, Span, lives
from console.marketplace.report import Summary
from console.marketplace.schedule import Faults, plan
from console.marketplace.verify import differences, read


class CommandError(ConsoleError):
    """Something that a command needs is not there, or cannot be used."""


def simulate(  # noqa: PLR0913 - the options of a command
    *,
    url: Annotated[
        list[str],
        typer.Option(
            metavar="URL",
            help="The webhook, as pasted into Partner Center: /resource is appended to its path. If given more than "
            "once, each delivery goes to any of them, as with several instances.",
        ),
    ],
    customers: Annotated[int, typer.Option(min=1, metavar="N", help="How many.")] = 100,
    seed: Annotated[
        int, typer.Option(metavar="N", help="The same seed gives the same events and the same schedule.")
    ] = 1,
    speed: Annotated[
        float,
        typer.Option(
            min=0.001, metavar="X", help="Seconds of the Marketplace's time in one of yours: 600 is 10 hours a minute."
        ),
    ] = 600,
    duplicates: Annotated[
        float, typer.Option(min=0, max=1, metavar="SHARE", help="Share of events that are delivered twice.")
    ] = 0,
    reorder: Annotated[
        float, typer.Option(min=0, max=1, metavar="SHARE", help="Share of events that a later one overtakes.")
    ] = 0,
    lost_answers: Annotated[
        float,
        typer.Option(
            min=0, max=1, metavar="SHARE", help="Share of deliveries that are made, and their answer not heard."
        ),
    ] = 0,
    concurrency: Annotated[int, typer.Option(min=1, metavar="N", help="Requests in flight, at most.")] = 16,
    start: Annotated[
        str,
        typer.Option(
            metavar="WHEN",
            help="No event is earlier: a date, a time (UTC unless it has a zone), or the beginning of the day that "
            "was so long ago, such as 30d.",
        ),
    ] = "2025-01-01",
    days: Annotated[float, typer.Option(min=0.01, max=3650, metavar="DAYS", help="In which the events happen.")] = 30,
    within: Annotated[
        float,
        typer.Option(
            min=0, max=1000, metavar="HOURS", help="Hours of the Marketplace's time in which they are delivered first."
        ),
    ] = 1,
    timeout: Annotated[
        float, typer.Option(min=0.01, metavar="SECONDS", help="Seconds of yours that an answer may take.")
    ] = 30,
    truth: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the true final state of each customer, as JSON lines.")
    ] = None,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Afterwards, compare the tables of this project's webhook with the truth. Their settings come from "
            "where the app has them: the environment, or local.settings.json in the current folder.",
        ),
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only what went wrong.")] = False,
) -> None:
    """Let customers buy, use and delete applications, and tell a webhook as the Marketplace does.

    200 is done; 404, 429, 500 and above, and no answer are tried again until 10 hours have passed; anything else is
    dropped at once, and the event is lost.

    Example: managedapps simulate --url "http://127.0.0.1:7071/api?secret=..." --customers 200 --seed 7
    """
    span, endpoints = _span(start, days), [_endpoint(each) for each in url]
    population = lives(seed, customers, span)
    deliveries = plan(population, seed, span, Faults(duplicates, reorder, lost_answers), within=within * 3_600)
    if truth:
        _write(truth, population)
    keys = frozenset(life.key for life in population)
    storage = account.find() if verify else None
    if storage:
        asyncio.run(read(storage, keys))  # so that a run is not made in vain
    asyncio.run(_reach(endpoints))

    tally, began, stopped = Tally(), time.monotonic(), False
    with output.progress("Delivering", "delivered", len(deliveries), quiet=quiet) as show:
        marketplace = Marketplace(
            endpoints,
            speed=speed,
            at_once=concurrency,
            timeout=timeout,
            tally=tally,
            settled=lambda: show(tally.settled, f"{tally.retries.total():,} retries"),
        )
        try:
            asyncio.run(marketplace.deliver(deliveries))
        except KeyboardInterrupt:
            stopped = True
    summary = Summary.of(deliveries, customers, tally, time.monotonic() - began)
    found = None
    if storage and not stopped:
        found = differences(population, tally.heard, asyncio.run(read(storage, keys)))
    _say_all(summary, found, stopped=stopped, as_json=json_, quiet=quiet)
    raise typer.Exit(INTERRUPTED if stopped else int(bool(summary.lost or found)))


def send(
    sample: Annotated[str, typer.Argument(metavar="SAMPLE", help="A notification, as JSON; - for standard input.")],
    *,
    url: Annotated[
        str, typer.Option(metavar="URL", help="The webhook, as pasted into Partner Center: /resource is appended.")
    ],
    timeout: Annotated[float, typer.Option(min=0.01, metavar="SECONDS", help="Seconds that the answer may take.")] = 30,
    json_: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Deliver one notification once, and say what the Marketplace would do with the answer.

    Example: managedapps send samples/1-put-accepted.json --url "http://127.0.0.1:7071/api?secret=..."
    """
    endpoint, body = _endpoint(url), _read(sample)

    async def post() -> Answer | Unreachable:
        async with Client(at_once=1, timeout=timeout) as client:
            return await client.post(address(endpoint), body)

    answer = asyncio.run(post())
    status = answer.status if isinstance(answer, Answer) else None
    _say_answer(endpoint, answer, as_json=json_)
    raise typer.Exit(int(fate(status) is not Fate.DONE))


def _span(start: str, days: float) -> Span:
    """Read the time of the events, and refuse what a webhook must refuse: events of the future."""
    now = datetime.now(UTC)
    first = options.moment(start, now, "--start") or now
    if "-" not in start:  # so long ago: by the day, so that the same day gives the same events
        first = first.replace(hour=0, minute=0, second=0, microsecond=0)
    span = Span(first, timedelta(days=days))
    if span.start > now + timedelta(days=1) - span.length:
        raise typer.BadParameter("the events must end at most a day from now", param_hint="--start and --days")
    return span


def _endpoint(url: str) -> Endpoint:
    try:
        endpoint = Endpoint.parse(url)
        address(endpoint)
    except EndpointError as error:
        raise typer.BadParameter(f"--url: {error}.") from None
    for warning in endpoint.warnings:
        output.say(f"Warning: {warning}.")
    return endpoint


async def _reach(endpoints: Sequence[Endpoint]) -> None:
    """Try to connect to each URL. If none can be reached, the URL is more likely wrong than the webhook down."""
    flaws = await asyncio.gather(*map(unreachable, endpoints))
    lines = [
        f"{endpoint.shown} cannot be reached: {flaw}" for endpoint, flaw in zip(endpoints, flaws, strict=True) if flaw
    ]
    if len(lines) == len(endpoints):
        raise CommandError("; ".join(lines))
    for line in lines:
        output.say(f"Warning: {line}.")


def _read(sample: str) -> bytes:
    try:
        body = sys.stdin.buffer.read() if sample == "-" else Path(sample).read_bytes()
    except OSError as error:
        raise CommandError(f"cannot read {sample}: {error.strerror}") from None
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        output.say(f"Warning: {sample} is not JSON; it is sent as it is.")
    return body


def _write(truth: Path, population: Sequence[Life]) -> None:
    try:
        truth.write_text("".join(f"{life.truth.to_json()}\n" for life in population), "utf-8")
    except OSError as error:
        raise CommandError(f"cannot write {truth}: {error.strerror}") from None


def _say_all(summary: Summary, found: Sequence[str] | None, *, stopped: bool, as_json: bool, quiet: bool) -> None:
    """Print the report of a run; `found` are the differences, where the tables were compared."""
    out, err = output.console(), output.console(stderr=True)
    tally = summary.tally
    if stopped:
        cut_off = tally.attempts - tally.statuses.total() - tally.unreachable.total()
        err.print(f"Stopped by Ctrl-C; {cut_off:,} requests were in flight.")
    if as_json:
        report = {**summary.to_json(), "stopped": stopped, "differences": None if found is None else list(found)}
        output.print_json(report)
        return
    if not quiet:
        out.print(summary.table())
    if summary.lost:
        err.print(f"{summary.lost:,} of {summary.events:,} events are lost: {summary.causes()}.")
    for difference in found or ():
        out.print(difference)
    if found:
        err.print(f"{len(found):,} differences between the tables and the truth.")
    elif found is not None and not quiet:
        out.print(
            f"Verified: {summary.customers:,} rows and {summary.recorded:,} notifications in the tables are the truth."
        )


def _say_answer(endpoint: Endpoint, answer: Answer | Unreachable, *, as_json: bool) -> None:
    out = output.console()
    status = answer.status if isinstance(answer, Answer) else None
    verdict = {
        Fate.DONE: "The Marketplace takes the event as recorded, and is done.",
        Fate.RETRY: "The Marketplace tries again, for 10 hours.",
        Fate.DROPPED: "The Marketplace drops the event and does not try again: it is lost.",
    }[fate(status)]
    text = endpoint.masked(answer.body.decode("utf-8", "replace")) if isinstance(answer, Answer) else None
    if as_json:
        report = {
            "url": endpoint.shown,
            "status": status,
            "unreachable": answer.reason if isinstance(answer, Unreachable) else None,
            "milliseconds": round(1000 * answer.seconds, 1) if isinstance(answer, Answer) else None,
            "body": text,
            "fate": fate(status).value,
        }
        output.print_json(report)
        return
    out.print(f"POST {endpoint.shown}")
    if isinstance(answer, Unreachable):
        out.print(f"No answer: {answer.reason}.")
    else:
        out.print(f"{answer.status} {answer.media_type or '(no content type)'}, {1000 * answer.seconds:.0f} ms")
        out.print(output.printable(text or "(no body)"))
    out.print(verdict)
