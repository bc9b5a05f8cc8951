"""The first look at a whole account: which rows are not what their notifications say.

It only reads. Tables change while they are read, so what differs here is only suspected; `repair` looks closely. In
memory it keeps the key and 16 bytes of each row, and one application's notifications at a time.
"""

from typing import TYPE_CHECKING

from console.output import Show
from console.publisher.find import identity, of_inbox_key
from console.publisher.findings import Finding, Report
from console.publisher.replay import Flaw, Replay
from webhook.entities import application_entity, fingerprint
from webhook.notification import ApplicationId

if TYPE_CHECKING:
    from webhook.tables import Tables


class Survey:
    """A look at a whole account.

    The rows are read first and remembered, and not side by side with the inbox: the two are ordered differently.
    ("a!", "b") comes after ("a", "b"), and "a!|b" before "a|b".

    Args:
        report: is told what is found, and how far it is.
    """

    def __init__(self, tables: "Tables", report: Report) -> None:
        self._tables, self._report = tables, report
        self._fingerprints: dict[str, bytes] = {}
        self._suspects: list[ApplicationId] = []

    async def read_rows(self, show: Show) -> None:
        """Read every row. Raises StoreError."""
        async for row in self._tables.rows():
            if application_id := identity(row.entity):
                self._fingerprints[application_id.inbox_partition_key] = fingerprint(row.entity)
                self._report.rows += 1
            else:
                keys = f"{row.entity['PartitionKey']}, {row.entity['RowKey']}"
                self._report.findings.append(Finding(keys, "left", reason="its keys are no application's"))
            show(self._report.rows)

    async def read_inbox(self, show: Show) -> list[ApplicationId]:
        """Read every notification, and give the applications whose rows are suspect. Raises StoreError."""
        replay: Replay | None = None
        async for row in self._tables.entries():  # ordered by PartitionKey: an application's are together
            key = row.entity["PartitionKey"]
            if replay is None or replay.key != key:
                self._compare(replay)
                replay = Replay(key)
            replay.add(row.entity)
            self._report.notifications += 1
            show(self._report.looked_at, f"{self._report.notifications:,} notifications")
        self._compare(replay)
        without = map(of_inbox_key, self._fingerprints)  # what is left of them
        return self._suspects + [application_id for application_id in without if application_id]

    def _compare(self, replay: Replay | None) -> None:
        if replay is None:
            return
        application_id = of_inbox_key(replay.key)
        if application_id is None:
            flaws = [Flaw(row_key, "its PartitionKey is no application's") for row_key in sorted(replay.orders)]
            self._report.findings.append(Finding(replay.key, "left", flaws=flaws))
            return
        found = self._fingerprints.pop(replay.key, None)
        if found is None:
            self._report.rows += 1
        if replay.application and not replay.flaws and found == fingerprint(application_entity(replay.application)):
            self._report.looked_at += 1
        else:
            self._suspects.append(application_id)
