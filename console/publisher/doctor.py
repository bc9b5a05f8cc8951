"""The command `doctor`: whether settings, storage and function are as they must be, and what to do about it if not.

It writes nothing: whether the tables may be written is asked by a transaction that cannot succeed.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from console import ConsoleError, account, options, output
from console.account import ACCOUNT, CONNECTION
from console.client import Answer, Client, address
from console.endpoint import SUFFIX, Endpoint, EndpointError
from console.publisher.durations import exact
from webhook.settings import SECRET, SECRET_PREVIOUS, Settings, Storage
from webhook.store import StoreError

if TYPE_CHECKING:
    from webhook.tables import Tables

SKEW = timedelta(seconds=60)
"""By how much this machine's clock may differ. Table Storage refuses signed requests that are off by 15 minutes."""


TRACE = "6465706c6f796d656e7420636865636b"
"""The trace ID by which the alerts in infra/ know a call that is only a check, and leave it out."""


class Verdict(StrEnum):
    """What came of a check."""

    GOOD = "ok"
    DOUBT = "warning"
    BAD = "failed"
    SKIPPED = "skipped"


_LOOKS = {
    Verdict.GOOD: ("✓", "green"),
    Verdict.DOUBT: ("!", "yellow"),
    Verdict.BAD: ("✗", "bold red"),
    Verdict.SKIPPED: ("-", "dim"),
}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        found: what was found, a sentence without its full stop.
        remedy: what to do next; empty where there is nothing to do.
    """

    name: str
    verdict: Verdict
    found: str
    remedy: str = ""


def doctor(
    *,
    url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="The webhook, as pasted into Partner Center; it is called without its secret, and so records nothing.",
        ),
    ] = None,
    json_: options.AsJson = False,
    connection: options.Connection = None,
    account_: options.Account = None,
) -> None:
    """Check settings, storage, rights, clock and, with --url, the function; say what to do about what is wrong.

    Example: managedapps doctor --account contosostate --url https://contoso-webhook.azurewebsites.net/api
    """
    checks = asyncio.run(_collect(connection, account_, url, show=not json_))
    failed = sum(check.verdict is Verdict.BAD for check in checks)
    if json_:
        names = ("check", "verdict", "found", "remedy")
        values = [(check.name, check.verdict.value, check.found, check.remedy or None) for check in checks]
        output.print_json([dict(zip(names, each, strict=True)) for each in values])
    elif failed:
        output.say(f"{failed} of {len(checks)} checks failed.")
    raise typer.Exit(int(failed > 0))


async def _collect(connection: str | None, account_: str | None, url: str | None, *, show: bool) -> list[Check]:
    found = []
    async for check in _checks(connection, account_, url):
        found.append(check)
        if show:
            _print(check)
    return found


def _print(check: Check) -> None:
    mark, style = _LOOKS[check.verdict]
    out = output.console()
    line = Text(no_wrap=True)
    line.append(f"{mark} {check.verdict.value:<7}", style).append(
        f"  {check.name:<10}  {output.printable(check.found)}"
    )
    out.print(line)
    if check.remedy:
        out.print(f"{'':<23}{check.remedy}")


async def _checks(connection: str | None, account_: str | None, url: str | None) -> AsyncIterator[Check]:
    for check in _settings(elsewhere=bool(connection or account_)):
        yield check
    try:
        storage = account.find(connection, account_)
    except account.AccountError as error:
        yield Check("storage", Verdict.BAD, error.found, error.remedy)
    except ConsoleError:
        yield Check("storage", Verdict.SKIPPED, "the settings that name it cannot be read")
    else:
        async for check in _storage(storage):
            yield check
    if url is None:
        yield Check("function", Verdict.SKIPPED, "no URL was given", "Give --url to see whether it answers")
    else:
        yield await _function(url)


def _settings(*, elsewhere: bool) -> Iterator[Check]:
    if elsewhere:
        yield Check("settings", Verdict.SKIPPED, f"{CONNECTION} or {ACCOUNT} is given, so they are another app's")
        return
    try:
        found = account.settings()
    except ConsoleError as error:
        yield Check("settings", Verdict.BAD, str(error), "Mend the file; Core Tools cannot use it either")
        return
    settings = Settings.from_mapping(found)
    for problem in settings.problems:
        if problem.startswith(SECRET):
            yield Check(
                "settings",
                Verdict.BAD,
                f"{problem}, so every call is answered with 500",
                'Set it, to what `python3 -c "import secrets; print(secrets.token_urlsafe(32))"` prints for one',
            )
    for warning in settings.warnings:
        yield Check("settings", Verdict.DOUBT, warning, f"Mend {SECRET_PREVIOUS}, or remove it after a rotation")
    if settings.secrets:
        yield Check("settings", Verdict.GOOD, f"{SECRET} is usable, from {account.origin(SECRET)}")


async def _storage(storage: Storage) -> AsyncIterator[Check]:
    from webhook.tables import APPLICATIONS, INBOX, REJECTIONS  # noqa: PLC0415 - see account.opened

    how = "by the signed-in identity" if storage.table_service_uri else "by its key or signature"
    where = (
        f"{storage.connection}, {storage.table_service_uri}, {how}"
        if storage.table_service_uri
        else (f"{storage.connection}, {how}")
    )
    try:
        async with account.opened(storage) as tables:
            began = datetime.now(UTC)
            first = await tables.look(APPLICATIONS)
            yield Check("storage", Verdict.GOOD, f"it can be reached and read ({where})")
            yield clock(first.time, began, datetime.now(UTC))
            for name in (APPLICATIONS, INBOX, REJECTIONS):
                yield await _table(tables, name)
    except account.AccountError as error:
        yield Check("storage", Verdict.BAD, error.found, error.remedy)


async def _table(tables: "Tables", name: str) -> Check:
    look = await tables.look(name)
    if not look.there:
        return Check("table", Verdict.GOOD, f"{name} is not there yet: the first write makes it")
    try:
        await tables.try_writing(name)
    except StoreError as error:
        return Check("table", Verdict.BAD, f"{name} can be read, but not written: {error}", account.remedy(error))
    return Check("table", Verdict.GOOD, f"{name} can be read and written")


def clock(service: datetime | None, began: datetime, ended: datetime) -> Check:
    """Compare the clocks: the service read its own between two looks at ours, and told whole seconds."""
    if service is None:
        return Check("clock", Verdict.SKIPPED, "the service did not say what time it is")
    ahead = max(began - (service + timedelta(seconds=1)), service - ended, timedelta())
    if ahead <= SKEW:
        return Check("clock", Verdict.GOOD, "it agrees with that of the service")
    return Check(
        "clock",
        Verdict.BAD,
        f"it differs from that of the service by {exact(ahead)}",
        "Set this machine's clock by a time server: beyond 15 minutes, signed requests are refused",
    )


async def _function(url: str) -> Check:
    """Call the function without a secret: 401 proves that it is there, configured, and lets nobody in."""
    try:
        endpoint = Endpoint.parse(url.partition("?")[0])
        target = address(endpoint)
    except EndpointError as error:
        return Check("function", Verdict.BAD, str(error), "Give it as in Partner Center: `managedapps url` prints it")
    async with Client(at_once=1, timeout=30, trace=TRACE) as client:
        answer = await client.post(target, b"{}")
    called = f"POST {endpoint.shown}"
    if not isinstance(answer, Answer):
        return Check(
            "function", Verdict.BAD, f"{called}: {answer.reason}", "Is the app's name right, and is the app running?"
        )
    found = f"{called} was answered with {answer.status}"
    if answer.status == HTTPStatus.UNAUTHORIZED and _ours(answer):
        return Check("function", Verdict.GOOD, f"{found}, as it must be without a secret")
    return Check("function", Verdict.BAD, found, _remedy(answer, endpoint))


def _ours(answer: Answer) -> bool:
    """Tell our refusal from that of a login page, a gateway or another app."""
    try:
        content = json.loads(answer.body)
    except (ValueError, RecursionError):
        return False
    return (
        answer.media_type.startswith("application/problem+json")
        and isinstance(content, dict)
        and "secret" in str(content.get("detail"))
    )


def _remedy(answer: Answer, endpoint: Endpoint) -> str:
    match answer.status, answer.status // 100:
        case 401, _:
            return "It is not the webhook that refuses: is App Service authentication on, or a function key asked for?"
        case 403, _:
            return "Access restrictions keep this machine out, or the app is stopped: the Marketplace fares no better"
        case 404, _ if endpoint.url.endswith(SUFFIX + SUFFIX):
            return f"The Marketplace appends {SUFFIX}, as this did: leave it out of the URL"
        case 404, _:
            return "Is the function deployed, and does the URL end in /api?"
        case _, 2:
            return "It lets everyone in, so it is not this webhook: look at what stands at that URL"
        case _, 3:
            return "The Marketplace follows no redirect: give the URL that it leads to, with https://"
        case _, 5:
            return "The app's settings are missing or unusable, or it does not start: its log says which"
        case _:
            return "It is not this webhook that answers: look at what stands between"
