"""The life cycle of an application, from its notifications in the order of their keys: steps, and how long they took.

Pure. A deployment lasts from PUT Accepted to the PUT Succeeded or PUT Failed that comes next, a deletion from DELETE
Deleting to DELETE Deleted or DELETE Failed. One that is tried again is another one, and so is an upgrade, which is
deployed like a new application. Of two beginnings in a row, the later counts. An end without a beginning, because that
was never received, has no duration; nor has one whose application was deleted in between. Two notifications of the same
time are in the order of the life cycle, as their keys are, and no time passes between them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from console.publisher.row import time_of
from webhook.entities import InboxEntry
from webhook.notification import time_of as order_time

Operation = Literal["deployment", "deletion"]

_BEGINNINGS: dict[tuple[str, str], Operation] = {
    ("PUT", "Accepted"): "deployment",
    ("DELETE", "Deleting"): "deletion",
}
_ENDS: dict[tuple[str, str], Operation] = {
    ("PUT", "Succeeded"): "deployment",
    ("PUT", "Failed"): "deployment",
    ("DELETE", "Deleted"): "deletion",
    ("DELETE", "Failed"): "deletion",
}
_GONE = ("DELETE", "Deleted")


@dataclass(frozen=True, slots=True)
class Step:
    """A notification, and what it means for what was under way.

    Attributes:
        time: when it happened, cut to microseconds.
        since_previous: the time since the step before; None for the first.
        operation: what it begins or ends; None for an update.
        ends: whether it ends it.
        began: when that operation began; None unless this step ends it and its beginning is known.
    """

    entry: InboxEntry
    time: datetime
    since_previous: timedelta | None
    operation: Operation | None = None
    ends: bool = False
    began: datetime | None = None

    @property
    def took(self) -> timedelta | None:
        """How long the operation took that ends here."""
        return None if self.began is None else self.time - self.began


def meaning(entry: InboxEntry, under_way: dict[Operation, str]) -> tuple[Operation | None, bool, str | None]:
    """Tell what an application's next notification is to its operations, cheaply enough for millions of them.

    Args:
        under_way: the operations that began and have not ended, with the order keys of their beginnings: empty before
            an application's first notification, and kept up to date here.

    Returns:
        The operation that it begins or ends, None for an update; whether it ends it; and the order key of the beginning
        of what it ends, None where that is not known.
    """
    pair = (entry.event_type, entry.provisioning_state)
    if operation := _BEGINNINGS.get(pair):
        under_way[operation] = entry.order
        return operation, False, None
    if operation := _ENDS.get(pair):
        began = under_way.pop(operation, None)
        if pair == _GONE:
            under_way.clear()
        return operation, True, began
    return None, False, None


def ended(event_type: str, provisioning_state: str) -> Operation | None:
    """Tell what an event of this pair ends, if anything."""
    return _ENDS.get((event_type, provisioning_state))


def steps(entries: Iterable[InboxEntry]) -> Iterator[Step]:
    """Give the steps of one application, whose notifications come in the order of their order keys."""
    under_way: dict[Operation, str] = {}
    previous: datetime | None = None
    for entry in entries:
        time = time_of(order_time(entry.order))
        if time is None:
            continue  # the form is that of an order key, but there is no such day
        operation, ends, began = meaning(entry, under_way)
        since = None if previous is None else time - previous
        previous = time
        yield Step(entry, time, since, operation, ends, None if began is None else time_of(order_time(began)))
