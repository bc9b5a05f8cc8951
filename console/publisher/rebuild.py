"""The command `rebuild`: rows computed anew from the inbox, and every row that differed."""

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from console import account, options, output
from console.ending import Ending, ending
from console.publisher import repair
from console.publisher.find import FindError, find
from console.publisher.findings import Report
from console.publisher.survey import Survey
from webhook.notification import ApplicationId
from webhook.settings import Storage

if TYPE_CHECKING:
    from webhook.tables import Tables

_SHOWN = 200  # characters of a value on a terminal


def rebuild(  # noqa: PLR0913 - the options of a command
    application: Annotated[
        str | None,
        typer.Argument(
            metavar="APP", help="Its resource ID, in any casing, or a part of its name; all if there is none."
        ),
    ] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing; only say what differs.")] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Take from rows, too, what they alone know: of events that the inbox lacks."),
    ] = False,
    json_: options.AsJson = False,
    connection: options.Connection = None,
    account_: options.Account = None,
) -> None:
    """Compute rows anew from the inbox, and report every row that differed.

    The webhook may be at work meanwhile. A row that seems wrong is looked at again after 10 seconds, and once more
    after it was written. What a row knows of an event that the inbox lacks, as after somebody pruned it, stays. Ends
    with 1 if any differed.

    Example: managedapps rebuild --dry-run
    """
    storage, report = account.find(connection, account_), Report()
    with ending() as end:
        asyncio.run(_rebuild(storage, application, report, dry_run=dry_run, force=force))
    if report.looked_at or report.findings or not end.failure:
        _say(report, end, as_json=json_)
    end.leave(int(bool(report.findings)))


async def _rebuild(storage: Storage, application: str | None, report: Report, *, dry_run: bool, force: bool) -> None:
    async with account.opened(storage) as tables:
        if application is None:
            survey = Survey(tables, report)
            with output.progress("Reading rows", "rows read") as show:
                await survey.read_rows(show)
            with output.progress("Reading the inbox", "rows compared", report.rows) as show:
                suspects = await survey.read_inbox(show)
        else:
            suspects, report.rows = [await _one(tables, application, report)], 1
        await repair.Repair(
            tables,
            report,
            now=lambda: datetime.now(UTC),
            sleep=wait,
            progress=lambda total: output.progress("Looking closely", "rows looked at closely", total),
            dry_run=dry_run,
            force=force,
        ).run(suspects)
        report.complete = True


async def _one(tables: "Tables", application: str, report: Report) -> ApplicationId:
    application_id = await find(tables, application)
    sight = await repair.Sight.take(tables, application_id, datetime.now(UTC))
    if sight.row is None and not sight.replay.orders:
        raise FindError(f"nothing is known of {output.printable(application_id.text)}: `managedapps list` shows all")
    report.notifications = len(sight.replay.orders)
    return application_id


def _say(report: Report, end: Ending, *, as_json: bool) -> None:
    if as_json:
        output.print_json({**report.to_json(), **end.to_json()})
    else:
        out = output.console()
        for finding in report.in_order():
            for line in finding.lines(_SHOWN if out.is_terminal else None):
                out.print(line)
    if end.stopped:
        output.say("Stopped by Ctrl-C.")
    for sentence in report.sentences():
        output.say(sentence)


async def wait(seconds: float) -> None:
    """Wait, and say why."""
    output.say(f"Looking again in {seconds:g} seconds, when calls that are under way have ended.")
    await asyncio.sleep(seconds)
