"""`python -m tools run`: the function at http://127.0.0.1:7071/api/resource, until Ctrl-C.

Prints what a developer needs next: the address, the value for Partner Center, a call to try. This is the developer's
own console, and the one place where the secret, a local one, is shown. Never leaves anything running or listening.
"""

import os
import shutil
import socket
import sys
from contextlib import ExitStack
from pathlib import Path

from tools import local_settings
from tools.azurite import DEFAULT_PORT, ROOT, Azurite, connection_string
from tools.child import Child
from tools.problem import Problem
from tools.stack import Host, served
from tools.stopping import Stopped, Stopping


def run(stopping: Stopping, *, port: int, table_port: int) -> int:
    """Serve until somebody asks to stop, and give the exit status. Raises Problem, or Stopped before it serves."""
    func = shutil.which("func")
    core_tools = Path(func) if func else None
    _say(
        "Served by Core Tools (func start)."
        if core_tools
        else "Served by Microsoft's azure-functions-runtime under tools/ (Core Tools not found)."
    )
    if local_settings.create(ROOT):
        _say(f"Made {local_settings.NAME} from the example, with a random secret.")
    of_file = local_settings.values(ROOT / local_settings.NAME)
    settings = {name: os.environ.get(name, value) for name, value in of_file.items()}

    with ExitStack() as started:
        children: list[Child] = []
        changed: dict[str, str] = {}
        _must_be_free(port, "the function", "PORT")
        if local_settings.uses_development_storage({**settings, **os.environ}):
            _must_be_free(table_port, "Azurite", "TABLE_PORT")
            azurite = started.enter_context(Azurite(port=table_port, folder=ROOT / ".azurite", stopping=stopping))
            children.extend([azurite.child] if azurite.child else [])
            _say(f"Tables are in Azurite on 127.0.0.1:{table_port}, its data in .azurite/.")
            if table_port != DEFAULT_PORT:  # where UseDevelopmentStorage=true does not lead
                changed["STATE_STORAGE"] = connection_string(table_port)
        else:
            _say("Tables are in the storage account that the settings name; Azurite is not started.")
        host = started.enter_context(
            served(
                # Core Tools reads the file itself, and complains of each setting that the environment has already.
                changed if core_tools else {**settings, **changed},
                port=port,
                core_tools=core_tools,
                hear=_show,
                stopping=stopping,
            )
        )
        children.append(host.child)
        _explain(Host(host.child, host.port, {**settings, **changed}))
        try:
            _watch(children, stopping)
        except Stopped:
            _say("Stopping ...")
    _say("Stopped.")
    return 0


def _watch(children: list[Child], stopping: Stopping) -> None:
    """Wait until somebody asks to stop, which raises Stopped, or a child ends, which raises Problem."""
    while True:
        for child in children:
            if child.status is not None:
                raise Problem(f"Stopped all, because {child.obituary()}")
        stopping.wait(0.1)


def _explain(host: Host) -> None:
    """Print the address, the value for Partner Center, and a call to try."""
    if not host.settings.get(local_settings.SECRET):
        _say(f"{local_settings.SECRET} is not set in {local_settings.NAME}: every call is answered with 500.")
        return
    sample = next(iter(sorted((ROOT / "samples").glob("*.json"))), Path("samples/1-put-accepted.json"))
    _say(
        "",
        _bold("The function:   ") + host.url,
        _bold("Partner Center: ") + host.partner_center_url,
        "                In Azure: https://<app>.azurewebsites.net/api?secret=<secret>, without /resource, which",
        "                the Marketplace appends.",
        _bold("Try it:"),
        f'curl -i "{host.with_secret(host.url)}" --data @samples/{sample.name}',
        "",
        "Ctrl-C ends all of it. What the function logs follows.",
        "",
    )


def _show(line: str) -> None:
    """Pass on what the host prints, but for the address, which `_explain` gives."""
    if not line.startswith("listening on "):
        print(line, file=sys.stderr, flush=True)


def _say(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)


def _bold(text: str) -> str:
    """Make a label stand out on a terminal, unless NO_COLOR (https://no-color.org) or TERM say not to."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stdout.isatty()
    return text if plain else f"\x1b[1m{text}\x1b[0m"


def _must_be_free(port: int, what: str, variable: str) -> None:
    """Raise Problem if something listens on a port, or nothing may."""
    option = f"--{variable.lower().replace('_', '-')}"
    other = f"`make run {variable}={port + 1}` (or `python -m tools run {option} {port + 1}`)"
    with socket.socket() as caller:  # macOS would let us bind beside a listener on all addresses
        caller.settimeout(1)
        taken = caller.connect_ex(("127.0.0.1", port)) == 0
    with socket.socket() as listener:
        if os.name == "posix":  # else a port that was just closed counts as taken for a minute
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except PermissionError as error:
            raise Problem(f"port {port}, for {what}, is not for us to open; choose another: {other}") from error
        except OSError:
            taken = True
    if taken:
        raise Problem(f"port {port}, for {what}, is in use: stop what uses it, or choose another: {other}")
