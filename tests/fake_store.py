"""A store in memory that keeps every promise of `webhook.store.Store`; the contract suite holds it to the real one's.

Every operation waits at one gate before it takes effect and at another before it answers, so that a test decides whose
turn it is, which operation fails, and which was done although its answer is lost.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

from webhook.application import Application
from webhook.notification import ApplicationId, Notification
from webhook.rejection import Rejection
from webhook.store import ConflictError, Versioned, count_request

Gate = Callable[[str], Awaitable[None]]

_T = TypeVar("_T")


async def _open(_operation: str) -> None:
    """Let every operation pass."""


class FakeStore:
    """Three dictionaries.

    Args:
        gate: is awaited with the operation's name before each operation takes effect at once; it may raise StoreError.
        exit_gate: the same, before the answer.
    """

    def __init__(self, gate: Gate = _open, exit_gate: Gate = _open) -> None:
        self.inbox: dict[tuple[str, str], str] = {}
        self.rows: dict[str, Versioned] = {}
        self.rejections: dict[tuple[str, str], Rejection] = {}
        self.gate, self.exit_gate = gate, exit_gate
        self._version = 0

    async def add_notification(self, notification: Notification, received_at: datetime) -> bool:
        """See Store."""
        del received_at
        key = (notification.application_id.inbox_partition_key, notification.order)
        return await self._do("add_notification", lambda: _add(self.inbox, key, notification.body))

    async def read_application(self, application_id: ApplicationId) -> Versioned | None:
        """See Store."""
        return await self._do("read_application", lambda: self.rows.get(application_id.inbox_partition_key))

    async def insert_application(self, application: Application) -> Versioned:
        """See Store."""
        return await self._do("insert_application", lambda: self._write(application, None))

    async def replace_application(self, application: Application, version: str) -> Versioned:
        """See Store."""
        return await self._do("replace_application", lambda: self._write(application, version))

    async def add_rejection(self, rejection: Rejection) -> bool:
        """See Store."""
        key = (rejection.day, rejection.digest)
        return await self._do("add_rejection", lambda: _add(self.rejections, key, rejection))

    async def _do(self, operation: str, effect: Callable[[], _T]) -> _T:
        count_request()
        await self.gate(operation)
        result = effect()
        await self.exit_gate(operation)
        return result

    def _write(self, application: Application, version: str | None) -> Versioned:
        key = application.application_id.inbox_partition_key
        row = self.rows.get(key)
        if (row.version if row else None) != version:
            raise ConflictError
        self._version += 1
        self.rows[key] = Versioned(application, str(self._version))
        return self.rows[key]


def _add(table: dict[tuple[str, str], _T], key: tuple[str, str], value: _T) -> bool:
    """Add what is not there yet, and tell whether it was not."""
    added = key not in table
    table.setdefault(key, value)
    return added
