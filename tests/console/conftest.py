"""What the tests of the console share: a webhook that answers as it is told, and the command line, run in process."""

import asyncio
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from ssl import SSLContext
from typing import NamedTuple

import pytest
from aiohttp import web

from webhook.settings import STORAGE_CONNECTIONS, Storage

SECRET = "correct-horse-battery-staple"
DROP, HANG, GARBAGE, HALF = -1, -2, -3, -4
"""What a server can do instead of answering with a status."""


@dataclass
class Server:
    """A webhook of anybody's, running in a thread.

    Attributes:
        answer: gives the status for the how manieth request, from 0.
        paths, bodies: of the requests, as they came.
        most: how many were in flight at once, at most.
    """

    answer: Callable[[int], int]
    seconds: float = 0.0
    reply: str = "{}"
    port: int = 0
    scheme: str = "http"
    paths: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    media_types: list[str] = field(default_factory=list)
    traces: list[str] = field(default_factory=list)
    most: int = 0
    _in_flight: int = 0

    @property
    def url(self) -> str:
        """What would be pasted into Partner Center."""
        return f"{self.scheme}://127.0.0.1:{self.port}/api?secret={SECRET}"

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer as told."""
        number = len(self.paths)
        self.paths.append(request.raw_path)
        self.media_types.append(request.headers["Content-Type"])
        self.traces.append(request.headers.get("traceparent", ""))
        self._in_flight += 1
        self.most = max(self.most, self._in_flight)
        try:
            self.bodies.append(await request.read())
            status = self.answer(number)
            await asyncio.sleep(60 if status == HANG else self.seconds)
            return await self._answer(request, status)
        finally:
            self._in_flight -= 1

    async def _answer(self, request: web.BaseRequest, status: int) -> web.StreamResponse:
        assert request.transport is not None
        if status == GARBAGE:
            request.transport.write(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")
        if status == HALF:
            half = web.StreamResponse()
            half.content_length = 100
            await half.prepare(request)
            await half.write(b"{")
        if status < 0:
            request.transport.close() if status == GARBAGE else request.transport.abort()
            return web.Response()
        headers = {"Location": f"http://127.0.0.1:{self.port}/elsewhere"} if status == 301 else {}
        return web.Response(status=status, headers=headers, text=self.reply, content_type="application/json")


Start = Callable[..., AbstractContextManager[Server]]


@pytest.fixture
def start() -> Start:
    """Give a context manager that runs a server; it answers with a status, or with what a function says."""

    @contextmanager
    def run(
        status: int | Callable[[int], int] = 200, tls: SSLContext | None = None, **attributes: object
    ) -> Iterator[Server]:
        answer = status if callable(status) else lambda _: status
        server = Server(answer, scheme="https" if tls else "http", **attributes)  # type: ignore[arg-type] # named above
        ready, loop = threading.Event(), asyncio.new_event_loop()
        stop = asyncio.Event()

        async def serve() -> None:
            runner = web.ServerRunner(web.Server(server.handle, access_log=None), shutdown_timeout=0.1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
            server.port = runner.addresses[0][1]
            ready.set()
            await stop.wait()
            await runner.cleanup()
            await asyncio.sleep(0.01)  # connections that were cut are closed by the loop, which is about to end

        thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
        thread.start()
        try:
            assert ready.wait(10)
            yield server
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join(10)
            loop.close()

    return run


class Done(NamedTuple):
    """What a command line did."""

    status: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def managedapps(capsys: pytest.CaptureFixture[str]) -> Run:
    """Give a function that runs the command line in this process; nothing that it prints may hold the secret."""
    pytest.importorskip("typer", reason="typer is not installed: the console is an optional extra")
    pytest.importorskip("rich", reason="rich is not installed: the console is an optional extra")
    from console.main import main  # noqa: PLC0415 - cannot be imported without them

    def run(*arguments: str | Sequence[str]) -> Done:
        words = [word for each in arguments for word in ([each] if isinstance(each, str) else each)]
        capsys.readouterr()
        status = main(words)
        done = Done(status, *capsys.readouterr())
        assert SECRET not in done.out + done.err
        return done

    return run


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Run in an empty folder, with an environment that names no storage account."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(STORAGE_CONNECTIONS)]:
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.fixture
def settings(storage: Storage, elsewhere: pytest.MonkeyPatch) -> dict[str, str]:
    """Give the settings of the app; the console finds them in the environment, and no local.settings.json."""
    elsewhere.setenv("STATE_STORAGE", storage.connection_string or "")
    return {"WEBHOOK_SECRET": SECRET, "STATE_STORAGE": storage.connection_string or ""}
