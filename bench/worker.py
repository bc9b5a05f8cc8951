"""What is measured, in a process of its own: a function app under Microsoft's runtime, without HTTP in front.

    python -m bench.worker FOLDER      a function app
    python -m bench.worker upsert      the SDK's upsert_entity and nothing around it

Takes one order a line on standard input and answers in a line, both JSON: see `subject.py`. Its CPU and its memory are
the app's, and those of the little that is needed to call it. It ends when its input does.
"""

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from azure.data.tables.aio import TableClient

from bench import blind
from bench.orders import Delivered, Order
from tools.host import FunctionApp, Request, log_to_stderr

Call = Callable[[], Awaitable[tuple[int, str]]]
"""One call that is ready to be made; it gives a status and, where the answer names one, an outcome."""


async def _app(folder: Path) -> Callable[[str, str], Call]:
    functions = await FunctionApp.load(folder)
    function = functions.find("POST", "/api/resource")
    assert function, "no function at /api/resource"  # noqa: S101 - a bug here, and no input

    def prepare(body: str, secret: str) -> Call:
        request = Request("POST", "http://127.0.0.1/api/resource", {"secret": secret}, {}, body.encode())

        async def call() -> tuple[int, str]:
            answer = await functions.invoke(function, request)
            return answer.status, answer.body.decode()

        return call

    return prepare


async def _upsert() -> Callable[[str, str], Call]:
    blind.quiet_sdk()
    table = TableClient.from_connection_string(os.environ["STATE_STORAGE"], blind.TABLE)

    def prepare(body: str, secret: str) -> Call:
        del secret
        entity = blind.row(json.loads(body))

        async def call() -> tuple[int, str]:
            await table.upsert_entity(entity)
            return 200, ""

        return call

    return prepare


async def _deliver(order: Order, prepare: Callable[[str, str], Call]) -> Delivered:
    """Deliver lives, so many at a time, each one's events one after the other."""
    lives = [[prepare(body, order["secret"]) for body in bodies] for bodies in order["lives"]]
    waiting = iter(lives)
    latencies: list[float] = []
    answers: list[tuple[int, str]] = []

    async def one_after_the_other() -> None:
        for life in waiting:
            for call in life:
                began = time.perf_counter()
                answer = await call()
                latencies.append(time.perf_counter() - began)
                answers.append(answer)

    cpu, started = time.process_time(), time.perf_counter()
    await asyncio.gather(*(one_after_the_other() for _ in range(order["in_flight"])))
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    return {
        "seconds": seconds,
        "cpu_seconds": cpu,
        "latencies": latencies,
        "statuses": [status for status, _ in answers],
        "outcomes": [_outcome(answer) for _, answer in answers],
        "peak_memory": _peak_memory(),
    }


def _outcome(answer: str) -> str:
    return str(json.loads(answer).get("outcome", "")) if answer else ""


def _peak_memory() -> int:
    """Give the most memory that this process has had resident, in bytes."""
    try:
        # Linux: ru_maxrss would still hold what the process had before it became this program
        for line in Path("/proc/self/status").read_text("utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


async def main(subject: str) -> None:
    """Say how long it took to make ready, then obey."""
    log_to_stderr()
    started = time.perf_counter()
    prepare = await (_upsert() if subject == "upsert" else _app(Path(subject)))
    print(time.perf_counter() - started, flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(await _deliver(json.loads(line), prepare)), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
    sys.stdout.flush()
    os._exit(0)  # as a worker ends: what the app holds for life is not closed
