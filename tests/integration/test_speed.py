"""What a call costs, as ratios to what cannot be done without, measured side by side in one run.

Milliseconds say little on a shared machine, ratios of medians say much; still, a bound may take a second and a third
try before it counts as broken.
"""

import asyncio
import logging
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from azure.data.tables.aio import TableServiceClient

from bench.delay import distant
from tests import events
from tools.azurite import Azurite
from webhook.receive import Receiver
from webhook.settings import Settings, Storage
from webhook.tables import Tables

ROOT = Path(__file__).resolve().parent.parent.parent
SECRET = "correct-horse-battery-staple"
TRIES = 3
PACKAGES = "import azure.functions; from pydantic import BaseModel; import azure.data.tables.aio"


def test_starting_costs_little_more_than_the_packages_it_cannot_do_without() -> None:
    """A cold start is what the first event of the day waits for: at most 1.15 times the bare imports."""
    measured = []
    for _ in range(TRIES):
        times = defaultdict(list)
        for _ in range(15):
            for code in (PACKAGES, "import function_app"):
                times[code].append(_seconds(code))
        measured.append(statistics.median(times["import function_app"]) / statistics.median(times[PACKAGES]))
        if measured[-1] <= 1.15:
            return
    pytest.fail(f"times the bare imports: {measured}")


def _seconds(code: str) -> float:
    # as where the app is deployed: its modules are compiled once, not at every start
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env=environment)
    return time.perf_counter() - started


@pytest.fixture
def far_storage(azurite: Azurite, storage: Storage) -> Iterator[str]:
    """Give the connection string of a storage that is 10 ms away."""
    del storage
    with distant(azurite.port, 0.01) as far:
        yield far.connection_string


def test_events_take_hardly_longer_than_one_blind_write(far_storage: str) -> None:
    """With storage 10 ms away, a first and a warm later event take 1.2 times one blind upsert, a cold later one 2.3.

    A blind upsert is what a webhook does that loses events. Here, inbox and row are written side by side, and what the
    instance remembers saves the read.
    """
    measured = []
    for _ in range(TRIES):
        ratios = asyncio.run(_ratios(far_storage, rounds=60))
        measured.append(ratios)
        if ratios["first"] <= 1.2 and ratios["warm"] <= 1.2 and ratios["cold"] <= 2.3:
            return
    pytest.fail(f"times one blind upsert: {measured}")


async def _ratios(connection: str, rounds: int) -> dict[str, float]:
    settings = Settings.from_mapping({"WEBHOOK_SECRET": SECRET, "STATE_STORAGE": connection})
    times: dict[str, list[float]] = defaultdict(list)
    opened: list[Tables] = []

    def connect(storage: Storage) -> Tables:
        opened.append(Tables.connect(storage))
        return opened[0]

    async def timed(what: str, work: Callable[[], Awaitable[object]]) -> None:
        started = time.perf_counter()
        await work()
        times[what].append(time.perf_counter() - started)

    async def call(receiver: Receiver, what: str, body: bytes) -> None:
        reply = None

        async def work() -> None:
            nonlocal reply
            reply = await receiver.receive(SECRET, body)

        await timed(what, work)
        assert reply is not None
        assert reply.content["outcome"] == "stored"

    logging.getLogger("webhook").setLevel(logging.WARNING)
    async with TableServiceClient.from_connection_string(connection) as service:
        blind = await service.create_table_if_not_exists("Blind")
        warm = Receiver(settings, connect)
        cold = Receiver(settings, lambda _: opened[0])
        for number in range(-2, rounds):
            name = f"app-{number}-{time.time_ns()}"
            bodies = [
                events.body(
                    kind, state, applicationId=events.application_id(name), eventTime=f"2026-03-01T1{hour}:00:00Z"
                )
                for hour, (kind, state) in enumerate(
                    [("PUT", "Accepted"), ("PUT", "Succeeded"), ("PATCH", "Succeeded")]
                )
            ]
            entity = {
                "PartitionKey": "blind",
                "RowKey": name,
                "provisioningState": "Accepted",
                "body": bodies[0].decode(),
            }
            await timed("blind", partial(blind.upsert_entity, entity))
            await call(warm, "first", bodies[0])
            await call(warm, "warm", bodies[1])
            await call(cold, "cold", bodies[2])
            if number < 0:  # connections are opened, tables created
                times.clear()
        await opened[0].close()
    logging.getLogger("webhook").setLevel(logging.NOTSET)
    medians = {what: statistics.median(measured) for what, measured in times.items()}
    return {what: median / medians["blind"] for what, median in medians.items()}
