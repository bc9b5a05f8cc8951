"""The HTTP client of the console: posts to an endpoint, and says in a few words why there was no answer.

It never raises for what a webhook or a network does, follows no redirect, and takes no text from the errors of the
library beneath, which may hold the URL and with it the secret.
"""

import asyncio
import os
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from console.endpoint import Endpoint, EndpointError

_KEPT = 64 * 1024  # bytes of an answer; the rest is not read


@dataclass(frozen=True, slots=True)
class Answer:
    """What a webhook answered."""

    status: int
    media_type: str
    body: bytes
    seconds: float


@dataclass(frozen=True, slots=True)
class Unreachable:
    """There was no answer; `reason` says why in a few words."""

    reason: str


class Client:
    """An HTTP client that posts notifications, one connection for each request in flight.

    Args:
        at_once: requests.
        timeout: seconds that an answer may take.
        trace: the trace ID (W3C, 32 hexadecimal digits) that requests carry; none if it is empty.
    """

    def __init__(self, *, at_once: int, timeout: float, trace: str = "") -> None:
        self._connector = (at_once, timeout)
        self._headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "managedapps"}
        if trace:
            self._headers["traceparent"] = f"00-{trace}-{trace[:16]}-01"

    async def __aenter__(self) -> Self:
        at_once, timeout = self._connector
        self._timeout = timeout
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=at_once),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=timeout),
            headers=self._headers,
        )
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._session.close()

    async def post(self, url: URL, body: bytes) -> Answer | Unreachable:
        """Post a notification."""
        started = time.perf_counter()
        try:
            async with self._session.post(url, data=body, allow_redirects=False) as answer:
                kept = bytearray()
                async for piece in answer.content.iter_any():
                    kept += piece[: _KEPT - len(kept)]
                    if len(kept) >= _KEPT:
                        break
                return Answer(
                    answer.status, answer.headers.get("Content-Type", ""), bytes(kept), time.perf_counter() - started
                )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Unreachable(why(error, self._timeout))


async def unreachable(endpoint: Endpoint, timeout: float = 10.0) -> str | None:  # noqa: ASYNC109 - all of it is waiting
    """Try whether a host takes connections, and speaks TLS where it should; say why not, or give None."""
    context = ssl.create_default_context() if endpoint.tls else None
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(endpoint.host, endpoint.port, ssl=context)
    except (OSError, ValueError) as error:
        return why(error, timeout)
    writer.close()
    with suppress(OSError):  # it took the connection, which is all that was asked
        await writer.wait_closed()
    return None


def why(error: Exception, timeout: float) -> str:
    """Say in a few words why there was no answer, from the kind of an error and never from its text."""
    causes = [getattr(error, "certificate_error", None), getattr(error, "os_error", None), error, error.__cause__]
    for cause in causes:
        match cause:
            case ssl.SSLCertVerificationError():
                return f"TLS failed: {cause.verify_message} (a certificate authority of your own: set SSL_CERT_FILE)"
            case ssl.SSLError():
                return "TLS failed: what answers does not speak it, or not as it should"
            case TimeoutError():
                return f"no answer within {timeout:g} s"
            case socket.gaierror():
                return "the host is not found"
            case ConnectionRefusedError():
                return "the connection is refused"
            case aiohttp.ClientPayloadError():
                return "the answer breaks off"
            case aiohttp.ClientResponseError():
                return "the answer is not HTTP"
            case aiohttp.ServerDisconnectedError() | ConnectionError():
                return "the connection breaks off"
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number else type(error).__name__


def address(endpoint: Endpoint) -> URL:
    """Give the client's form of a URL. Raises EndpointError."""
    try:
        return URL(endpoint.url, encoded=True)
    except ValueError:
        raise EndpointError("the URL cannot be read") from None
