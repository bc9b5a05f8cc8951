"""Tables as a webhook leaves them: the function, served by the real runtime, after a run of `managedapps simulate`."""

import asyncio
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
from aiohttp.web import BaseRequest

from console.marketplace.lives import Life, lives
from tests.console.conftest import SECRET
from tests.console.marketplace.test_lives import SPAN
from tests.relay import Fault, Relay
from tools.azurite import Azurite, connection_string, missing
from tools.stack import served
from webhook.settings import Storage
from webhook.tables import Tables

ROOT = Path(__file__).parents[3]

needs_pyarrow = pytest.mark.skipif(
    find_spec("pyarrow") is None, reason="pyarrow is not installed: an optional extra of its own"
)


@dataclass(frozen=True, slots=True)
class Filled:
    """An account that a simulated Marketplace filled.

    Attributes:
        population: what happened to each customer, and how each stands.
    """

    connection_string: str
    population: Sequence[Life]

    @property
    def storage(self) -> Storage:
        """The account."""
        return Storage("STATE_STORAGE", self.connection_string)

    def open(self) -> Tables:
        """Open the tables, in a running loop."""
        return Tables.connect(self.storage)


def fill(connection_string: str, customers: int, seed: int) -> Filled:
    """Serve the function on the account, and let `managedapps simulate` tell it of so many customers."""
    pytest.importorskip("typer", reason="typer is not installed: the console is an optional extra")
    pytest.importorskip("rich", reason="rich is not installed: the console is an optional extra")
    if find_spec("azure_functions_runtime") is None:
        pytest.skip("azure-functions-runtime is not installed: it needs Python 3.13 or newer")
    from console.main import main  # noqa: PLC0415 - cannot be imported without them

    with served({"WEBHOOK_SECRET": SECRET, "STATE_STORAGE": connection_string}) as host:
        arguments = ("simulate", "--url", host.partner_center_url, "--customers", str(customers), "--seed", str(seed))
        assert main([*arguments, "--speed", "1000000", "--quiet"]) == 0
    return Filled(connection_string, lives(seed, customers, SPAN))


@pytest.fixture(scope="session")
def _filled() -> Iterator[Filled]:
    if reason := missing():
        pytest.skip(reason)
    with Azurite() as azurite:
        yield fill(azurite.connection_string, 60, 11)


@pytest.fixture
def filled(_filled: Filled, elsewhere: pytest.MonkeyPatch) -> Filled:
    """Give an account of 60 customers that is only read; the environment names it, in an empty folder."""
    elsewhere.setenv("STATE_STORAGE", _filled.connection_string)
    return _filled


@pytest.fixture
def own(storage: Storage, elsewhere: pytest.MonkeyPatch) -> Filled:
    """Give an account of 8 customers of the test's own, to be written to; the environment names it."""
    elsewhere.setenv("STATE_STORAGE", storage.connection_string or "")
    return fill(storage.connection_string or "", 8, 12)


def struck(port: int, fault: Fault, *arguments: str) -> tuple[int | None, str]:
    """Run the command; to its second request happens what is said, and Ctrl-C is pressed if that is never answered.

    Args:
        port: of the table service.

    Returns:
        The exit status, and what is on standard error.
    """

    async def run() -> tuple[int | None, str]:
        second = asyncio.Event()
        async with Relay(port) as relay:

            def strike(_: BaseRequest) -> Fault | None:
                if relay.requests == 1:
                    return None
                second.set()
                return fault

            relay.choose = strike
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "console", *arguments),
                *("--connection", connection_string(relay.port)),
                cwd=ROOT,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
            await asyncio.wait_for(second.wait(), 20)
            if fault is Fault.HANG:
                process.send_signal(signal.SIGINT)
            _, err = await asyncio.wait_for(process.communicate(), 20)
            return process.returncode, err.decode()

    return asyncio.run(run())


def on_a_terminal(columns: int, *arguments: str) -> str:
    """Run the command on a terminal that is so wide, and give what it shows."""
    leader, follower = pty.openpty()
    environment = {
        **os.environ,
        "TERM": "xterm-256color",
        "NO_COLOR": "",
        "COLUMNS": str(columns),
        "PYTHONPATH": str(ROOT),
    }
    with subprocess.Popen(
        [sys.executable, "-m", "console", *arguments], stdout=follower, stderr=follower, env=environment
    ) as process:
        os.close(follower)
        shown = b""
        while True:
            try:
                piece = os.read(leader, 65_536)
            except OSError:
                break
            if not piece:
                break
            shown += piece
        process.wait(30)
    os.close(leader)
    return shown.decode()
