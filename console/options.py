"""The options that several commands have, and the values that people write in them: durations, moments, states."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, get_args

import typer

from console.account import ACCOUNT, CONNECTION
from webhook.notification import EARLIEST, ProvisioningState

LONGEST = timedelta(days=36_525)
"""Longer durations mean no other events, and are taken for this one: what is so long ago is still a date."""

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def provisioning_state(text: str) -> str:
    """Read a provisioning state, in any casing."""
    for state in get_args(ProvisioningState):
        if state.lower() == text.strip().lower():
            return str(state)
    raise typer.BadParameter(f"{text!r} is none of {', '.join(get_args(ProvisioningState))}")


def duration(text: str) -> timedelta:
    """Read a duration such as 90s, 30m, 2h, 7d, 1w or 1h30m."""
    parts = _DURATION.findall(text.strip().lower())
    if not parts or _DURATION.sub("", text.strip().lower()).strip():
        raise typer.BadParameter(f"{text!r} is not a duration such as 30m, 2h, 7d or 1h30m")
    try:
        return min(sum((timedelta(**{_UNITS[unit]: float(number)}) for number, unit in parts), timedelta()), LONGEST)
    except OverflowError:
        return LONGEST


def moment(text: str | None, now: datetime, option: str = "--since") -> datetime | None:
    """Read a moment: a date or a time of ISO 8601, in UTC unless it says otherwise, or how long ago it was.

    What lies before all events is taken for the time of the earliest possible: Table Storage knows none before 1601.
    """
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        try:
            return max(now - duration(text), EARLIEST)
        except typer.BadParameter:
            raise typer.BadParameter(
                f"{text!r} is neither a date such as 2026-03-01 or 2026-03-01T08:00 nor a duration such as 7d",
                param_hint=option,
            ) from None
    try:
        return max(found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC), EARLIEST)
    except OverflowError:
        return EARLIEST


Connection = Annotated[
    str | None,
    typer.Option(
        CONNECTION,
        metavar="TEXT",
        help="Where the tables are: a connection string, or the name of a setting that holds one. Without it, and "
        f"without {ACCOUNT}, the settings of the app: the environment, or local.settings.json in the current folder.",
        rich_help_panel="Tables",
    ),
]
Account = Annotated[
    str | None,
    typer.Option(
        ACCOUNT,
        metavar="NAME",
        help="Where the tables are: a storage account, as whoever is signed in (`az login` and the like).",
        rich_help_panel="Tables",
    ),
]
States = Annotated[
    list[str] | None,
    typer.Option(
        "--state",
        metavar="STATE",
        parser=provisioning_state,
        help="Only in this state: Accepted, Succeeded, Failed, Deleting or Deleted. May be given more than once.",
    ),
]
Plan = Annotated[str | None, typer.Option("--plan", metavar="NAME", help="Only of this plan, by its plan ID.")]
Subscription = Annotated[str | None, typer.Option("--subscription", metavar="ID", help="Only in this subscription.")]
Since = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="WHEN",
        help="Only with an event since then: a date, a time (UTC unless it has a zone), or how long ago, such as 7d.",
    ),
]
Stuck = Annotated[
    timedelta | None,
    typer.Option(
        "--stuck",
        metavar="DURATION",
        parser=duration,
        help="Only those that have been Accepted or Deleting for longer than this, such as 2h.",
    ),
]
Period = Annotated[
    str,
    typer.Option(
        "--since",
        metavar="WHEN",
        help="The period that deployments, success rate and times to deploy are of: from a date or a time (UTC unless "
        "it has a zone), or from so long ago, such as 7d. How applications stand is always of now.",
    ),
]
StuckAfter = Annotated[
    timedelta,
    typer.Option(
        "--stuck",
        metavar="DURATION",
        parser=duration,
        help="An application that has been Accepted or Deleting for longer than this is stuck.",
    ),
]
Failed = Annotated[bool, typer.Option("--failed", help="Only those whose deployment or deletion failed.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
