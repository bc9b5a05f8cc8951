"""The inbox, for those who show it: an entry that somebody broke is counted, and is not in the way of the others."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from console.output import printable, say
from webhook.entities import INBOX_FACTS, InboxEntry, inbox_entry
from webhook.store import EVERYWHERE, StoreError, Where

if TYPE_CHECKING:
    from webhook.tables import Tables


class Notifications:
    """Reads notifications.

    Attributes:
        broken: the keys of the first entry that could not be read, and how many there were.
    """

    def __init__(self, tables: "Tables") -> None:
        self._tables = tables
        self.broken: tuple[str, int] = ("", 0)

    async def read(self, where: Where = EVERYWHERE, *, bodies: bool = True) -> AsyncIterator[InboxEntry]:
        """Give those that can be read, application by application, in the order of the order key.

        Args:
            where: which of them, as the service is to decide.
            bodies: whether they are fetched; all are empty otherwise.
        """
        async for row in self._tables.entries(where, () if bodies else INBOX_FACTS):
            try:
                entry = inbox_entry(row.entity)
            except StoreError:
                first, number = self.broken
                self.broken = (first or f"{row.entity['PartitionKey']}, {row.entity['RowKey']}", number + 1)
            else:
                yield entry

    def warn(self) -> None:
        """Say what could not be read, if anything."""
        first, number = self.broken
        if number:
            say(
                f"Warning: {number:,} entries of the inbox are not as this app wrote them, and are left out. The first "
                f"is {printable(first)}. `managedapps rebuild --dry-run` names all."
            )
