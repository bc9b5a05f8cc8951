"""A store in memory that keeps every promise of `webhook.store.Store`; the contract suite holds it to the real one's.

Every operation waits at a gate first, so that a test decides whose turn it is, and which operation fails.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime

from webhook.application import Application
from webhook.notification import ApplicationId, Notification
from webhook.rejection import Rejection
from webhook.store import ConflictError, Versioned, count_request

Gate = Callable[[str], Awaitable[None]]


async def _open(_operation: str) -> None:
    """Let every operation pass."""


class FakeStore:
    """Three dictionaries.

    Args:
        gate: is awaited with the operation's name before each operation takes effect at once; it may raise StoreError.
    """

    def __init__(self, gate: Gate = _open) -> None:
        self.inbox: dict[tuple[str, str], str] = {}
        self.rows: dict[str, Versioned] = {}
        self.rejections: dict[tuple[str, str], Rejection] = {}
        self.gate = gate
        self._version = 0

    async def add_notification(self, notification: Notification, received_at: datetime) -> bool:
        """See Store."""
        await self._pass("add_notification")
        del received_at
        key = (notification.application_id.inbox_partition_key, notification.order)
        added = key not in self.inbox
        self.inbox.setdefault(key, notification.body)
        return added

    async def read_application(self, application_id: ApplicationId) -> Versioned | None:
        """See Store."""
        await self._pass("read_application")
        return self.rows.get(application_id.inbox_partition_key)

    async def insert_application(self, application: Application) -> Versioned:
        """See Store."""
        await self._pass("insert_application")
        if application.application_id.inbox_partition_key in self.rows:
            raise ConflictError
        return self._write(application)

    async def replace_application(self, application: Application, version: str) -> Versioned:
        """See Store."""
        await self._pass("replace_application")
        row = self.rows.get(application.application_id.inbox_partition_key)
        if row is None or row.version != version:
            raise ConflictError
        return self._write(application)

    async def add_rejection(self, rejection: Rejection) -> bool:
        """See Store."""
        await self._pass("add_rejection")
        key = (rejection.day, rejection.digest)
        added = key not in self.rejections
        self.rejections.setdefault(key, rejection)
        return added

    async def _pass(self, operation: str) -> None:
        count_request()
        await self.gate(operation)

    def _write(self, application: Application) -> Versioned:
        self._version += 1
        row = Versioned(application, str(self._version))
        self.rows[application.application_id.inbox_partition_key] = row
        return row
