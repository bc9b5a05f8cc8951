"""The row that an application's notifications make: computed anew from the inbox, by the webhook's own merge.

Pure. Every body is validated again, and must be what its key says. One that cannot be used is a flaw, and never
silently left out: whatever it said, only the row may still know.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from webhook.application import Application, merge
from webhook.entities import inbox_entry
from webhook.notification import CLOCK_SKEW, InvalidNotificationError, Notification
from webhook.store import StoreError

_ANY_TIME = datetime.max.replace(tzinfo=UTC) - CLOCK_SKEW
"""For the rule that no event lies ahead. What is in the inbox met it once, whenever it was recorded: at its receipt, or
later if it was refused first. By today's clock, or by a time of receipt that somebody changed, it might not."""


class Flaw(NamedTuple):
    """An entry of the inbox that cannot be used, and why not."""

    row_key: str
    reason: str


class Replay:
    """The notifications of one application.

    Attributes:
        key: their PartitionKey.
        application: the row that they make; None before the first that can be used.
        orders: the RowKeys of all of them, order keys unless somebody else put them there.
        flaws: those that cannot be used.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self.application: Application | None = None
        self.orders: set[str] = set()
        self.flaws: list[Flaw] = []

    def add(self, entity: Mapping[str, Any]) -> None:
        """Take an entity of the inbox with this PartitionKey."""
        self.orders.add(entity["RowKey"])
        try:
            self.application = merge(self.application, self._read(entity))
        except _UnusableError as error:
            self.flaws.append(Flaw(entity["RowKey"], str(error)))

    def _read(self, entity: Mapping[str, Any]) -> Notification:
        try:
            entry = inbox_entry(entity)
            # half a surrogate pair, which is in no body that was recorded, then is what is wrong with the JSON
            notification = Notification.from_body(entry.body.encode(errors="surrogatepass"), now=_ANY_TIME)
        except StoreError:
            raise _UnusableError("this app did not write it so") from None
        except InvalidNotificationError as error:
            raise _UnusableError(f"its body is not a valid notification: {error}") from None
        if notification.application_id.inbox_partition_key != self.key:
            raise _UnusableError("its body is about another application")
        if notification.order != entry.order:
            raise _UnusableError(f"its body has another order key, {notification.order}")
        return notification


class _UnusableError(Exception):
    """An entry cannot be used; the text says why."""
