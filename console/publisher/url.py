"""The command `url`: the value to paste into Partner Center, exactly.

It prints a secret, which is what it is for; everything else here masks it. It calls nobody: no call could tell whether
the secret is the app's without being kept there as a refused notification.
"""

import re
import sys
from typing import Annotated
from urllib.parse import quote

import typer

from console import ConsoleError, account, output
from console.endpoint import MASK
from webhook import secret as secrets
from webhook.settings import SECRET

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,58}[a-z0-9])?", re.IGNORECASE)
_HOST = re.compile(rf"{_NAME.pattern}(?:\.{_NAME.pattern})+(?::\d+)?", re.IGNORECASE)
_FROM_THE_VAULT = "az keyvault secret show --vault-name VAULT --name NAME --query value -o tsv"


class SecretError(ConsoleError):
    """There is no secret to put into the URL."""


def url(
    *,
    app: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="The Function App: its name, or the host under which it is reached, such as webhook.example.com.",
        ),
    ],
    secret_stdin: Annotated[
        bool,
        typer.Option(
            "--secret-stdin",
            help="Read the secret from standard input, not from WEBHOOK_SECRET in the environment or in "
            "local.settings.json, which is seldom that of an app in Azure.",
        ),
    ] = False,
    masked: Annotated[bool, typer.Option("--masked", help="Print *** for the secret.")] = False,
) -> None:
    """Print the Notification Endpoint URL for the plan's technical configuration in Partner Center.

    The Marketplace appends /resource to its path, so the URL is pasted without it.

    Example: az keyvault secret show --vault-name contoso-vault --name webhook-secret --query value --output tsv |
    managedapps url --app contoso-webhook --secret-stdin
    """
    host = _host(app)
    if masked:
        typer.echo(f"https://{host}/api?secret={MASK}")
        return
    if secret_stdin:
        source, secret = "what standard input gave", sys.stdin.readline().rstrip("\r\n")
    else:
        source, secret = SECRET, account.settings().get(SECRET)
    if flaw := secrets.flaw(secret):
        raise SecretError(
            f"{source} {flaw}. For an app in Azure: {_FROM_THE_VAULT} | managedapps url --secret-stdin ..."
        )
    if not secret_stdin:
        where = account.origin(SECRET)
        output.say(f"The secret is {SECRET} in {where}. If the app has another one, every notification is lost.")
    if "." not in app:
        output.say(f"If the app's page in the portal shows another host than {host}, give that to --app.")
    typer.echo(f"https://{host}/api?secret={quote(secret or '', safe='')}")


def _host(app: str) -> str:
    text = app.strip().removeprefix("https://").rstrip("/").removesuffix("/api")
    if _NAME.fullmatch(text):
        return f"{text.lower()}.azurewebsites.net"
    if _HOST.fullmatch(text):
        return text.lower()
    raise typer.BadParameter(f"{app!r} is neither the name of a Function App nor a host", param_hint="--app")
