"""The function, served on 127.0.0.1, alone or with Azurite behind it: what `run` and `demo` start, and the tests can.

The function is served by Core Tools (`func start`), where the caller says so, else by `tools/host.py`. Never installs
anything, never reads local.settings.json, and leaves nothing running.

    with stack({"WEBHOOK_SECRET": secret}) as (host, azurite):
        urlopen(Request(host.with_secret(host.url), data=body))
"""

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from tools.azurite import ROOT, Azurite
from tools.child import Child
from tools.stopping import NEVER, Stopping

_LISTENING = re.compile(r"^listening on http://127\.0\.0\.1:(?P<port>\d+)$")


@dataclass(frozen=True, slots=True)
class Host:
    """What serves the function.

    child: its process.
    port: where it listens on 127.0.0.1.
    settings: the app settings that the function was given.
    """

    child: Child
    port: int
    settings: Mapping[str, str] = field(repr=False)

    @property
    def url(self) -> str:
        """Where the Marketplace's calls arrive, without the secret."""
        return f"http://127.0.0.1:{self.port}/api/resource"

    @property
    def partner_center_url(self) -> str:
        """What Partner Center would be given: no `/resource`, which the Marketplace appends."""
        return self.with_secret(f"http://127.0.0.1:{self.port}/api")

    def with_secret(self, url: str) -> str:
        """Return a URL with the secret of the settings."""
        return f"{url}?secret={quote(self.settings['WEBHOOK_SECRET'], safe='')}"


@contextmanager
def stack(
    settings: Mapping[str, str],
    *,
    hear: Callable[[str], None] | None = None,
    stopping: Stopping = NEVER,
) -> Iterator[tuple[Host, Azurite]]:
    """Serve the function on a free port, with an Azurite of its own that keeps its tables in memory.

    The arguments, and what is raised, are those of `served`.
    """
    with (
        Azurite(stopping=stopping) as azurite,
        served({"STATE_STORAGE": azurite.connection_string, **settings}, hear=hear, stopping=stopping) as host,
    ):
        yield host, azurite


@contextmanager
def served(  # noqa: PLR0913 - all but the first are by name
    settings: Mapping[str, str],
    *,
    port: int = 0,
    app: Path = ROOT,
    core_tools: Path | None = None,
    hear: Callable[[str], None] | None = None,
    stopping: Stopping = NEVER,
) -> Iterator[Host]:
    """Serve the function while the `with` block runs.

    settings: the app settings. They are added to our own environment variables, and win over those.
    port: 0 lets the system choose.
    app: the folder of the function app.
    core_tools: `func`, to serve with that; needs a port. It adds the settings of local.settings.json itself.
    hear: called with each line that the host prints, in another thread.

    Raises Problem if it does not start, Stopped if somebody asks to stop meanwhile.
    """
    environment = {**os.environ, **settings}
    starting = (
        _start_core_tools(core_tools, port, app, environment, hear)
        if core_tools
        else _start_runtime(port, app, environment, hear)
    )
    with starting as child:
        found = child.until_ready(120 if core_tools else 30, stopping)
        yield Host(child=child, port=int(found["port"]), settings=settings)


def _start_runtime(port: int, app: Path, environment: Mapping[str, str], hear: Callable[[str], None] | None) -> Child:
    return Child(
        "the function's host",
        [
            *(sys.executable, "-m", "tools.host", "--until-stdin-ends"),
            *("--port", str(port), "--app", app.resolve()),
        ],
        folder=ROOT,
        environment=environment,
        ready=_LISTENING,
        hear=hear,
        gentle_end=True,
    )


def _start_core_tools(
    func: Path, port: int, app: Path, environment: Mapping[str, str], hear: Callable[[str], None] | None
) -> Child:
    """Start `func start`, with the Python that runs this for its worker."""
    path = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")])
    return Child(
        "Core Tools (func start)",
        [func, "start", "--port", str(port)],
        folder=app,
        environment={**environment, "PATH": path, "VIRTUAL_ENV": sys.prefix},
        ready=re.compile(rf"://[^/\s]+:(?P<port>{port})/"),  # the functions' addresses, once they are loaded
        hear=hear,
        end_by=signal.SIGINT,
    )
