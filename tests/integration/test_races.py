"""Real writers that race for one row on a real table service: exactly one wins each time, and nothing is lost."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

import pytest

from tests import events
from webhook.application import Application, merge
from webhook.notification import Notification
from webhook.record import Memory, Recorded, Recorder
from webhook.settings import Storage
from webhook.store import ConflictError, StoreError, Versioned
from webhook.tables import Tables

LIFE = [
    events.notification(
        event_type, state, eventTime=f"2026-03-01T{10 + hour}:00:00Z", plan=None if hour else events.PLAN
    )
    for hour, (event_type, state) in enumerate(events.PAIRS)
]


def instance(tables: Tables) -> Recorder:
    """Give what one instance of the app has to itself: its memory."""
    return Recorder(tables, Memory(time.monotonic), asyncio.sleep, random.random)


async def record(recorder: Recorder, notification: Notification) -> Recorded:
    """Deliver a notification as the Marketplace does: again, until it is recorded."""
    while True:
        try:
            return await recorder.record(notification, events.NOW)
        except StoreError:
            await asyncio.sleep(0.05)


def row_of(notifications: list[Notification]) -> Application:
    """Give the row that all of them make."""
    row = None
    for notification in notifications:
        row = merge(row, notification)
    assert row is not None
    return row


@pytest.mark.parametrize("writers", [2, 16])
def test_of_writers_with_the_same_version_exactly_one_wins(storage: Storage, writers: int) -> None:
    """This is what everything else stands on: the service itself lets only one of them through."""

    async def run() -> None:
        async with Tables.connect(storage) as tables:
            won = await asyncio.gather(
                *(_wins(lambda: tables.insert_application(row_of(LIFE[:1]))) for _ in range(writers))
            )
            assert won.count(True) == 1
            row = await tables.read_application(LIFE[0].application_id)
            assert row is not None
            version = row.version
            won = await asyncio.gather(
                *(_wins(lambda: tables.replace_application(row_of(LIFE[:2]), version)) for _ in range(writers))
            )
            assert won.count(True) == 1

    asyncio.run(run())


@pytest.mark.parametrize("writers", [2, 16])
@pytest.mark.parametrize("seed", range(3))
def test_a_life_told_by_racing_instances_is_the_same_life(storage: Storage, writers: int, seed: int) -> None:
    """Each event is delivered by several instances at once, in any order: the row is the newest event all the same."""

    async def run() -> None:
        async with Tables.connect(storage) as tables:
            deliveries = LIFE * max(2, writers // 4)
            random.Random(seed).shuffle(deliveries)
            instances = [instance(tables) for _ in range(writers)]
            results = await asyncio.gather(
                *(record(instances[number % writers], delivery) for number, delivery in enumerate(deliveries))
            )
            row = await tables.read_application(LIFE[0].application_id)
            assert row is not None
            assert row.application == row_of(LIFE)
            assert [entry.order async for entry in tables.inbox()] == sorted(event.order for event in LIFE)
            assert sum(result.outcome == "stored" for result in results) >= 1

    asyncio.run(run())


def test_a_late_accepted_does_not_overwrite_succeeded(storage: Storage) -> None:
    """The fault of the samples: the retried first event arrives last, at an instance that knows nothing of the row."""

    async def run() -> None:
        async with Tables.connect(storage) as tables:
            stored = await instance(tables).record(LIFE[1], events.NOW)
            late = await instance(tables).record(LIFE[0], events.NOW)
            again = await instance(tables).record(LIFE[0], events.NOW)
            assert [stored.outcome, late.outcome, again.outcome] == ["stored", "superseded", "duplicate"]
            assert late.application.latest.value.provisioning_state == "Succeeded"
            assert late.application.plan is not None  # which only the late one carries

    asyncio.run(run())


def test_an_instance_with_a_stale_memory_writes_the_right_row(storage: Storage) -> None:
    """What an instance remembers saves a read and is never believed: another one has moved the row on."""

    async def run() -> None:
        async with Tables.connect(storage) as tables:
            one, other = instance(tables), instance(tables)
            await one.record(LIFE[0], events.NOW)
            await other.record(LIFE[4], events.NOW)
            late = await one.record(LIFE[1], events.NOW)
            assert late.outcome == "superseded"
            assert late.application == row_of([LIFE[0], LIFE[1], LIFE[4]])

    asyncio.run(run())


async def _wins(write: Callable[[], Awaitable[Versioned]]) -> bool:
    try:
        await write()
    except ConflictError:
        return False
    return True
