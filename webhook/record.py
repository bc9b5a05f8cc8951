"""Recording a notification: in the inbox as it came, and in its application's row, side by side.

This is where many writers meet. Every write has a condition, and a writer that loses a race decides again on what the
others wrote; as the row is a merge, their order does not matter. It never overwrites blindly, and it returns only when
both are durable.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeVar

from webhook.application import Application, merge
from webhook.notification import ApplicationId, Notification
from webhook.store import ConflictError, Store, StoreError, Versioned

_T = TypeVar("_T")

Outcome = Literal["stored", "duplicate", "superseded"]

ATTEMPTS = 10
"""Writes of one row that may lose a race before the call is given up."""

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.4
"""Seconds: bounds of the pause after a lost race, which doubles from one to the other."""


class Recorded(NamedTuple):
    """What came of a notification, and its application's row as it then stood.

    The outcome is `superseded` where a later event was known, `duplicate` where inbox and row held this one already,
    else `stored`.
    """

    outcome: Outcome
    application: Application


class Memory:
    """The rows that this instance wrote or read last: a guess that saves a read, and never more than a guess.

    Args:
        capacity: rows.
        age: seconds after which a row is forgotten.
        clock: seconds, never going back.
    """

    def __init__(self, clock: Callable[[], float], capacity: int = 1_000, age: float = 600.0) -> None:
        self._rows: OrderedDict[str, tuple[float, Versioned]] = OrderedDict()
        self._clock, self._capacity, self._age = clock, capacity, age

    def recall(self, application_id: ApplicationId) -> Versioned | None:
        """Give the row as it was seen last, if that is not long ago."""
        written, row = self._rows.get(application_id.inbox_partition_key, (0.0, None))
        return row if self._clock() - written < self._age else None

    def keep(self, row: Versioned) -> Versioned:
        """Remember a row, and forget the one that was seen longest ago when there are too many."""
        key = row.application.application_id.inbox_partition_key
        self._rows[key] = (self._clock(), row)
        self._rows.move_to_end(key)
        if len(self._rows) > self._capacity:
            self._rows.popitem(last=False)
        return row


class Recorder:
    """Records notifications in a store.

    Args:
        store: where they are kept.
        memory: the rows seen last.
        sleep: waits for a number of seconds.
        random: gives numbers from 0 to 1, to keep writers that collided apart.
    """

    def __init__(
        self,
        store: Store,
        memory: Memory,
        sleep: Callable[[float], Awaitable[None]],
        random: Callable[[], float],
    ) -> None:
        self._store, self._memory, self._sleep, self._random = store, memory, sleep, random

    async def record(self, notification: Notification, received_at: datetime) -> Recorded:
        """Record a notification that came at `received_at`, in UTC.

        Raises:
            StoreError: not all of it could be recorded; doing it again does no harm.
        """
        try:
            async with asyncio.TaskGroup() as both:
                inbox = both.create_task(_settled(self._store.add_notification(notification, received_at)))
                row = both.create_task(_settled(self.update_row(notification)))
        except ExceptionGroup as bugs:
            raise bugs.exceptions[0] from None
        added = _result(inbox)
        application, changed = _result(row)
        if not added and not changed:
            return Recorded("duplicate", application)
        return Recorded("stored" if application.order == notification.order else "superseded", application)

    async def update_row(self, notification: Notification) -> tuple[Application, bool]:
        """Merge a notification into its application's row: the row, and whether that changed it.

        Raises:
            StoreError: the store failed, or every attempt lost its race.
        """
        application_id = notification.application_id
        row = self._memory.recall(application_id)
        certain = False  # whether the row was read in this call
        if row is None and not notification.first_of_life:
            row, certain = await self._store.read_application(application_id), True
        lost = 0
        while True:
            merged = merge(row and row.application, notification)
            if row and row.application == merged:
                if certain:
                    return self._memory.keep(row).application, False
                row, certain = await self._store.read_application(application_id), True
                continue
            try:
                if row is None:
                    row = await self._store.insert_application(merged)
                else:
                    row = await self._store.replace_application(merged, row.version)
            except ConflictError:
                if certain:
                    pause = min(FIRST_PAUSE * 2**lost, LONGEST_PAUSE)
                    lost += 1
                    if lost == ATTEMPTS:
                        raise StoreError(f"others changed the application's row first, {lost} times running") from None
                    await self._sleep(self._random() * pause)
                row, certain = await self._store.read_application(application_id), True
            else:
                return self._memory.keep(row).application, True


async def _settled(work: Coroutine[Any, Any, _T]) -> _T | StoreError:
    """Give what a piece of work gives, or the StoreError that ends it, so that the other piece is not given up for it.

    A row that somebody broke can be rebuilt from the inbox, if only the notification gets there.
    """
    try:
        return await work
    except StoreError as error:
        return error


def _result(task: "asyncio.Task[_T | StoreError]") -> _T:
    if task.cancelled():  # not by us: whoever cancels the call does not get here
        raise StoreError("a write was cancelled from within")
    result = task.result()
    if isinstance(result, StoreError):
        raise result
    return result
