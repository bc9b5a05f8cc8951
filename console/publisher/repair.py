"""Looking closely at rows that seem wrong, and writing them anew from the inbox, while the webhook is at work.

No event that was answered with 200 may be missing in a row when this is done, and no sight in passing may be taken for
damage. The webhook writes a row and the inbox side by side, and all that is known of a call is that it has ended, one
way or another, within `DEADLINE` seconds. Hence:

- A row is read before its notifications, so that an event that is in both is never taken for one of the row alone.
- Nothing is written, or said of a row, that was not seen twice, a pause apart which is longer than any call. What the
  row named at the first look and the inbox lacks at the second is of no call that was under way, but of one that
  failed, which the Marketplace repeats, or of nobody's.
- What the row alone knows stays: of an event that it names and the inbox lacks, because somebody pruned the inbox, or
  because its call failed half-way and was never repeated. Only `force` takes it away. But a row that cannot be read, or
  that names what can be no event, such as one of next year, was damaged by somebody, and is mended.
- Every write has the condition that the row is still the one that was read.
- What was written is looked at once more, after another pause. The condition does not hold off a call that leaves the
  row as it is: one whose event the row already had, from a failed call or from somebody's edit that is now gone. The
  inbox has that event by then, and it is merged in like any other.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from console.output import Show
from console.publisher.findings import Finding, Outcome, Report
from console.publisher.replay import Replay
from console.publisher.row import time_of
from webhook.application import Application, Register, T, join
from webhook.entities import Difference, Row, application_of, differences
from webhook.notification import CLOCK_SKEW, EARLIEST, ApplicationId
from webhook.notification import time_of as order_time
from webhook.receive import DEADLINE
from webhook.store import ConflictError, StoreError, Where

if TYPE_CHECKING:
    from webhook.tables import Tables

PAUSE = DEADLINE + 3
"""Seconds between two looks at a row: calls that were under way at the first have ended at the second."""

LOOKS = 7
"""At a row that keeps changing, before it is given up."""

AT_ONCE = 16
"""Rows that are looked at side by side."""


class Trace(NamedTuple):
    """What is remembered of a look: the row's version, and the order keys that it named."""

    version: str | None
    named: frozenset[str]

    @classmethod
    def of(cls, version: str | None, application: Application | None) -> "Trace":
        """Remember a row; None where there was none, or none that can be read."""
        if application is None:
            return cls(version, frozenset())
        registers = (application.plan, application.resource_usage_id, application.application_definition_id)
        named = {application.order, application.first_order, *(register.order for register in registers if register)}
        return cls(version, frozenset(named))


@dataclass(frozen=True, slots=True)
class Sight:
    """An application as it was seen.

    Attributes:
        row: None where there is none.
        known: what the row says; None where there is none, or none that can be read.
        trusted: the same without what names an order key that no event can have.
        alone: the order keys of the events that the row names and the inbox lacks; none where one of them can be no
            event's, as somebody then wrote into the row.
        force: what the row alone knows is not to stay.
    """

    row: Row | None
    known: Application | None
    trusted: Application | None
    replay: Replay
    alone: Sequence[str]
    force: bool

    @classmethod
    async def take(
        cls, tables: "Tables", application_id: ApplicationId, now: datetime, *, force: bool = False
    ) -> "Sight":
        """Look at an application: at its row first. Raises StoreError."""
        row = await tables.row(application_id)
        replay = Replay(application_id.inbox_partition_key)
        async for entry in tables.entries(Where("PartitionKey eq @key", {"key": replay.key})):
            replay.add(entry.entity)
        known, made = _known(row, replay.key), replay.application
        if row and row.changed_at:
            now = max(now, row.changed_at)  # the service's clock, where this machine's is behind
        lacking = sorted(Trace.of(None, known).named - replay.orders) if made else []
        alone = lacking if all(_possible(order, now) for order in lacking) else ()
        return cls(row, known, known and made and _trusted(known, made, now), replay, alone, force)

    @property
    def trace(self) -> Trace:
        """What to remember of it."""
        return Trace.of(self.row and self.row.version, self.known)

    @property
    def expected(self) -> Application | None:
        """What the row should be; None where that cannot be told.

        Where a notification cannot be used or is not there, only the row may know what it said, so that nothing is
        taken from the row.
        """
        made = self.replay.application
        if made is None or self.row is None or not (self.replay.flaws or (self.alone and not self.force)):
            return made
        return self.trusted and join(made, self.trusted)  # of two registers with the same key, the one that was made

    @property
    def kept(self) -> bool:
        """Whether the row knows alone of an event, and keeps that."""
        return bool(self.alone) and (bool(self.replay.flaws) or not self.force)

    @property
    def differences(self) -> list[Difference]:
        """The columns of the row that are not what they should be; none where there is no row, or that is not known."""
        return differences(self.row.entity, self.expected) if self.row and self.expected else []

    @property
    def reason(self) -> str:
        """Why it cannot be told what the row should be."""
        if not self.replay.orders:
            return "no notification of it is in the inbox"
        return "it cannot be read" if self.replay.application else "none of its notifications can be used"

    def settled_since(self, trace: Trace) -> bool:
        """Tell whether whatever the inbox lacks was in the row at the earlier look already."""
        if self.known is None:
            return self.trace.version == trace.version
        return self.trace.named - self.replay.orders <= trace.named


def _possible(order: str, now: datetime) -> bool:
    """Tell whether an event can have this order key, by the rule for those that come."""
    time = time_of(order_time(order))
    return time is not None and EARLIEST <= time <= now + CLOCK_SKEW


def _trusted(known: Application, made: Application, now: datetime) -> Application:
    """Give what a row says without what names an order key that no event can have: what was made stands for that."""

    def possible(register: Register[T] | None) -> Register[T] | None:
        return register if register and _possible(register.order, now) else None

    return Application(
        possible(known.latest) or made.latest,
        known.first_order if _possible(known.first_order, now) else made.first_order,
        possible(known.plan),
        possible(known.resource_usage_id),
        possible(known.application_definition_id),
    )


def _known(row: Row | None, key: str) -> Application | None:
    """Read a row; one that is about another application than its keys is not to be merged with anything."""
    with suppress(StoreError):
        known = row and application_of(row.entity)
        return known if known and known.application_id.inbox_partition_key == key else None
    return None


@dataclass(slots=True)
class _Case:
    """An application that is looked at.

    Attributes:
        trace: of the look before, or of what was written then; None before the first that found something wrong.
        written: whether its row was.
    """

    application_id: ApplicationId
    trace: Trace | None = None
    written: bool = False


class Repair:
    """Looks closely at applications, and mends their rows.

    Args:
        report: is told what is found and done.
        now: the time, in UTC.
        dry_run: write nothing.
        force: take from rows what they alone know.
        pause: seconds between two looks; longer than any call of the webhook takes.
        sleep: waits for a number of seconds.
        progress: shows how many of so many were looked at.
    """

    def __init__(  # noqa: PLR0913 - all but the first two are by name
        self,
        tables: "Tables",
        report: Report,
        *,
        now: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]],
        progress: Callable[[int], AbstractContextManager[Show]],
        pause: float = PAUSE,
        dry_run: bool = False,
        force: bool = False,
    ) -> None:
        self._tables, self._report, self._now, self._dry_run, self._force = tables, report, now, dry_run, force
        self._pause, self._sleep, self._progress = pause, sleep, progress

    async def run(self, suspects: Sequence[ApplicationId]) -> None:
        """Look at them until each is right or reported. Raises StoreError."""
        cases = [_Case(application_id) for application_id in suspects]
        for look in range(1, LOOKS + 1):
            cases = await self._look_at_all(cases, first=look == 1, last=look == LOOKS)
            if not cases:
                return
            await self._sleep(self._pause)

    async def _look_at_all(self, cases: Sequence[_Case], *, first: bool, last: bool) -> list[_Case]:
        """Look at each once, and give those that have to be looked at again."""
        waiting, again, done = iter(cases), list[_Case](), 0

        async def work(show: Show) -> None:
            nonlocal done
            for case in waiting:
                if await self._look_at(case, last=last):
                    again.append(case)
                self._report.looked_at += first
                done += 1
                show(done)

        with self._progress(len(cases)) as show:
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(AT_ONCE, len(cases))):
                        group.create_task(work(show))
            except ExceptionGroup as errors:
                raise errors.exceptions[0] from None
        return again

    async def _look_at(self, case: _Case, *, last: bool) -> bool:
        """Look at an application, and do what can be done now; tell whether it has to be looked at again."""
        sight = await Sight.take(self._tables, case.application_id, self._now(), force=self._force)
        expected, seen_before = sight.expected, case.trace
        if expected is None and sight.row is None and not sight.replay.orders:
            return self._close(case)  # nothing is there any more
        right = expected is not None and sight.row is not None and not sight.differences
        if right and (case.written or not sight.alone):  # what it alone knows may be of a call that is under way
            if sight.replay.flaws and not case.written:
                self._find(case, sight, "left")
            return self._close(case)
        case.trace = sight.trace
        if seen_before is None:
            self._report.suspected += 1
            return True
        if expected is None:
            self._find(case, sight, "left", sight.reason)
            return self._close(case)
        if last:
            if case.written:
                return False  # and it stays counted as unsettled
            self._find(case, sight, "left", "it changes all the time. Run it again")
            return self._close(case)
        if sight.settled_since(seen_before):
            return await self._settle(case, sight, expected)
        return True

    async def _settle(self, case: _Case, sight: Sight, expected: Application) -> bool:
        """Do what is to be done, now that nothing is under way; tell whether to look again."""
        if sight.row and not sight.differences:
            self._find(case, sight, "kept")
        elif self._dry_run:
            self._find(case, sight, "would be rewritten" if sight.row else "would be inserted")
        else:
            await self._write(case, sight, expected)
            return True
        return self._close(case)

    async def _write(self, case: _Case, sight: Sight, expected: Application) -> None:
        """Write the row, unless somebody else does first."""
        self._report.writing += 1  # it stays counted where its answer is not heard
        try:
            if sight.row is None:
                written = await self._tables.insert_application(expected)
            else:
                written = await self._tables.replace_application(expected, sight.row.version)
            version = written.version
        except ConflictError:  # somebody wrote first; or we did, and the answer to that got lost
            self._report.writing -= 1
            now = await Sight.take(self._tables, case.application_id, self._now(), force=self._force)
            if now.row is None or now.expected != expected or now.differences:
                return
            version = now.row.version
        else:
            self._report.writing -= 1
        if not case.written:
            self._find(case, sight, "rewritten" if sight.row else "inserted")
            self._report.suspected -= 1
            self._report.unsettled += 1
        case.trace, case.written = Trace.of(version, expected), True

    def _find(self, case: _Case, sight: Sight, outcome: Outcome, reason: str | None = None) -> None:
        known = sight.expected or sight.known
        self._report.findings.append(
            Finding(
                (known.application_id if known else case.application_id).text,
                outcome,
                sight.row is None,
                sight.differences,
                sight.replay.flaws,
                reason,
                () if outcome == "left" else sight.alone,
                kept=outcome != "left" and sight.kept,
            )
        )

    def _close(self, case: _Case) -> bool:
        if case.written:
            self._report.unsettled -= 1
        elif case.trace is not None:
            self._report.suspected -= 1
        return False
