"""Storage at a distance: a TCP relay that holds every byte back for a while, and counts requests.

    with distant(azurite.port, 0.01) as storage:
        settings = {"STATE_STORAGE": storage.connection_string}

It is a process of its own, so that its work is not part of what is measured. Of what it passes on it reads nothing but
the first bytes of each piece, by which a request shows.
"""

import asyncio
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, Popen
from typing import IO, cast

ROOT = Path(__file__).resolve().parent.parent

# HTTP clients here never pipeline: a request starts a piece of its own.
_REQUEST = re.compile(rb"[A-Z]+ \S+ HTTP/1\.1\r\n")


@dataclass(frozen=True, slots=True)
class Distant:
    """A storage behind a running relay.

    port: where the relay listens on 127.0.0.1.
    """

    port: int
    _process: "Popen[str]"

    @property
    def connection_string(self) -> str:
        """For the setting STATE_STORAGE."""
        from tools.azurite import connection_string  # noqa: PLC0415 - not for the relay's own process

        return connection_string(self.port)

    def requests(self) -> int:
        """Count the requests that have come so far."""
        question, answer = cast("IO[str]", self._process.stdin), cast("IO[str]", self._process.stdout)
        question.write("\n")
        question.flush()
        return int(answer.readline())


@contextmanager
def distant(upstream: int, seconds: float) -> Iterator[Distant]:
    """Run a relay to a port of 127.0.0.1 that adds so many seconds to each round trip."""
    command = [sys.executable, "-m", "bench.delay", str(upstream), str(seconds)]
    with Popen(command, cwd=ROOT, stdin=PIPE, stdout=PIPE, text=True, start_new_session=os.name == "posix") as process:
        try:
            yield Distant(int(cast("IO[str]", process.stdout).readline()), process)
        finally:
            process.terminate()


class _Side(asyncio.Protocol):
    """One of the two connections of a pair: what it receives, the other sends later."""

    requests = 0

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        loop = asyncio.get_running_loop()
        self.transport: asyncio.Future[asyncio.Transport] = loop.create_future()
        self.other: asyncio.Future[asyncio.Transport] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport.set_result(cast("asyncio.Transport", transport))

    def data_received(self, data: bytes) -> None:
        if _REQUEST.match(data):
            _Side.requests += 1
        if self._seconds:
            asyncio.get_running_loop().call_later(self._seconds, self._pass_on, data)
        else:
            self._pass_on(data)

    def _pass_on(self, data: bytes) -> None:
        if self.other.done():
            self.other.result().write(data)
        else:
            self.other.add_done_callback(lambda other: other.result().write(data))

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.other.add_done_callback(lambda other: other.result().close())


async def _serve(upstream: int, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    pairing: set[asyncio.Task[None]] = set()

    async def pair(near: _Side) -> None:
        transport, far = await loop.create_connection(lambda: _Side(0), "127.0.0.1", upstream)
        near.other.set_result(transport)
        far.other.set_result(await near.transport)

    def accept() -> _Side:
        near = _Side(seconds)  # the way there takes all the time, the way back none
        task = loop.create_task(pair(near))
        pairing.add(task)
        task.add_done_callback(pairing.discard)
        return near

    server = await loop.create_server(accept, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):  # whoever started it asks for the count, or is gone
        print(_Side.requests, flush=True)


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2])))
