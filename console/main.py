"""The command line of `managedapps`: reads it, puts the parts together, and turns what went wrong into a line.

The one place of the console that reads the environment and the calendar. Exit status: 0 all went well; 1 an event was
lost, something differs or cannot be reached or read; 2 wrong usage; 130 stopped by Ctrl-C.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from rich.console import Console

from console import ConsoleError, local_settings
from console.delivery import Answer, Client, Fate, Marketplace, Tally, Unreachable, address, fate, unreachable
from console.endpoint import Endpoint, EndpointError, mask_queries
from console.lives import Life, Span, lives
from console.report import Summary, progress
from console.schedule import Faults, plan

if TYPE_CHECKING:
    from console.verify import Stored

INTERRUPTED = 130

app = typer.Typer(
    help="A Marketplace on your desk, to test the webhook of an Azure Managed Application against.",
    add_completion=False,
    rich_markup_mode="markdown",  # lines of docstrings flow
    pretty_exceptions_enable=False,  # they can show the values of variables, and so the secret
)

# typer exports no other of Click's classes, and where they are depends on its version
_UsageError = cast("type[typer.BadParameter]", typer.BadParameter.__base__)


class CommandError(ConsoleError):
    """Something that a command needs is not there, or cannot be used."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and give the exit status."""
    try:
        return int(app(args=arguments, prog_name="managedapps", standalone_mode=False) or 0)
    except _UsageError as error:  # its text may repeat an argument, and so a secret
        command = error.ctx.command_path if error.ctx else "managedapps"
        typer.echo(f"{command}: {mask_queries(error.format_message())}\nTry '{command} --help'.", err=True)
        return error.exit_code
    except ConsoleError as error:
        typer.echo(f"managedapps: {error}", err=True)
        return 1
    except (typer.Abort, KeyboardInterrupt):
        typer.echo("Stopped.", err=True)
        return INTERRUPTED


@app.command()
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
        datetime,
        typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], metavar="DATE", help="No event is earlier. UTC."),
    ] = "2025-01-01",  # type: ignore[assignment] # typer reads it like what is given on the command line
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
    settings = _settings() if verify else {}
    if verify:
        _stored(settings, keys)  # so that a run is not made in vain
    asyncio.run(_reach(endpoints))

    tally, began, stopped = Tally(), time.monotonic(), False
    with progress(_console(stderr=True), tally, len(deliveries), quiet=quiet) as settled:
        marketplace = Marketplace(
            endpoints, speed=speed, at_once=concurrency, timeout=timeout, tally=tally, settled=settled
        )
        try:
            asyncio.run(marketplace.deliver(deliveries))
        except KeyboardInterrupt:
            stopped = True
    summary = Summary.of(deliveries, customers, tally, time.monotonic() - began)
    found = _differences(population, tally, settings, keys) if verify and not stopped else None
    _say_all(summary, found, stopped=stopped, as_json=json_, quiet=quiet)
    raise typer.Exit(INTERRUPTED if stopped else int(bool(summary.lost or found)))


@app.command()
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


def _console(*, stderr: bool = False) -> Console:
    """Give a console that prints texts as they are."""
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)


def _span(start: datetime, days: float) -> Span:
    """Refuse what a webhook must refuse: events of the future."""
    span = Span(start.replace(tzinfo=UTC), timedelta(days=days))
    if span.start > datetime.now(UTC) + timedelta(days=1) - span.length:
        raise typer.BadParameter("--start and --days: the events must end at most a day from now")
    return span


def _endpoint(url: str) -> Endpoint:
    try:
        endpoint = Endpoint.parse(url)
        address(endpoint)
    except EndpointError as error:
        raise typer.BadParameter(f"--url: {error}.") from None
    for warning in endpoint.warnings:
        typer.echo(f"Warning: {warning}.", err=True)
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
        typer.echo(f"Warning: {line}.", err=True)


def _read(sample: str) -> bytes:
    try:
        body = sys.stdin.buffer.read() if sample == "-" else Path(sample).read_bytes()
    except OSError as error:
        raise CommandError(f"cannot read {sample}: {error.strerror}") from None
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        typer.echo(f"Warning: {sample} is not JSON; it is sent as it is.", err=True)
    return body


def _write(truth: Path, population: Sequence[Life]) -> None:
    try:
        truth.write_text("".join(f"{life.truth.to_json()}\n" for life in population), "utf-8")
    except OSError as error:
        raise CommandError(f"cannot write {truth}: {error.strerror}") from None


def _settings() -> Mapping[str, str]:
    """Give the settings that the app would have here: of two, the environment's counts, as with Core Tools."""
    file = Path(local_settings.NAME)
    return {**(local_settings.values(file) if file.exists() else {}), **os.environ}


def _stored(settings: Mapping[str, str], keys: Collection[str]) -> "Stored":
    from console import verify  # noqa: PLC0415 - takes as long to import as all the rest, and most runs do without

    return asyncio.run(verify.read(verify.storage(settings), keys))


def _differences(
    population: Sequence[Life], tally: Tally, settings: Mapping[str, str], keys: Collection[str]
) -> list[str]:
    from console import verify  # noqa: PLC0415 - see _stored

    return verify.differences(population, tally.heard, _stored(settings, keys))


def _say_all(summary: Summary, found: Sequence[str] | None, *, stopped: bool, as_json: bool, quiet: bool) -> None:
    """Print the report of a run; `found` are the differences, where the tables were compared."""
    out, err = _console(), _console(stderr=True)
    tally = summary.tally
    if stopped:
        cut_off = tally.attempts - tally.statuses.total() - tally.unreachable.total()
        err.print(f"Stopped by Ctrl-C; {cut_off:,} requests were in flight.")
    if as_json:
        report = {**summary.to_json(), "stopped": stopped, "differences": None if found is None else list(found)}
        out.print(json.dumps(report, indent=2, ensure_ascii=False))
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
    out = _console()
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
        out.print(json.dumps(report, indent=2, ensure_ascii=False))
        return
    out.print(f"POST {endpoint.shown}")
    if isinstance(answer, Unreachable):
        out.print(f"No answer: {answer.reason}.")
    else:
        out.print(f"{answer.status} {answer.media_type or '(no content type)'}, {1000 * answer.seconds:.0f} ms")
        out.print(
            "".join(letter if letter.isprintable() or letter in "\n\t" else "�" for letter in text or "(no body)")
        )
    out.print(verdict)
