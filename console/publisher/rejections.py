"""Bodies that were refused: finding them, and trying again to record them.

What is recorded here is recorded as a delivery would have been, by the webhook's own code and with the time at which it
came. The refused body itself stays, and is marked. Nothing is lost where that is interrupted: recording twice is
recording once.
"""

import asyncio
import hashlib
import random
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from console import ConsoleError
from console.publisher.find import SHOWN
from webhook.entities import Row, rejection_of
from webhook.notification import FieldError, InvalidNotificationError, Notification
from webhook.receive import DEADLINE
from webhook.record import Memory, Recorder
from webhook.rejection import Rejection
from webhook.store import EVERYWHERE, ConflictError, StoreError, Where

if TYPE_CHECKING:
    from webhook.tables import Tables

_HEX = re.compile(r"[0-9a-f]{1,64}", re.ASCII)
_MARKINGS = 3  # of one entry that may lose a race

Outcome = Literal[
    "stored", "superseded", "duplicate", "would be recorded", "recorded before", "invalid", "cut short", "failed"
]


class RejectionError(ConsoleError):
    """No refused body is meant, or more than one could be."""


class Key(NamedTuple):
    """Where a refused body is: the day on which it came, and the digest that is its ID."""

    day: str
    digest: str


async def rejections(
    tables: "Tables", earliest: datetime | None, unreadable: Callable[[Key, str], None]
) -> AsyncIterator[Rejection]:
    """Give refused bodies by day and digest, each without the body.

    Args:
        earliest: only those that came since then.
        unreadable: is told of those that this app did not write so, which are left out.
    """
    days = Where("PartitionKey ge @day", {"day": earliest.date().isoformat()}) if earliest else EVERYWHERE
    async for row in tables.rejections(days, bodies=False):
        try:
            rejection = rejection_of(row.entity)
        except StoreError as error:
            unreadable(_key(row), str(error))
            continue
        if earliest is None or rejection.received_at >= earliest:
            yield rejection


async def find(tables: "Tables", text: str) -> list[Key]:
    """Find the refused body with this ID, or with the only one that begins so: it may have come on several days.

    Raises:
        RejectionError: there is none, or more than one.
    """
    wanted = text.strip().lower()
    if not _HEX.fullmatch(wanted):
        raise RejectionError(f"{text!r} is not the ID of a refused body: see `managedapps rejected list --all`")
    where = Where("RowKey ge @first and RowKey lt @after", {"first": wanted, "after": f"{wanted}g"})
    keys = [_key(row) async for row in tables.rejections(where, bodies=False)]
    found = [key for key in keys if _HEX.fullmatch(key.digest)]  # others are between them where somebody put some there
    digests = sorted({key.digest for key in found})
    if not digests:
        raise RejectionError(f"no ID of a refused body begins with {wanted}: see `managedapps rejected list --all`")
    if len(digests) > 1:
        names = "".join(f"\n  {digest}" for digest in digests[:SHOWN])
        more = f"\n  and {len(digests) - SHOWN:,} more" if len(digests) > SHOWN else ""
        raise RejectionError(f"{len(digests):,} IDs begin with {wanted}. Give more digits of one:{names}{more}")
    return found


async def read(tables: "Tables", text: str) -> list[Rejection]:
    """Read the refused body with this ID, whole, as often as it came, that which came last at the end.

    Raises:
        RejectionError: there is none, or more than one.
        StoreError: it cannot be read.
    """
    rows = [await tables.rejection(*key) for key in await find(tables, text)]
    found = [rejection_of(row.entity) for row in rows if row]
    if not found:
        raise RejectionError("somebody deleted it just now")
    return sorted(found, key=lambda rejection: rejection.received_at)


class Attempt(NamedTuple):
    """What came of trying a refused body again.

    Attributes:
        notification: what it is now; None if it is still none.
        errors: what is wrong with which field.
        reason: what else is wrong.
    """

    key: Key
    outcome: Outcome
    notification: Notification | None = None
    errors: Sequence[FieldError] = ()
    reason: str | None = None

    @property
    def passed(self) -> bool:
        """Whether it is recorded, or would be."""
        return self.outcome not in ("invalid", "cut short", "failed")

    def sentence(self) -> str:
        """Say it."""
        if self.errors:
            return f"still invalid: {said(self.errors)}"
        if self.reason:
            return f"{self.outcome}: {self.reason}"
        if event := self.notification:
            what = f"{event.event_type} {event.provisioning_state} of {event.event_time}, {event.application_id.text}"
            return f"{self.outcome}: {what}"
        return self.outcome

    def to_json(self) -> dict[str, Any]:
        """Give it for programs."""
        event = self.notification
        return {
            "day": self.key.day,
            "id": self.key.digest,
            "outcome": self.outcome,
            "applicationId": event and event.application_id.text,
            "eventType": event and event.event_type,
            "provisioningState": event and event.provisioning_state,
            "eventTime": event and event.event_time,
            "errors": list(self.errors),
            "reason": self.reason,
        }


def said(errors: Sequence[FieldError]) -> str:
    """Give what is wrong with which field as a text."""
    return str(InvalidNotificationError(list(errors)))


@dataclass(slots=True)
class Run:
    """What is tried again; it is filled while that is done, so that an interrupted run can say what it did.

    Attributes:
        keys: what is to be tried.
        cut_short: how many more cannot be, as only their beginning was kept.
    """

    keys: list[Key] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    cut_short: int = 0


async def chosen(tables: "Tables", ids: Sequence[str], run: Run) -> None:
    """Choose what is to be tried again: those that are named, else all that were not recorded since.

    Raises:
        RejectionError: a name fits none, or more than one.
        StoreError: they cannot be read.
    """
    if ids:
        named = [await find(tables, text) for text in ids]
        run.keys = sorted({key for keys in named for key in keys})
        return
    async for rejection in rejections(tables, None, lambda key, _: run.keys.append(key)):
        if rejection.recorded_at is None:
            if rejection.truncated:
                run.cut_short += 1
            else:
                run.keys.append(Key(rejection.day, rejection.digest))


class Retry:
    """Validates refused bodies again and, if they pass, records them.

    Args:
        now: the time, in UTC.
        dry_run: write nothing.
    """

    def __init__(self, tables: "Tables", now: Callable[[], datetime], *, dry_run: bool = False) -> None:
        self._tables, self._now, self._dry_run = tables, now, dry_run
        self._recorder = Recorder(tables, Memory(time.monotonic), asyncio.sleep, random.random)

    async def attempt(self, key: Key) -> Attempt:
        """Try one again. Raises StoreError if storage fails, and not if the fault lies in what is stored."""
        try:
            return await self._attempt(key)
        except StoreError as error:
            if error.cause == "foreign":
                return Attempt(key, "failed", reason=str(error))
            raise

    async def _attempt(self, key: Key) -> Attempt:
        row = await self._tables.rejection(*key)
        if row is None:
            return Attempt(key, "failed", reason="somebody deleted it meanwhile")
        rejection = rejection_of(row.entity)
        if rejection.recorded_at:
            return Attempt(key, "recorded before")
        if rejection.truncated:
            return Attempt(key, "cut short", reason="only its first 256 KiB were kept")
        kept = rejection.body
        body = kept if isinstance(kept, bytes) else kept.encode(errors="surrogatepass")
        if hashlib.sha256(body).hexdigest() != key.digest:
            return Attempt(key, "failed", reason="somebody changed it since it came")
        try:
            notification = Notification.from_body(body, now=self._now())
        except InvalidNotificationError as error:
            return Attempt(key, "invalid", errors=error.errors)
        if self._dry_run:
            return Attempt(key, "would be recorded", notification)
        try:
            async with asyncio.timeout(DEADLINE):  # as a call: `repair` relies on it
                recorded = await self._recorder.record(notification, rejection.received_at)
        except TimeoutError:
            raise StoreError(f"storage did not answer within {DEADLINE:g} seconds", "no answer") from None
        try:
            await self._mark(rejection, row.version)
        except StoreError as error:  # it is recorded all the same, and will be a duplicate the next time
            return Attempt(key, recorded.outcome, notification, reason=f"recorded, but not marked as such: {error}")
        return Attempt(key, recorded.outcome, notification)

    async def _mark(self, rejection: Rejection, version: str) -> None:
        for _ in range(_MARKINGS):
            try:
                return await self._tables.mark_recorded(rejection, version, self._now())
            except ConflictError:  # it can be our own mark, whose answer got lost
                row = await self._tables.rejection(rejection.day, rejection.digest)
                if row is None or row.entity.get("recordedAt"):
                    return None
                version = row.version
        raise StoreError(f"others changed the refused body {rejection.digest}, {_MARKINGS} times running")


def _key(row: Row) -> Key:
    return Key(row.entity["PartitionKey"], row.entity["RowKey"])
