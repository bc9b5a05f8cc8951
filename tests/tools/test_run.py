"""`python -m tools run`, as a user has it: what it says, what it serves, and that nothing is left behind.

Core Tools cannot be installed everywhere, so a small program stands in for `func`; the rest is real.
"""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

import pytest

from tests.tools.conftest import descendants, gone, listens, needs_runtime, needs_signals, silent
from tools.azurite import missing
from tools.child import Child

pytestmark = [
    needs_runtime,
    needs_signals,
    pytest.mark.skipif(missing() is not None, reason=missing() or ""),
]

# What `python -m tools run` does once .venv stands, with the Python that runs the tests.
RUN = """
import sys
from tools import commands, run
port, table_port = map(int, sys.argv[1:])
sys.exit(commands.concluded(lambda stopping: run.run(stopping, port=port, table_port=table_port)))
"""
SERVING = re.compile("^Ctrl-C ends all of it")


class Run(Child):
    """A `run` of the tools in a copy of the checkout."""

    def __init__(self, checkout: Path, port: int, table_port: int, **environment: str) -> None:
        """Start it. Of our own environment it gets none but what is given, and a PATH."""
        self.output: list[str] = []
        self.port, self.table_port = port, table_port
        super().__init__(
            "run",
            [sys.executable, "-u", "-c", RUN, str(port), str(table_port)],
            folder=checkout,
            environment={"PATH": "/usr/bin:/bin", **environment},
            ready=SERVING,
            hear=self.output.append,
        )

    def post(self, url: str = "") -> dict[str, object]:
        """Call the function."""
        with urlopen(Request(url or f"http://127.0.0.1:{self.port}/api/resource", b"{}"), timeout=20) as answer:
            heard = json.load(answer)
        assert isinstance(heard, dict)
        return heard

    def signalled(self, number: signal.Signals) -> int:
        """Send it a signal, as a terminal or `kill` does, and give its exit status."""
        self._process.send_signal(number)
        return self.until_ended()

    def left_nothing(self, family: list[int]) -> bool:
        """Tell whether all that it had started has ended, and both ports are free."""
        return gone(family) and silent(self.port) and silent(self.table_port)


Start = Callable[..., Run]


@pytest.fixture
def start(checkout: Path, free_port: Callable[[], int]) -> Start:
    """Give a function that starts a `run` in a fresh copy of the checkout, on free ports."""
    return lambda **environment: Run(checkout, free_port(), free_port(), **environment)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_serves_until_it_is_told_to_stop(number: signal.Signals, start: Start, checkout: Path) -> None:
    """One command makes the settings, starts all, says what to do next, and takes all of it down again."""
    with start() as run:
        run.until_ready(30)
        said = "\n".join(run.output)
        settings = json.loads((checkout / "local.settings.json").read_text("utf-8"))["Values"]
        family = descendants(run.pid)
        (curl,) = [line for line in run.output if line.startswith("curl ")]
        (value,) = re.findall(r"^Partner Center: (\S+)$", said, re.MULTILINE)
        heard = run.post(shlex.split(curl)[2])

        assert run.output[0] == ("Served by Microsoft's azure-functions-runtime under tools/ (Core Tools not found).")
        assert heard["params"] == {"secret": settings["WEBHOOK_SECRET"]}
        assert urlsplit(value).path == "/api"
        assert parse_qs(urlsplit(value).query) == {"secret": [settings["WEBHOOK_SECRET"]]}
        assert shlex.split(curl)[3:] == ["--data", "@samples/1-put-accepted.json"]
        assert f":{run.table_port}/" in str(heard["storage"])
        assert len(family) == 2
        assert run.signalled(number) == 0

    assert run.output[-2:] == ["Stopping ...", "Stopped."]
    assert run.left_nothing(family)


@pytest.mark.parametrize("seconds", [0.1, 0.3, 0.5, 0.8])
def test_a_signal_during_the_start_leaves_nothing_behind(seconds: float, start: Start) -> None:
    """Ctrl-C is pressed at any moment."""
    with start() as run:
        time.sleep(seconds)
        family = descendants(run.pid)
        status = run.signalled(signal.SIGTERM)

    # Before Python has run its first line, the signal itself ends it; while it serves, to stop is the regular end.
    assert status in {-signal.SIGTERM, 128 + signal.SIGTERM, 0}
    assert run.left_nothing(family)


@pytest.mark.parametrize(("which", "name"), [("tools.host", "the function's host"), ("table.js", "Azurite")])
def test_a_server_that_dies_ends_the_rest(which: str, name: str, start: Start) -> None:
    """Half a system is worse than none: the line says who died."""
    with start() as run:
        run.until_ready(30)
        family = descendants(run.pid)
        commands = {pid: Path(f"/proc/{pid}/cmdline") for pid in family}
        if not all(path.exists() for path in commands.values()):
            pytest.skip("no /proc here to tell the processes apart")
        (victim,) = [pid for pid, path in commands.items() if which.encode() in path.read_bytes()]
        os.kill(victim, signal.SIGKILL)

        assert run.until_ended() == 1

    assert f"Stopped all, because {name} was ended by SIGKILL" in run.last_words()
    assert run.left_nothing(family)


def test_nothing_outlives_a_run_that_is_killed(start: Start) -> None:
    """Even `kill -9` of the one command leaves no server on a port."""
    with start() as run:
        run.until_ready(30)
        family = descendants(run.pid)
        assert run.signalled(signal.SIGKILL) == -signal.SIGKILL
        assert run.left_nothing(family)


@pytest.mark.parametrize(("taken", "option"), [("port", "PORT"), ("table_port", "TABLE_PORT")])
def test_a_port_in_use_is_one_line_before_anything_starts(
    taken: str, option: str, checkout: Path, free_port: Callable[[], int]
) -> None:
    """It names the port and what to do, and no traceback follows."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        ports = {"port": free_port(), "table_port": free_port(), taken: number}
        with Run(checkout, **ports) as run:
            assert run.until_ended() == 1

    assert f"port {number}, for " in run.output[-1]
    assert f"is in use: stop what uses it, or choose another: `make run {option}={number + 1}`" in run.output[-1]
    assert not (checkout / ".azurite").exists()


def test_a_real_storage_account_needs_no_azurite(start: Start) -> None:
    """Whoever names an account of their own gets that, and is told so. The environment wins over the file."""
    account = "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=aw==;EndpointSuffix=core.windows.net"
    with start(STATE_STORAGE=account) as run:
        run.until_ready(30)

        assert run.post()["storage"] == account
        assert not listens(run.table_port)
        assert any("Azurite is not started" in line for line in run.output)


def test_data_outlives_a_run(start: Start, checkout: Path) -> None:
    """What a developer stored yesterday is there today: Azurite's data stays in .azurite/."""
    with start() as run:
        run.until_ready(30)

    assert (checkout / ".azurite" / "__azurite_db_table__.json").exists()


def test_settings_that_cannot_be_read_are_one_line(start: Start, checkout: Path) -> None:
    """A stray comma is shown where it stands."""
    (checkout / "local.settings.json").write_text('{"Values": {,}}', "utf-8")
    with start() as run:
        assert run.until_ended() == 1

    assert run.output[-1].startswith("local.settings.json is not valid JSON: line 1, column 13")


def test_a_missing_secret_is_said_before_the_first_call(start: Start, checkout: Path) -> None:
    """Without a secret the function refuses every call; better to learn that here."""
    (checkout / "local.settings.json").write_text('{"Values": {"STATE_STORAGE": "UseDevelopmentStorage=true"}}')
    with start() as run:
        while not any("WEBHOOK_SECRET is not set" in line for line in run.output):
            assert run.status is None, run.last_words()
            time.sleep(0.02)

        assert run.signalled(signal.SIGTERM) == 0


FUNC = """#!{python}
import http.server, json, os, signal, sys, threading
port = int(sys.argv[sys.argv.index("--port") + 1])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        heard = {{"arguments": sys.argv[1:], "folder": os.getcwd(), "environment": dict(os.environ)}}
        body = json.dumps(heard).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(("127.0.0.1", port), Handler)
print("Functions:\\n\\n\\tresource: [POST] http://localhost:%d/api/resource" % port, flush=True)
try:
    server.serve_forever()
except KeyboardInterrupt:
    print("stand-in for func: interrupted", flush=True)
"""


def test_core_tools_serve_where_they_are_installed(start: Start, checkout: Path, tmp_path: Path) -> None:
    """`func start` is what the platform itself runs: where it is on the PATH it serves, and the first line says so."""
    func = tmp_path / "bin" / "func"
    func.parent.mkdir()
    func.write_text(FUNC.format(python=sys.executable), "utf-8")
    func.chmod(0o755)
    with start(PATH=f"{func.parent}:/usr/bin:/bin") as run:
        run.until_ready(30)
        family = descendants(run.pid)
        heard = run.post()
        environment = heard["environment"]

        assert run.output[0] == "Served by Core Tools (func start)."
        assert heard["arguments"] == ["start", "--port", str(run.port)]
        assert heard["folder"] == str(checkout)
        assert isinstance(environment, dict)
        assert environment["VIRTUAL_ENV"] == sys.prefix
        assert environment["PATH"].startswith(str(Path(sys.executable).parent))
        assert f":{run.table_port}/" in environment["STATE_STORAGE"]
        assert "WEBHOOK_SECRET" not in environment  # it reads local.settings.json itself
        assert run.signalled(signal.SIGINT) == 0

    assert "stand-in for func: interrupted" in run.output
    assert run.left_nothing(family)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_curl_line_works_as_it_stands(start: Start, checkout: Path) -> None:
    """A developer copies it."""
    with start() as run:
        run.until_ready(30)
        (curl,) = [line for line in run.output if line.startswith("curl ")]
        answer = subprocess.run(
            shlex.split(curl), cwd=checkout, capture_output=True, encoding="utf-8", check=True
        ).stdout

    assert answer.startswith("HTTP/1.1 200 OK")
