"""Nothing is lost: shuffled, repeated, concurrent deliveries to two instances, without and with faults of storage."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import chain

import aiohttp
import pytest

from tests import lives
from tests.e2e.conftest import SECRET, Serve, Webhook
from tests.relay import PASSING, Relay, some
from tools.azurite import Azurite, connection_string
from webhook.settings import Storage
from webhook.tables import Tables

Instances = Callable[[int], Webhook]  # takes the port of the table service

APPLICATIONS, DELIVERIES = 60, 600
LIVES = lives.lives(seed=20260301, applications=APPLICATIONS)
EVENTS = list(chain.from_iterable(LIVES))


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
    """Check every row and every inbox entry against what was sent."""
    async with Tables.connect(storage) as tables:
        rows = {row.application_id.inbox_partition_key: row async for row in tables.applications()}
        inbox = lives.by_partition([entry async for entry in tables.inbox()])
    assert rows == lives.rows(EVENTS)
    assert inbox == lives.inbox(EVENTS)
    for number, life in enumerate(LIVES):  # the same once more, told by nothing of the app's own
        row = next(row for row in rows.values() if row.application_id.name.lower() == f"app-{number}")
        last = life[-1].decode()
        assert f'"eventType": "{row.latest.value.event_type}"' in last
        assert f'"provisioningState": "{row.latest.value.provisioning_state}"' in last


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
