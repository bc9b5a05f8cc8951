"""A relay between the app and Azurite that does to a storage request what a network and a busy service do.

It speaks HTTP on both sides, so that a fault strikes one request and not a connection full of them. Which request is
struck, and how, the test decides.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from types import TracebackType
from typing import Self

from aiohttp import ClientSession, DummyCookieJar, web
from yarl import URL


class Fault(StrEnum):
    """What can happen to a request."""

    DROP = "dropped before it is forwarded"
    DROP_ANSWER = "done, but the answer is dropped"
    BUSY = "503 ServerBusy, not done"
    BUSY_AFTER = "done, but answered 503"
    ERROR_AFTER = "done, but answered 500"
    GARBAGE = "done, but the answer is no JSON"
    HALF_ANSWER = "done, but the answer ends half-way"
    DELAY = "delayed by a second"
    HANG = "never answered"


Choose = Callable[[web.BaseRequest], Fault | None]


def none(_request: web.BaseRequest) -> None:
    """Let every request pass."""


class Relay:
    """Forwards to a port of 127.0.0.1, and strikes the requests that `choose` says.

    Attributes:
        port: where it listens on 127.0.0.1, once entered.
        requests: how many came.
        faults: how often each fault struck.
    """

    def __init__(self, upstream: int, choose: Choose = none) -> None:
        self.choose = choose
        self.port = 0
        self.requests = 0
        self.faults: Counter[Fault] = Counter()
        self._upstream = upstream

    async def __aenter__(self) -> Self:
        self._stopping = asyncio.Event()
        self._session = ClientSession(cookie_jar=DummyCookieJar(), auto_decompress=False)
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._stopping.set()
        await self._runner.cleanup()
        await self._session.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:  # noqa: C901 - one table
        self.requests += 1
        fault = self.choose(request)
        if fault:
            self.faults[fault] += 1
        body = await request.read()
        match fault:
            case Fault.DROP:
                return _cut(request)
            case Fault.HANG:
                await self._stopping.wait()
                return _cut(request)
            case Fault.BUSY:
                return _storage_error(503, "ServerBusy")
            case Fault.DELAY:
                await asyncio.sleep(1)
        answer = await self._forward(request, body)
        match fault:
            case Fault.DROP_ANSWER:
                return _cut(request)
            case Fault.BUSY_AFTER:
                return _storage_error(503, "ServerBusy")
            case Fault.ERROR_AFTER:
                return _storage_error(500, "InternalError")
            case Fault.GARBAGE:
                return web.Response(status=answer.status, body=b"<html>a proxy says: \xff", headers=answer.headers)
            case Fault.HALF_ANSWER:
                return await _half(request, answer)
        return answer

    async def _forward(self, request: web.BaseRequest, body: bytes) -> web.Response:
        url = URL(f"http://127.0.0.1:{self._upstream}{request.raw_path}", encoded=True)
        headers = {name: value for name, value in request.headers.items() if name not in ("Host", "Connection")}
        async with self._session.request(
            request.method,
            url,
            data=body or None,
            headers=headers,
            skip_auto_headers=("Content-Type", "User-Agent"),
        ) as upstream:
            kept = {
                name: value
                for name, value in upstream.headers.items()
                if name not in ("Transfer-Encoding", "Connection", "Keep-Alive", "Content-Length")
            }
            return web.Response(status=upstream.status, body=await upstream.read(), headers=kept)


def _cut(request: web.BaseRequest) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _half(request: web.BaseRequest, answer: web.Response) -> web.StreamResponse:
    body = answer.body if isinstance(answer.body, bytes) else b""
    half = web.StreamResponse(status=answer.status, headers=answer.headers)
    half.content_length = len(body) + 10  # promised, never sent
    await half.prepare(request)
    await half.write(body[: len(body) // 2])
    _cut(request)
    return half


def _storage_error(status: int, code: str) -> web.Response:
    error = {"odata.error": {"code": code, "message": {"lang": "en-US", "value": "Made by the relay."}}}
    return web.json_response(error, status=status, headers={"x-ms-error-code": code})
