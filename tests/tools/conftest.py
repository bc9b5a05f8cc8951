"""What the tests of the tools share: copies of the checkout, free ports, and who is left of a family of processes."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tools.azurite import ROOT

FUNCTION_APP = '''
"""Says what reached it: what the host makes of a request, and which settings it was given."""

import asyncio
import json
import logging
import os

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="resource", methods=["POST"])
async def resource(req: func.HttpRequest) -> func.HttpResponse:
    if req.params.get("fail"):
        raise RuntimeError("boom")
    await asyncio.sleep(float(req.params.get("sleep", "0")))
    logging.info(json.dumps({"outcome": "heard", "note": req.params.get("note", "")}))
    return func.HttpResponse(
        json.dumps(
            {
                "url": req.url,
                "params": dict(req.params),
                "headers": dict(req.headers),
                "size": len(req.get_body()),
                "text": req.get_body()[:20].decode("latin-1"),
                "storage": os.environ.get("STATE_STORAGE"),
            }
        ),
        mimetype="application/problem+json",
        status_code=int(req.params.get("status", "200")),
        headers={"X-Kind": req.params["kind"]} if "kind" in req.params else {},
    )
'''


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a function app that says what reached it."""
    folder = tmp_path_factory.mktemp("app")
    (folder / "function_app.py").write_text(FUNCTION_APP, "utf-8")
    shutil.copy(ROOT / "host.json", folder)
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Give a copy of the checkout, with the app that says what reached it, and without local.settings.json."""
    folder = tmp_path / "check out"  # a blank: users have them in paths
    for name in ("console", "tools"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Makefile", "host.json", "local.settings.json.example"):
        shutil.copy(ROOT / name, folder)
    (folder / "function_app.py").write_text(FUNCTION_APP, "utf-8")
    (folder / "samples").mkdir()
    (folder / "samples" / "1-put-accepted.json").write_text("{}", "utf-8")
    return folder


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Give a function that finds a port that nothing listens on."""

    def find() -> int:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            return int(listener.getsockname()[1])

    return find


def silent(port: int, seconds: float = 5) -> bool:
    """Tell whether nothing takes connections on a port, at the latest after some time.

    The threads of a process that was killed, and with them its sockets, can outlast it by a moment.
    """
    deadline = time.monotonic() + seconds
    while listens(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def listens(port: int) -> bool:
    """Tell whether something takes connections on a port of 127.0.0.1."""
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


def lives(pid: int) -> bool:
    """Tell whether a process is there and has not ended; one that waits to be collected has."""
    return any(process == pid and not state.startswith("Z") for process, _, state in _processes())


def descendants(pid: int) -> list[int]:
    """Give the process IDs of all that a process started, and so on."""
    processes = _processes()
    family = [pid]
    for parent in family:
        family.extend(process for process, its_parent, _ in processes if its_parent == parent)
    return family[1:]


def _processes() -> list[tuple[int, int, str]]:
    """Give the process ID, the parent's and the state of every process."""
    if (program := shutil.which("ps")) is None:
        pytest.skip("ps is not installed, which tells what is left running")
    command = [program, "-eo", "pid=,ppid=,stat="]
    listing = subprocess.run(command, capture_output=True, encoding="ascii", check=True).stdout
    return [(int(pid), int(parent), state) for pid, parent, state in map(str.split, listing.splitlines())]


def gone(pids: list[int], seconds: float = 5) -> bool:
    """Tell whether all the processes end within some time."""
    deadline = time.monotonic() + seconds
    while any(map(lives, pids)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture(scope="session")
def old_python() -> Iterator[str]:
    """Give a Python that is too old for the tools."""
    names = ("python3.8", "python3.9", "python3.10", "python3.11", "python3.12", "python3", "python")
    for path in [sys.executable, *filter(None, map(shutil.which, names))]:
        with suppress(OSError, subprocess.SubprocessError):
            version = "import sys; sys.exit(0 if (3, 8) <= sys.version_info < (3, 13) else 1)"
            if subprocess.run([path, "-c", version], capture_output=True, timeout=20, check=False).returncode == 0:
                yield path
                return
    pytest.skip("no Python older than 3.13 runs here")


needs_signals = pytest.mark.skipif(os.name != "posix", reason="Windows has no such signals")
needs_runtime = pytest.mark.skipif(sys.version_info < (3, 13), reason="azure-functions-runtime needs Python 3.13")
