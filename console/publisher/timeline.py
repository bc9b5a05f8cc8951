"""The life cycle of an application, from its notifications in the order of their keys: steps, and how long they took.

Pure. A deployment lasts from PUT Accepted to the PUT Succeeded or PUT Failed that comes next, a deletion from DELETE
Deleting to DELETE Deleted or DELETE Failed.
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


def steps(entries: Iterable[InboxEntry]) -> Iterator[Step]:
    """Give the steps of one application, whose notifications come in the order of their order keys."""
    began: dict[Operation, datetime] = {}
    previous: datetime | None = None
    for entry in entries:
        time = time_of(order_time(entry.order))
        if time is None:
            continue  # the form is that of an order key, but there is no such day
        pair = (entry.event_type, entry.provisioning_state)
        since = None if previous is None else time - previous
        previous = time
        if operation := _BEGINNINGS.get(pair):
            began[operation] = time
            yield Step(entry, time, since, operation)
        elif operation := _ENDS.get(pair):
            yield Step(entry, time, since, operation, ends=True, began=began.pop(operation, None))
        else:
            yield Step(entry, time, since)
