"""Delivering notifications as the Marketplace does: what each answer leads to, and the client that keeps to the plan.

The only module that sends anything. It never raises for what a webhook or a network does, follows no redirect, and
takes no text from the client's errors, which may hold the URL and with it the secret.
"""

import asyncio
import heapq
import os
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from itertools import count
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from console.endpoint import Endpoint, EndpointError
from console.marketplace.lives import Event
from console.marketplace.schedule import Attempt, Delivery

UNREACHABLE = "unreachable"
LOST_ANSWER = "answer lost"
"""Causes of a retry that are no status."""

_KEPT = 64 * 1024  # bytes of an answer; the rest is not read


class Fate(StrEnum):
    """What becomes of a delivery after an answer."""

    DONE = "done"
    RETRY = "tried again"
    DROPPED = "dropped"


def fate(status: int | None) -> Fate:
    """Say what the Marketplace does after a status, or where there was no answer.

    https://learn.microsoft.com/azure/azure-resource-manager/managed-applications/publish-notifications
    """
    match status:
        case 200:
            return Fate.DONE
        case None | 404 | 429:
            return Fate.RETRY
        case _:
            return Fate.DROPPED if status < HTTPStatus.INTERNAL_SERVER_ERROR else Fate.RETRY


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


@dataclass(slots=True)
class Tally:
    """What was done, counted while it is done.

    Attributes:
        attempts: requests that were made.
        statuses: how often each was answered, the answers that were not heard included.
        retries: attempts that led to another one, by cause: a status, `unreachable` or `answer lost`.
        unreachable: attempts without an answer, by reason.
        dropped: deliveries that were dropped at once, by status.
        given_up: deliveries that were tried for 10 hours.
        sent, heard: events, as (customer, number), of which any attempt was made, and was heard to be recorded.
        seconds: how long each answer took.
    """

    attempts: int = 0
    in_flight: int = 0
    settled: int = 0
    repeated: int = 0
    overtaken: int = 0
    lost_answers: int = 0
    given_up: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    retries: Counter[str] = field(default_factory=Counter)
    unreachable: Counter[str] = field(default_factory=Counter)
    dropped: Counter[int] = field(default_factory=Counter)
    by_url: Counter[int] = field(default_factory=Counter)
    sent: set[tuple[int, int]] = field(default_factory=set)
    heard: set[tuple[int, int]] = field(default_factory=set)
    seconds: list[float] = field(default_factory=list)

    def begins(self, delivery: Delivery) -> None:
        """Count a delivery whose first attempt is made."""
        self.repeated += delivery.repeated
        self.overtaken += delivery.overtaken
        self.sent.add(_name(delivery.event))


def _name(event: Event) -> tuple[int, int]:
    return event.customer, event.number


class Client:
    """An HTTP client that posts notifications, one connection for each request in flight."""

    def __init__(self, *, at_once: int, timeout: float) -> None:
        self._connector = (at_once, timeout)

    async def __aenter__(self) -> Self:
        at_once, timeout = self._connector
        self._timeout = timeout
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=at_once),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=timeout),
            headers={"Content-Type": "application/json; charset=utf-8", "User-Agent": "managedapps"},
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


@dataclass(order=True, slots=True)
class _Waiting:
    """A delivery whose next attempt is due at a time of the loop's clock."""

    at: float
    turn: int
    delivery: Delivery = field(compare=False)
    attempt: int = field(default=0, compare=False)


class Marketplace:
    """Delivers what a plan says to one of several URLs each, until every delivery is done, dropped or given up.

    Args:
        speed: seconds of the Marketplace's time in one of ours.
        at_once: requests in flight, at most.
        timeout: seconds of our time that an answer may take.
        tally: where everything is counted; it is right at any time, also when `deliver` is cancelled.
        settled: called when a delivery is done, dropped or given up.
    """

    def __init__(  # noqa: PLR0913 - all but the first by name
        self,
        endpoints: Sequence[Endpoint],
        *,
        speed: float,
        at_once: int,
        timeout: float,
        tally: Tally,
        settled: Callable[[], None],
    ) -> None:
        self._urls = [address(endpoint) for endpoint in endpoints]
        self._speed, self._at_once, self._timeout = speed, at_once, timeout
        self._tally, self._settled = tally, settled

    async def deliver(self, deliveries: Sequence[Delivery]) -> None:
        """Deliver all of it."""
        clock = asyncio.get_running_loop().time
        began = clock()
        self._turns = count()
        self._waiting = [_Waiting(began + each.due / self._speed, next(self._turns), each) for each in deliveries]
        heapq.heapify(self._waiting)
        self._open, self._changed = len(deliveries), asyncio.Event()
        async with (
            Client(at_once=self._at_once, timeout=self._timeout) as self._client,
            asyncio.TaskGroup() as together,
        ):
            while self._open:
                self._changed.clear()
                wait: float | None = None
                while self._waiting and self._tally.in_flight < self._at_once:
                    wait = self._waiting[0].at - clock()
                    if wait > 0:
                        break
                    self._tally.in_flight += 1
                    together.create_task(self._attempt(heapq.heappop(self._waiting)))
                    wait = None
                try:
                    async with asyncio.timeout(wait):
                        await self._changed.wait()
                except TimeoutError:
                    continue

    async def _attempt(self, waiting: _Waiting) -> None:
        """Make one attempt, and settle the delivery or put it back."""
        tally, delivery = self._tally, waiting.delivery
        attempt = delivery.attempts[waiting.attempt]
        if waiting.attempt == 0:
            tally.begins(delivery)
        tally.attempts += 1
        try:
            cause = await self._request(delivery, attempt)
        finally:
            tally.in_flight -= 1
        if cause is not None and waiting.attempt + 1 < len(delivery.attempts):
            tally.retries[cause] += 1
            due = asyncio.get_running_loop().time() + delivery.attempts[waiting.attempt + 1].pause / self._speed
            heapq.heappush(self._waiting, _Waiting(due, next(self._turns), delivery, waiting.attempt + 1))
        else:
            tally.given_up += cause is not None
            tally.settled += 1
            self._open -= 1
            self._settled()
        self._changed.set()

    async def _request(self, delivery: Delivery, attempt: Attempt) -> str | None:
        """Send it, and give the cause for which it has to be tried again, or None."""
        tally, number = self._tally, int(attempt.route * len(self._urls))
        tally.by_url[number] += 1
        answer = await self._client.post(self._urls[number], delivery.event.body)
        if isinstance(answer, Unreachable):
            tally.unreachable[answer.reason] += 1
            return UNREACHABLE
        tally.statuses[answer.status] += 1
        tally.seconds.append(answer.seconds)
        if attempt.lost:
            tally.lost_answers += 1
            return LOST_ANSWER
        match fate(answer.status):
            case Fate.RETRY:
                return str(answer.status)
            case Fate.DROPPED:
                tally.dropped[answer.status] += 1
            case Fate.DONE:
                tally.heard.add(_name(delivery.event))
        return None
