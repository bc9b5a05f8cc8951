"""Delivering notifications as the Marketplace does: what each answer leads to, and keeping to the plan."""

import asyncio
import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from itertools import count

from console.client import Client, Unreachable, address
from console.endpoint import Endpoint
from console.marketplace.lives import Event
from console.marketplace.schedule import Attempt, Delivery

UNREACHABLE = "unreachable"
LOST_ANSWER = "answer lost"
"""Causes of a retry that are no status."""


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
