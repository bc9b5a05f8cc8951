"""Storage at a distance: a TCP relay that holds every byte back for a while, as a process of its own.

    python -m tests.delay UPSTREAM_PORT SECONDS

It prints the port that it listens on, on 127.0.0.1. SECONDS are added to each round trip. It reads nothing of what it
passes on.
"""

import asyncio
import sys
from typing import cast


class _Side(asyncio.Protocol):
    """One of the two connections of a pair: what it receives, the other sends later."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        loop = asyncio.get_running_loop()
        self.transport: asyncio.Future[asyncio.Transport] = loop.create_future()
        self.other: asyncio.Future[asyncio.Transport] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport.set_result(cast("asyncio.Transport", transport))

    def data_received(self, data: bytes) -> None:
        asyncio.get_running_loop().call_later(self._seconds, self._pass_on, data)

    def _pass_on(self, data: bytes) -> None:
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
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - how the test learns the port
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2])))
