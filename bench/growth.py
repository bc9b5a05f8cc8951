"""Whether an event takes longer when many applications are there already."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from azure.data.tables.aio import TableServiceClient

from bench import events
from bench.figures import Part, Spread, Table, ratio
from bench.progress import Progress
from bench.subject import Subject, azurite, create_tables, subject
from webhook.application import Application
from webhook.entities import application_entity
from webhook.notification import Notification
from webhook.tables import APPLICATIONS

SIZES = (1_000, 10_000, 100_000)
ROUNDS = 100
BATCH = 100  # entities in a transaction, of one partition: the service's limit

KINDS = {
    "insert": "bare upsert, new row",
    "overwrite": "bare upsert, old row",
    "first": "first event",
    "warm": "warm event",
    "cold": "cold event",
}


def measure(progress: Progress, sizes: Sequence[int] = SIZES) -> Part:
    """Measure on several storages, each with so many applications, turn by turn."""
    found: dict[int, dict[str, list[float]]] = {size: defaultdict(list) for size in (0, *sizes)}
    with ExitStack() as stack:
        workers: dict[int, tuple[Subject, Subject, Subject]] = {}
        for size in found:
            storage = stack.enter_context(azurite()).connection_string
            create_tables(storage)
            asyncio.run(_fill(storage, size, progress))
            workers[size] = (
                stack.enter_context(subject("upsert", storage, table=APPLICATIONS)),
                stack.enter_context(subject("webhook", storage)),
                stack.enter_context(subject("webhook", storage)),
            )
        for number in progress.rounds(ROUNDS, "growth", warm_up=10):
            turn = number % len(workers)  # nobody always goes first
            for size, (upsert, warm, cold) in [*workers.items()][turn:] + [*workers.items()][:turn]:
                (bare, again, _), (put, done, patch) = (
                    [events.body(f"{name}-{number}", event, _subscription(0)) for event in events.LIFE[:3]]
                    for name in ("bare", "growth")
                )
                turns = (
                    ("insert", upsert, bare),
                    ("first", warm, put),
                    ("overwrite", upsert, again),
                    ("warm", warm, done),
                    ("cold", cold, patch),
                )
                for kind, each, body in turns:
                    found[size][kind] += each.deliver([[body]])["latencies"]
                if number < 0:
                    found[size].clear()
    spreads = {size: {kind: Spread.of(times) for kind, times in each.items()} for size, each in found.items()}
    rows = [
        [
            f"{size:,} applications",
            *(
                f"{each[kind].median_ms:.2f} ({ratio(each[kind].median_ms, spreads[0][kind].median_ms):.2f})"
                for kind in KINDS
            ),
        ]
        for size, each in spreads.items()
    ]
    kept = {
        str(size): {
            kind: {**asdict(spread), "ratio": ratio(spread.median_ms, spreads[0][kind].median_ms)}
            for kind, spread in each.items()
        }
        for size, each in spreads.items()
    }
    return Part(
        {"rounds": len(found[0]["first"]), "by_applications": kept},
        [Table("Growth: median ms (ratio to the empty table)", ["", *KINDS.values()], rows)],
    )


async def _fill(storage: str, size: int, progress: Progress) -> None:
    """Put rows there as the webhook would have written them, a hundred at a time."""
    rows = _rows(size)
    batches = ([("upsert", row) for row in batch] for batch in iter(lambda: list(islice(rows, BATCH)), []))
    async with TableServiceClient.from_connection_string(storage) as service:
        table = await service.create_table_if_not_exists(APPLICATIONS)
        for batch in progress.steps(batches, -(-size // BATCH), f"growth, filling {size:,}"):
            await table.submit_transaction(batch)


def _rows(size: int) -> Iterator[dict[str, Any]]:
    body = events.body("filled", events.LIFE[1]).encode()
    entity = application_entity(Application.of(Notification.from_body(body, now=datetime.now(UTC))))
    for number in range(size):
        subscription, name = _subscription(number // BATCH), f"filled-{number}"
        yield entity | {
            "PartitionKey": subscription,
            "RowKey": f"rg-{name}|{name}",
            "applicationId": f"/subscriptions/{subscription}/resourceGroups/rg-{name}"
            f"/providers/Microsoft.Solutions/applications/{name}",
            "subscriptionId": subscription,
            "resourceGroup": f"rg-{name}",
            "applicationName": name,
        }


def _subscription(number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012}"
