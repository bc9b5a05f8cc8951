"""Nothing is lost: shuffled, repeated, concurrent deliveries to two instances, without and with faults of storage."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from console.marketplace import verify
from console.marketplace.lives import Span, lives
from tests.e2e.conftest import SECRET, Serve, Webhook
from tests.relay import PASSING, Relay, some
from tools.azurite import Azurite, connection_string
from webhook.application import Application, merge
from webhook.notification import Notification
from webhook.settings import Storage
from webhook.tables import Tables

Instances = Callable[[int], Webhook]  # takes the port of the table service

APPLICATIONS, DELIVERIES = 60, 600
LIVES = lives(20260301, APPLICATIONS, Span(datetime(2026, 1, 1, tzinfo=UTC), timedelta(days=60)))
EVENTS = [event.body for life in LIVES for event in life.events]


def deliveries(seed: int) -> list[bytes]:
    """Give every event at least once, some again, in no order."""
    chance = random.Random(seed)
    found = EVENTS + chance.choices(EVENTS, k=DELIVERIES - len(EVENTS))
    chance.shuffle(found)
    return found


async def deliver(instances: Sequence[Webhook], bodies: Sequence[bytes], at_once: int) -> tuple[Counter[int], float]:
    """Deliver as the Marketplace does, again on 500 until 200: how often each status came, and the slowest answer."""
    statuses: Counter[int] = Counter()
    slowest = 0.0
    places = asyncio.Semaphore(at_once)
    chance = random.Random(1)

    async def one(session: aiohttp.ClientSession, body: bytes) -> None:
        nonlocal slowest
        while True:
            async with places:
                started = time.monotonic()
                async with session.post(chance.choice(instances).address(), data=body) as answer:
                    statuses[answer.status] += 1
                    await answer.read()
                slowest = max(slowest, time.monotonic() - started)
            if answer.status != 500:
                return
            await asyncio.sleep(chance.random() * 0.5)

    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as together:
        for body in bodies:
            together.create_task(one(session, body))
    return statuses, slowest


async def agree(storage: Storage) -> None:
    """Check every row and every inbox entry against what was sent, and what happened in the customers' lives."""
    rows: dict[str, Application] = {}
    for body in EVENTS:
        event = Notification.from_body(body, now=datetime.now(UTC))
        key = event.application_id.inbox_partition_key
        rows[key] = merge(rows.get(key), event)
    async with Tables.connect(storage) as tables:
        assert {row.application_id.inbox_partition_key: row async for row in tables.applications()} == rows
        assert sorted([entry.body async for entry in tables.inbox()]) == sorted(body.decode() for body in EVENTS)
    heard = {(event.customer, event.number) for life in LIVES for event in life.events}
    assert verify.differences(LIVES, heard, await verify.read(storage, rows)) == []


@pytest.fixture
def instances(serve: Serve) -> Iterator[Instances]:
    """Give a way to start instances of the function that end with the test."""
    with ExitStack() as running:
        yield lambda port: running.enter_context(serve(WEBHOOK_SECRET=SECRET, STATE_STORAGE=connection_string(port)))


def test_a_shuffled_repeated_concurrent_replay_loses_nothing(
    instances: Instances, azurite: Azurite, storage: Storage
) -> None:
    """Events arrive late, twice, together and out of order: every row is its newest event, the inbox has each once."""

    async def run() -> None:
        statuses, slowest = await deliver([instances(azurite.port), instances(azurite.port)], deliveries(1), at_once=32)
        assert set(statuses) <= {200, 500}  # 500 only where ten races were lost in a row
        assert statuses[200] == DELIVERIES
        assert slowest < 8
        await agree(storage)

    asyncio.run(run())


def test_the_same_with_30_percent_of_storage_requests_failing(
    instances: Instances, azurite: Azurite, storage: Storage
) -> None:
    """Dropped, delayed or failed, before or after they were done: with redelivery on 500, nothing is lost."""

    async def run() -> None:
        async with Relay(azurite.port, some(seed=2, share=0.3)) as relay:
            both = [instances(relay.port), instances(relay.port)]
            statuses, slowest = await deliver(both, deliveries(2), at_once=32)
            assert relay.faults.total() > 0.25 * relay.requests
            assert set(relay.faults) == PASSING
        assert statuses[200] == DELIVERIES
        assert set(statuses) <= {200, 500}
        assert slowest < 8
        await agree(storage)

    asyncio.run(run())
