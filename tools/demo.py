"""`python -m tools demo`: a customer's life cycle from samples/, sent to the function, and the tables before and after.

Starts the function and Azurite in the background, on free ports and with the data in memory, so that it neither needs
nor touches what `run` serves and keeps; both end with it. Never contacts anything but this machine.
"""

import asyncio
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from tools import local_settings
from tools.azurite import ROOT, Azurite
from tools.problem import Problem
from tools.stack import Host, served
from tools.stopping import Stopping
from webhook.settings import Storage
from webhook.tables import Tables


def main(stopping: Stopping) -> int:
    """Replay the samples and show what is stored, and give the exit status. Raises Problem or Stopped."""
    samples = sorted((ROOT / "samples").glob("*.json"))
    local_settings.create(ROOT)
    with Azurite(stopping=stopping) as azurite:
        settings = local_settings.values(ROOT / local_settings.NAME)
        settings["STATE_STORAGE"] = azurite.connection_string
        storage = Storage("STATE_STORAGE", azurite.connection_string)
        with served(settings, stopping=stopping) as host:
            print("The function and Azurite run in the background, on free ports and with their data in memory.")
            print("\nBefore")
            asyncio.run(_show(storage))
            print("\nA customer's life cycle, as the Marketplace tells it; the last event but one arrives late")
            _replay(host, [*samples[:-2], samples[-1], samples[-2]], stopping)
            print("\nThe same again in reverse, as after a failure of the network: nothing changes")
            _replay(host, samples[::-1], stopping)
            print("\nAfter")
            asyncio.run(_show(storage))
    return 0


def _replay(host: Host, samples: Sequence[Path], stopping: Stopping) -> None:
    """Send each sample once. Raises Problem if one is not recorded."""
    for sample in samples:
        stopping.check()
        try:
            with urlopen(host.with_secret(host.url), sample.read_bytes(), timeout=20) as answer:  # noqa: S310 - http
                reply = json.load(answer)
        except HTTPError as error:
            with error:
                raise Problem(f"{sample.name} was answered with {error.code}: {error.read().decode()}") from None
        print(f"  {sample.name:<36} 200 {reply['outcome']:<10} {reply['provisioningState']}")


async def _show(storage: Storage) -> None:
    """Print the two tables."""
    async with Tables.connect(storage) as tables:
        _print_table(
            "ManagedApplications, a row an application",
            ("applicationName", "provisioningState", "eventType", "eventTime", "plan or definition", "errorCode"),
            [
                (
                    row.application_id.name,
                    row.latest.value.provisioning_state,
                    row.latest.value.event_type,
                    row.event_time,
                    (row.plan and row.plan.value.name)
                    or (row.application_definition_id and row.application_definition_id.value.rpartition("/")[2])
                    or "",
                    row.latest.value.error_code or "",
                )
                async for row in tables.applications()
            ],
        )
        _print_table(
            "ManagedApplicationNotifications, the inbox: every notification once, as it came",
            ("PartitionKey", "RowKey", "body"),
            [
                (
                    "..." + entry.partition_key.partition("|")[2],
                    entry.order,
                    f"{entry.event_type} {entry.provisioning_state}, {len(entry.body)} characters",
                )
                async for entry in tables.inbox()
            ],
        )


def _print_table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    rows = list(rows)
    print(f"  {title}")
    if not rows:
        print("    (empty)")
        return
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, ["-" * width for width in widths], *rows):
        print("    " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
