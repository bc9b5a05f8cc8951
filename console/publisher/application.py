"""The command `show`: everything that is known of one application, its error in full, and its life cycle."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.text import Text

from console import ConsoleError, account, options, output
from console.publisher import grid
from console.publisher.causes import causes
from console.publisher.durations import exact, short
from console.publisher.find import find
from console.publisher.listing import shown, state_of, style_of
from console.publisher.notifications import Notifications
from console.publisher.row import Row, content_of, utc_text
from console.publisher.timeline import Step, steps
from webhook.notification import ApplicationId
from webhook.settings import Storage
from webhook.store import Where

_LATE = 60  # seconds after which it is worth saying when a notification came
_HEADING = "bold"


class NoApplicationError(ConsoleError):
    """Nothing is known of the application."""


@dataclass(frozen=True, slots=True)
class Known:
    """All that the tables hold of an application.

    Attributes:
        row: None where it is missing.
        steps: from all its notifications.
    """

    application_id: ApplicationId
    row: Row | None
    steps: Sequence[Step]

    @property
    def error(self) -> Any:  # noqa: ANN401 - whatever JSON holds
        """The error of the latest event, whole: from its body where that is there, as the row's may be shortened."""
        if self.row is None or self.row.error is None:
            return None
        bodies = [step.entry.body for step in self.steps if step.entry.order == self.row.order]
        return next(filter(None, map(error_of, bodies)), None) or self.row.error_content()

    @property
    def agrees(self) -> bool:
        """Whether the row is about the newest notification."""
        newest = self.steps[-1].entry.order if self.steps else None
        return newest == (self.row and self.row.order)


def show(
    application: Annotated[
        str, typer.Argument(metavar="APP", help="Its resource ID, in any casing, or a part of its name.")
    ],
    *,
    json_: options.AsJson = False,
    connection: options.Connection = None,
    account_: options.Account = None,
) -> None:
    """Show everything that is known of an application, with its life cycle.

    Example: managedapps show sales-insights
    """
    known = asyncio.run(_read(account.find(connection, account_), application))
    if json_:
        output.print_json(_json(known))
        return
    out = output.console()
    for line in _lines(known, datetime.now(UTC)):
        out.print(line)
    if not known.agrees:
        output.say(
            "The row and the newest notification differ: if that lasts, "
            f"see `managedapps rebuild --dry-run {known.application_id.text}`."
        )


async def _read(storage: Storage, text: str) -> Known:
    async with account.opened(storage) as tables:
        application_id = await find(tables, text)
        row = await tables.row(application_id)
        mine = Where("PartitionKey eq @key", {"key": application_id.inbox_partition_key})
        notifications = Notifications(tables)
        entries = [entry async for entry in notifications.read(mine)]
    notifications.warn()
    if row is None and not entries:
        raise NoApplicationError(f"nothing is known of {application_id.text}: `managedapps list` shows the others")
    return Known(application_id, row and Row.of(row.entity), list(steps(entries)))


def error_of(body: str) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Give the error in a notification's body; None if there is none."""
    content = content_of(body)
    return content.get("error") if isinstance(content, dict) else None


def _lines(known: Known, now: datetime) -> Iterator[Text]:
    row = known.row
    if row is None:
        yield Text(known.application_id.text, _HEADING)
        yield Text("has no row, but notifications: `managedapps rebuild` writes the row", "bold red")
    else:
        yield Text(grid.cell(row.application_id), _HEADING)
        yield from _facts(row, now)
    if error := known.error:
        yield Text("\nError", _HEADING)
        for cause in causes(error):
            yield Text("  " * (cause.depth + 1) + output.printable(str(cause)), "red" if cause.depth == 0 else "")
    yield Text("\nLife cycle", _HEADING)
    for step in known.steps:
        yield _line(step)
    if not known.steps:
        yield Text("  the inbox holds no notification of it")


def _facts(row: Row, now: datetime) -> Iterator[Text]:
    state, age = state_of(row), row.age(now)
    yield Text().append(state, style_of(state)).append("" if age is None else f", for {short(age)}")
    plan = " ".join(filter(None, (row.plan, row.plan_version)))
    offer = " / ".join(filter(None, (row.plan_publisher, row.plan_product)))
    facts = {
        "subscription": row.subscription_id,
        "resource group": row.resource_group,
        "name": row.name,
        "plan": f"{plan} of {offer}" if plan and offer else plan or offer,
        "usage ID": row.resource_usage_id,
        "definition": row.application_definition_id,
        "latest event": f"{row.event_type} {row.state} of {row.event_time}",
        "first event": row.first_event_time,
    }
    wide = max(map(len, facts))
    for name, value in facts.items():
        yield Text(f"  {name:<{wide}}  {grid.cell(value)}")


def _line(step: Step) -> Text:
    entry = step.entry
    line = Text(f"  {step.time:%Y-%m-%d %H:%M:%S}  {entry.event_type:<6}  ")
    line.append(f"{entry.provisioning_state:<9}", style_of(entry.provisioning_state))
    remarks = list(filter(None, (_took(step), _late(step), _code(step))))
    if remarks:
        line.append("  " + ", ".join(remarks))
    line.rstrip()
    return line


def _took(step: Step) -> str | None:
    if step.took is not None:
        began = "Accepted" if step.operation == "deployment" else "Deleting"
        return f"{began} to {step.entry.provisioning_state} in {exact(step.took)}"
    return None if step.since_previous is None else f"{short(step.since_previous)} later"


def _late(step: Step) -> str | None:
    lag = step.entry.received_at - step.time
    return f"received {short(lag)} late" if lag.total_seconds() > _LATE else None


def _code(step: Step) -> str | None:
    if step.entry.provisioning_state != "Failed":
        return None
    codes = [cause.code for cause in causes(error_of(step.entry.body)) if cause.code]
    return output.printable(" > ".join(codes[:3])) if codes else None


def _json(known: Known) -> dict[str, Any]:
    row = {} if known.row is None else {**shown(known.row), "error": known.error}
    return {
        "applicationId": known.application_id.text,
        **row,
        "hasRow": known.row is not None,
        "notifications": [
            {
                "eventTime": step.entry.order.partition("|")[0],
                "eventType": step.entry.event_type,
                "provisioningState": step.entry.provisioning_state,
                "order": step.entry.order,
                "receivedAt": utc_text(step.entry.received_at),
                "operation": step.operation,
                "tookSeconds": None if step.took is None else step.took.total_seconds(),
                "body": content_of(step.entry.body),
            }
            for step in known.steps
        ],
    }
