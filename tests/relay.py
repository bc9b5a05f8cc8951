"""A relay between the app and Azurite that does to a storage request what a network and a busy service do.

It speaks HTTP on both sides, so that a fault strikes one request and not a connection full of them. Which request is
struck, and how, the test decides, by a rule or by a seed.
"""

import asyncio
import random
import socket
from collections import Counter
from collections.abc import Callable, Collection
from enum import StrEnum
from types import TracebackType
from typing import Self

from aiohttp import ClientSession, DummyCookieJar, web
from yarl import URL


class Fault(StrEnum):
    """What can happen to a request."""

    REFUSE = "refused: nobody listens for a fifth of a second"
    DROP = "dropped before it is forwarded"
    DROP_ANSWER = "done, but the answer is dropped"
    BUSY = "503 ServerBusy, not done"
    BUSY_AFTER = "done, but answered 503 ServerBusy"
    BUSY_FOR_LONG = "503 ServerBusy with Retry-After, not done"
    THROTTLED = "429 with Retry-After, not done"
    ERROR_AFTER = "done, but answered 500"
    CHANGED_AFTER = "done, but answered 412 as if somebody else had changed the row"
    NO_TABLE = "404 TableNotFound, not done"
    FORBIDDEN = "403 AuthorizationPermissionMismatch, not done"
    GARBAGE = "done, but the answer is no JSON"
    HALF_ANSWER = "done, but the answer ends half-way"
    DELAY = "delayed by a second"
    TRICKLE = "done, but the answer comes in drops, over twenty seconds"
    HANG = "never answered"


PASSING = frozenset(Fault) - {Fault.HANG, Fault.TRICKLE, Fault.FORBIDDEN}
"""Faults that are over with the request that they strike, and take no longer than a call may."""

Choose = Callable[[web.BaseRequest], Fault | None]


def none(_request: web.BaseRequest) -> None:
    """Let every request pass."""


def some(seed: int, share: float, faults: Collection[Fault] = PASSING) -> Choose:
    """Strike a share of the requests, from 0 to 1, each with one of the faults."""
    chance, kinds = random.Random(seed), sorted(faults)
    return lambda _: chance.choice(kinds) if chance.random() < share else None


class Relay:
    """Forwards to a port of 127.0.0.1, and strikes the requests that `choose` says.

    Attributes:
        port: where it listens on 127.0.0.1, once entered.
        requests: how many came.
        faults: how often each fault struck.
    """

    def __init__(self, upstream: int, choose: Choose = none) -> None:
        self.choose = choose
        self.upstream = upstream
        self.port = 0
        self.requests = 0
        self.faults: Counter[Fault] = Counter()
        self._refusing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._stopping = asyncio.Event()
        self._session = ClientSession(cookie_jar=DummyCookieJar(), auto_decompress=False)
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=1)
        await self._runner.setup()
        await self._listen()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._stopping.set()
        await asyncio.gather(*self._refusing)
        await self._runner.cleanup()
        await self._session.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests += 1
        fault = self.choose(request)
        if fault:
            self.faults[fault] += 1
        body = await request.read()
        if fault and fault in _UNDONE:
            return await self._undone(request, fault)
        if fault is Fault.DELAY:
            await asyncio.sleep(1)
        return await self._done(request, fault, await self._forward(request, body))

    async def _undone(self, request: web.BaseRequest, fault: Fault) -> web.StreamResponse:
        """Answer, or not, without having forwarded the request."""
        if fault is Fault.HANG:
            await self._stopping.wait()
        if fault is Fault.REFUSE and not self._refusing:
            task = asyncio.get_running_loop().create_task(self._refuse())
            self._refusing.add(task)
            task.add_done_callback(self._refusing.discard)
        if said := _ANSWERS.get(fault):
            return _storage_error(*said)
        return _cut(request)

    async def _done(self, request: web.BaseRequest, fault: Fault | None, answer: web.Response) -> web.StreamResponse:
        """Pass on the answer, or what the fault makes of it."""
        if fault and (said := _ANSWERS.get(fault)):
            return _storage_error(*said)
        match fault:
            case Fault.DROP_ANSWER:
                return _cut(request)
            case Fault.GARBAGE:
                return web.Response(status=answer.status, body=b"<html>a proxy says: \xff", headers=answer.headers)
            case Fault.HALF_ANSWER:
                return await _half(request, answer)
            case Fault.TRICKLE:
                return await self._drops(request, answer)
        return answer

    async def _listen(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", self.port))  # reuses the address, once there is one
        self._site = web.SockSite(self._runner, self._socket)
        await self._site.start()
        self.port = self._socket.getsockname()[1]

    async def _refuse(self) -> None:
        """Listen no more, for a fifth of a second; then on the same port again."""
        # first accept no more: asyncio trips over a connection that it accepted just before its server was closed
        asyncio.get_running_loop().remove_reader(self._socket)
        await asyncio.sleep(0.02)
        await self._site.stop()
        await asyncio.sleep(0.2)
        await self._listen()

    async def _drops(self, request: web.BaseRequest, answer: web.Response) -> web.StreamResponse:
        body = answer.body if isinstance(answer.body, bytes) and answer.body else b" " * 40
        slow = web.StreamResponse(status=200 if answer.status == 204 else answer.status, headers=answer.headers)
        slow.content_length = len(body)
        await slow.prepare(request)
        for number in range(len(body)):
            await slow.write(body[number : number + 1])
            if self._stopping.is_set():
                break
            await asyncio.sleep(20 / len(body))
        return slow

    async def _forward(self, request: web.BaseRequest, body: bytes) -> web.Response:
        url = URL(f"http://127.0.0.1:{self.upstream}{request.raw_path}", encoded=True)
        headers = {name: value for name, value in request.headers.items() if name not in ("Host", "Connection")}
        async with self._session.request(
            request.method, url, data=body or None, headers=headers, skip_auto_headers=("Content-Type", "User-Agent")
        ) as upstream:
            kept = {
                name: value
                for name, value in upstream.headers.items()
                if name not in ("Transfer-Encoding", "Connection", "Keep-Alive", "Content-Length")
            }
            return web.Response(status=upstream.status, body=await upstream.read(), headers=kept)


# status, code, and seconds of Retry-After
_ANSWERS: dict[Fault, tuple[int, str, int | None]] = {
    Fault.BUSY: (503, "ServerBusy", None),
    Fault.BUSY_AFTER: (503, "ServerBusy", None),
    Fault.BUSY_FOR_LONG: (503, "ServerBusy", 1),
    Fault.THROTTLED: (429, "TooManyRequests", 1),
    Fault.ERROR_AFTER: (500, "InternalError", None),
    Fault.CHANGED_AFTER: (412, "UpdateConditionNotSatisfied", None),
    Fault.NO_TABLE: (404, "TableNotFound", None),
    Fault.FORBIDDEN: (403, "AuthorizationPermissionMismatch", None),
}
_UNDONE = frozenset(
    {
        Fault.REFUSE,
        Fault.DROP,
        Fault.BUSY,
        Fault.BUSY_FOR_LONG,
        Fault.THROTTLED,
        Fault.NO_TABLE,
        Fault.FORBIDDEN,
        Fault.HANG,
    }
)


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


def _storage_error(status: int, code: str, retry_after: int | None) -> web.Response:
    error = {"odata.error": {"code": code, "message": {"lang": "en-US", "value": "Made by the relay."}}}
    headers = {"x-ms-error-code": code} | ({} if retry_after is None else {"Retry-After": str(retry_after)})
    return web.json_response(error, status=status, headers=headers)
