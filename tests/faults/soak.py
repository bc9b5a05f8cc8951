"""The soak: a Marketplace, two instances that are killed again and again, and a storage that fails 30% of its requests.

    python -m tools soak [--customers 2000] [--seed 7]

The simulator delivers, with duplicates, reordering and lost answers; the instances are processes of their own, ended by
SIGKILL and started again at random; Azurite stands behind the relay. In the end the simulator compares every row and
every inbox entry with what it knows to be true. Nothing is left running.
"""

# ruff: noqa: T201 - a command line tool prints

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import quote

from tests.relay import Relay, some
from tools.azurite import Azurite, connection_string
from tools.problem import Problem
from tools.stack import Host, served

ROOT = Path(__file__).resolve().parents[2]
SECRET = "correct-horse-battery-staple"
INSTANCES = 2
FAULTS = 0.3
"""Share of storage requests that fail."""


class Instance:
    """An instance of the function that keeps its port through all its lives.

    Attributes:
        killed: how often it was ended by SIGKILL.
        answers: how often each status stood in its log.
    """

    def __init__(self, storage: str) -> None:
        self._settings = {"WEBHOOK_SECRET": SECRET, "STATE_STORAGE": storage}
        self._running = ExitStack()
        self.port = 0
        self.killed = 0
        self.answers: Counter[str] = Counter()
        self.host = self.start()

    @property
    def url(self) -> str:
        """The value for Partner Center."""
        return f"http://127.0.0.1:{self.port}/api?secret={quote(SECRET, safe='')}"

    def start(self) -> Host:
        """Start a process; it has nothing of the one before but the port."""
        self.host = self._running.enter_context(served(self._settings, port=self.port, hear=self._hear))
        self.port = self.host.port
        return self.host

    def kill(self) -> None:
        """End the process without a word of warning."""
        self.killed += 1
        os.kill(self.host.child.pid, signal.SIGKILL)
        self.stop()

    def stop(self) -> None:
        """End the process, if it lives."""
        self._running.close()

    def _hear(self, line: str) -> None:
        if '"status": ' in line:
            self.answers[line.partition('"status": ')[2][:3]] += 1


async def _kill_now_and_then(instance: Instance, chance: random.Random, between: float) -> None:
    """Kill an instance and start it again, at random times; `between` is how many seconds it lives on average."""
    while True:
        await asyncio.sleep(between * chance.uniform(0.5, 1.5))
        await asyncio.to_thread(instance.kill)
        await asyncio.sleep(chance.uniform(0, 0.5))
        await _start(instance)


async def _start(instance: Instance) -> None:
    while True:
        with suppress(Problem):  # for a moment, the port can be taken by a connection of the one before
            await asyncio.to_thread(instance.start)
            return
        await asyncio.sleep(0.2)


async def soak(*, customers: int, seed: int, speed: int, between: float) -> int:
    """Run it, print what was done to the system and what was lost, and give the simulator's exit status."""
    started = time.monotonic()
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder, Azurite(folder=Path(folder)) as azurite, ExitStack() as running:
        async with Relay(azurite.port, some(seed, FAULTS)) as relay:
            instances = [await asyncio.to_thread(Instance, connection_string(relay.port)) for _ in range(INSTANCES)]
            for instance in instances:
                running.callback(instance.stop)
            killers = [asyncio.create_task(_kill_now_and_then(each, chance, between)) for each in instances]
            status = await _simulate(instances, customers, seed, speed, azurite.connection_string)
            for killer in killers:
                killer.cancel()
            await asyncio.gather(*killers, return_exceptions=True)
            _report(relay, instances, time.monotonic() - started)
    print("Lost: nothing." if status == 0 else "Lost: see the differences above.")
    return status


async def _simulate(instances: list[Instance], customers: int, seed: int, speed: int, storage: str) -> int:
    urls = [argument for instance in instances for argument in ("--url", instance.url)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "console", "simulate", *urls),
        *(
            "--customers",
            str(customers),
            "--seed",
            str(seed),
            "--speed",
            str(speed),
            "--concurrency",
            "32",
            "--timeout",
            "10",
        ),
        *("--duplicates", "0.2", "--reorder", "0.2", "--lost-answers", "0.1", "--verify"),
        cwd=ROOT,
        env={**os.environ, "STATE_STORAGE": storage},
    )
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


def _report(relay: Relay, instances: list[Instance], seconds: float) -> None:
    answers = sum((instance.answers for instance in instances), Counter[str]())
    print(f"In {seconds:.0f} s, with {len(instances)} instances:")
    print(f"  {sum(instance.killed for instance in instances)} times an instance was ended by SIGKILL")
    print(f"  {relay.requests} storage requests, of which {relay.faults.total()} were struck:")
    for fault, times in relay.faults.most_common():
        print(f"    {times:6} {fault}")
    print("  answers in the log: " + ", ".join(f"{times} times {status}" for status, times in sorted(answers.items())))


def main(arguments: list[str]) -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m tools soak", description="Soaks the webhook in faults.")
    parser.add_argument("--customers", type=int, default=2_000, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=7, help="default: %(default)s")
    parser.add_argument("--between", type=float, default=8, help="seconds an instance lives; default: %(default)s")
    parser.add_argument("--speed", type=int, default=150, help="of the Marketplace's time; default: %(default)s")
    return asyncio.run(soak(**vars(parser.parse_args(arguments))))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
