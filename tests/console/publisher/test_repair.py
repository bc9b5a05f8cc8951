"""Rows mended while the webhook is at work, on a real table service: no event that was answered with 200 gets lost.

Time is scaled down: a call is cut off after `DEADLINE` here, and the pause between two looks is longer than that.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import NoReturn

import pytest
from azure.data.tables import TableServiceClient, UpdateMode

from tests import events
from webhook.application import Application, merge
from webhook.notification import Notification
from webhook.record import Memory, Recorder
from webhook.settings import Storage
from webhook.store import ConflictError, StoreError, Versioned
from webhook.tables import APPLICATIONS, INBOX, Tables

pytest.importorskip("rich", reason="rich is not installed: the console is an optional extra")

from console.output import Show
from console.publisher.find import identity
from console.publisher.findings import Report
from console.publisher.repair import LOOKS, Repair, Sight
from console.publisher.survey import Survey

DEADLINE, PAUSE = 0.6, 1.0
FUTURE = "2099-01-01T00:00:00.0000000Z|5|00000000"


def event(name: str, hour: int, event_type: str = "PUT", state: str = "Succeeded", **changes: object) -> Notification:
    """Give an event of an application."""
    more = {"applicationId": events.application_id(name), "eventTime": f"2026-03-01T{hour:02}:00:00Z"}
    return events.notification(event_type, state, **more | changes)


def row_of(*notifications: Notification) -> Application:
    """Give the row that all of them make."""
    row = None
    for notification in notifications:
        row = merge(row, notification)
    assert row is not None
    return row


def instance(tables: Tables) -> Recorder:
    """Give what one instance of the app has to itself: its memory."""
    return Recorder(tables, Memory(time.monotonic), asyncio.sleep, random.random)


@contextmanager
def unseen(_: int) -> Iterator[Show]:
    """Show no progress."""
    yield lambda *_: None


def repair_on(
    tables: Tables,
    report: Report,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    *,
    force: bool = False,
) -> Repair:
    """Give a repair at the pace of these tests."""
    return Repair(tables, report, now=lambda: events.NOW, sleep=sleep, progress=unseen, pause=PAUSE, force=force)


# --- the webhook at work beside it


class Slow(Tables):
    """Tables whose inbox, or whose rows, are written after a while, as they are when the service is busy."""

    chance = random.Random(5)

    async def add_notification(self, notification: Notification, received_at: datetime) -> bool:
        """Add to the inbox, late."""
        await asyncio.sleep(self.chance.choice((0, 0.2, 0.4)))
        return await super().add_notification(notification, received_at)

    async def read_application(self, application_id: object) -> Versioned | None:
        """Read a row, late."""
        await asyncio.sleep(self.chance.choice((0, 0, 0.2)))
        return await super().read_application(application_id)  # type: ignore[arg-type] # as the caller has it


@dataclass
class Traffic:
    """Events that are delivered as the Marketplace does: again after 500, until it hears 200."""

    tables: Tables
    answered: dict[str, list[Notification]] = field(default_factory=dict)
    failures: int = 0

    async def deliver(self, recorder: Recorder, notification: Notification, after: float) -> None:
        """Deliver an event at some time."""
        await asyncio.sleep(after)
        while True:
            try:
                async with asyncio.timeout(DEADLINE):
                    await recorder.record(notification, events.NOW)
            except (StoreError, TimeoutError):
                self.failures += 1
                await asyncio.sleep(0.1)
            else:
                self.answered.setdefault(notification.application_id.name, []).append(notification)
                return

    async def lost(self) -> list[str]:
        """Give the applications in whose rows an event is missing that was answered with 200."""
        found = []
        for name, answered in self.answered.items():
            row = await self.tables.read_application(answered[0].application_id)
            if row is None or row.application != row_of(*answered):
                found.append(name)
        return found


async def naive(tables: Tables) -> None:
    """Mend rows as one would who is alone with the tables."""
    async for row in tables.rows():
        if application_id := identity(row.entity):
            sight = await Sight.take(tables, application_id, events.NOW, force=True)
            if sight.row and sight.expected and sight.differences:
                with suppress(ConflictError):
                    await tables.replace_application(sight.expected, sight.row.version)


async def careful(tables: Tables, *, force: bool) -> Report:
    """Mend rows as `managedapps rebuild` does."""
    report = Report()
    survey = Survey(tables, report)
    await survey.read_rows(lambda *_: None)
    await repair_on(tables, report, force=force).run(await survey.read_inbox(lambda *_: None))
    return report


async def meddle(tables: Tables, name: str, kind: int) -> None:
    """Damage a row, as a person would: without looking at what others do."""
    application_id = event(name, 0).application_id
    row = await tables.row(application_id)
    if row is None:
        return
    client = tables._applications  # noqa: SLF001 - the store itself never writes so
    keys = {"PartitionKey": application_id.partition_key, "RowKey": application_id.row_key}
    match kind % 4:
        case 0:
            await client.update_entity(keys | {"order": FUTURE, "provisioningState": "Deleted"})
        case 1:
            await client.update_entity(keys | {"order": "soon"})
        case 2:
            await client.delete_entity(keys)
        case 3:
            await client.update_entity(keys | {"planOrder": FUTURE, "planName": "free"})


async def storm(storage: Storage, mend: Callable[[Tables], Awaitable[object]]) -> list[str]:
    """Deliver the lives of twelve customers in six seconds, and mend rows all the while, which are damaged as often."""
    names = [f"app{number}" for number in range(12)]
    chance = random.Random(7)
    async with Slow.connect(storage) as slow, Tables.connect(storage) as tables:
        traffic, began = Traffic(tables), time.monotonic()
        instances = [instance(slow) for _ in range(3)]
        async with asyncio.TaskGroup() as group:
            for name in names:
                for hour, (event_type, state) in enumerate(events.PAIRS):
                    # plan and definition are carried by one event each, so that it shows if that one is lost
                    plan, definition = (events.PLAN if hour == 1 else None), (f"d{name}" if hour == 3 else None)
                    each = event(name, hour, event_type, state, plan=plan, applicationDefinitionId=definition)
                    for _ in range(chance.choice((1, 1, 2))):
                        after = 6.0 if hour == len(events.PAIRS) - 1 else chance.uniform(0, 5.9)
                        group.create_task(traffic.deliver(chance.choice(instances), each, after))
            number = 0
            while time.monotonic() - began < 6.2:
                await asyncio.sleep(0.1)
                for name in chance.sample(names, 4):
                    number += 1
                    await meddle(tables, name, number)
                await mend(tables)
        assert traffic.answered.keys() == set(names)
        return await traffic.lost()


@pytest.mark.parametrize("force", [False, True])
def test_no_event_is_lost_while_rows_are_mended(storage: Storage, *, force: bool) -> None:
    """Calls under way, repeated deliveries, rows that are broken meanwhile: every event is in its row at the end."""
    reports: list[Report] = []

    async def mend(tables: Tables) -> None:
        reports.append(await careful(tables, force=force))

    assert asyncio.run(storm(storage, mend)) == []
    assert sum(report.count("rewritten") for report in reports) > 0


def test_the_storm_would_show_a_loss(storage: Storage) -> None:
    """Mending a row at first sight loses the events whose rows were written before their inbox."""
    assert asyncio.run(storm(storage, naive)) != []


# --- one race at a time


class Interrupted(Tables):
    """Tables on which others do something just before a row is replaced."""

    others: Callable[[], Awaitable[None]] | None = None

    async def replace_application(self, application: Application, version: str) -> Versioned:
        """Let the others go first, once."""
        others, self.others = self.others, None
        if others:
            await others()
        return await super().replace_application(application, version)


ACCEPTED = event("orders", 1, "PUT", "Accepted")
SUCCEEDED = event("orders", 2, plan=None)
DELETED = event("orders", 9, "DELETE", "Deleted", plan=None)


async def row_on(tables: Tables) -> Application | None:
    """Read the row of these tests."""
    row = await tables.read_application(ACCEPTED.application_id)
    return row and row.application


async def without(tables: Tables, notification: Notification) -> None:
    """Leave the row as a call does that got no further: it knows an event that the inbox lacks."""
    await instance(tables).update_row(notification)


Step = Callable[[Interrupted, Report], Awaitable[None]]


def mended(storage: Storage, before: Step, *pauses: Step, force: bool = False) -> tuple[Report, Application | None]:
    """Mend a row; others do something before, and in each pause. Gives the report, and the row at the end."""

    async def run() -> tuple[Report, Application | None]:
        async with Interrupted.connect(storage) as tables:
            await instance(tables).record(ACCEPTED, events.NOW)
            report, steps = Report(), iter(pauses)
            await before(tables, report)

            async def sleep(seconds: float) -> None:
                assert seconds == PAUSE
                if step := next(steps, None):
                    await step(tables, report)

            await repair_on(tables, report, sleep, force=force).run([ACCEPTED.application_id])
            return report, await row_on(tables)

    return asyncio.run(run())


async def nothing(_tables: Interrupted, _report: Report) -> None:
    """Let time pass."""


@pytest.mark.parametrize("force", [False, True])
def test_what_the_inbox_gets_while_one_waits_is_no_damage(storage: Storage, *, force: bool) -> None:
    """A row is written a moment before its inbox, or after it: to report that would be crying wolf every day."""

    async def row_first(tables: Interrupted, _: Report) -> None:
        await without(tables, SUCCEEDED)

    async def inbox_later(tables: Interrupted, report: Report) -> None:
        assert report.suspected == 1
        await tables.add_notification(SUCCEEDED, events.NOW)

    report, row = mended(storage, row_first, inbox_later, force=force)

    assert (report.findings, report.suspected) == ([], 0)
    assert row == row_of(ACCEPTED, SUCCEEDED)


def test_what_a_failed_call_left_in_the_row_stays(storage: Storage) -> None:
    """Its event is not in the inbox, but it happened; the same may be true of one that somebody pruned."""

    async def failed(tables: Interrupted, _: Report) -> None:
        await without(tables, DELETED)

    report, row = mended(storage, failed)

    assert [(finding.outcome, finding.kept) for finding in report.findings] == [("kept", True)]
    assert (report.findings[0].alone, report.findings[0].differences) == ([DELETED.order], [])
    assert (report.suspected, report.unsettled) == (0, 0)
    assert row == row_of(ACCEPTED, DELETED)


def test_what_the_row_alone_knows_is_joined_with_what_the_inbox_knows(storage: Storage) -> None:
    """The row keeps what it has, and gets what it lacks."""

    async def failed(tables: Interrupted, _: Report) -> None:
        await without(tables, DELETED)
        await tables.add_notification(SUCCEEDED, events.NOW)
        await tables.add_notification(event("orders", 3, "PATCH", applicationDefinitionId="d"), events.NOW)

    report, row = mended(storage, failed)

    assert [(finding.outcome, finding.kept) for finding in report.findings] == [("rewritten", True)]
    assert next(iter(report.sentences())) == "1 of 0 rows looked at, 1 rewritten, 1 kept."
    assert row == row_of(ACCEPTED, SUCCEEDED, event("orders", 3, "PATCH", applicationDefinitionId="d"), DELETED)


def test_what_a_failed_call_left_in_the_row_is_taken_back_by_force(storage: Storage) -> None:
    """Its event is not in the inbox; the Marketplace repeats it, or somebody made it up."""

    async def failed(tables: Interrupted, _: Report) -> None:
        await without(tables, DELETED)

    report, row = mended(storage, failed, force=True)

    assert [(finding.outcome, finding.kept) for finding in report.findings] == [("rewritten", False)]
    assert report.findings[0].alone == [DELETED.order]
    assert ("provisioningState", "Deleted", "Accepted") in report.findings[0].differences
    assert row == row_of(ACCEPTED)
    assert report.unsettled == 0


@pytest.mark.parametrize("force", [False, True])
def test_an_event_that_came_while_one_waited_is_not_taken_for_old(storage: Storage, *, force: bool) -> None:
    """What the row names and the inbox lacks was not there at the look before: its call may still be under way."""

    async def failed(tables: Interrupted, _: Report) -> None:
        await without(tables, SUCCEEDED)

    async def another(tables: Interrupted, report: Report) -> None:
        await without(tables, DELETED)
        assert report.findings == []

    async def unchanged(tables: Interrupted, report: Report) -> None:
        assert report.findings == []
        assert await row_on(tables) == row_of(ACCEPTED, SUCCEEDED, DELETED)
        await tables.add_notification(DELETED, events.NOW)

    report, row = mended(storage, failed, another, unchanged, force=force)

    assert row == row_of(ACCEPTED, DELETED)
    assert report.findings == []


def test_a_row_that_is_written_meanwhile_is_looked_at_again(storage: Storage) -> None:
    """The write is refused by its condition, and what the other one wrote is merged in."""

    async def failed(tables: Interrupted, _: Report) -> None:
        await without(tables, DELETED)

        async def others() -> None:
            await instance(tables).record(event("orders", 10, "PUT", "Accepted"), events.NOW)

        tables.others = others

    report, row = mended(storage, failed, force=True)

    assert row == row_of(ACCEPTED, event("orders", 10, "PUT", "Accepted"))
    assert [finding.outcome for finding in report.findings] == []  # the newer event hid what was wrong


@pytest.mark.parametrize(("kind", "force"), [("superseded", False), ("superseded", True), ("repeated", True)])
def test_an_event_that_leaves_the_row_as_it_was_is_not_lost(storage: Storage, kind: str, *, force: bool) -> None:
    """The condition of the write does not notice it: it was answered with 200 on a row that was wrong.

    What the row says is from somebody's hand or, with force, from a failed call. While that is about to be taken back,
    an earlier event comes, which the row supersedes, or the failed one comes again. Neither changes the row.
    """
    comes = event("orders", 2, plan=None, billingDetails=None) if kind == "superseded" else DELETED
    outcomes: list[str] = []

    async def wrong(tables: Interrupted, _: Report) -> None:
        await (without(tables, DELETED) if force else meddle(tables, "orders", 0))

        async def others() -> None:
            outcomes.append((await instance(tables).record(comes, events.NOW)).outcome)

        tables.others = others

    async def lost_for_now(tables: Interrupted, report: Report) -> None:
        assert await row_on(tables) == row_of(ACCEPTED)
        assert report.unsettled == 1

    report, row = mended(storage, wrong, nothing, lost_for_now, force=force)

    assert outcomes == ["superseded" if kind == "superseded" else "stored"]
    assert row == row_of(ACCEPTED, comes)
    assert report.unsettled == 0
    assert len(report.findings) == 1


def test_an_event_that_was_lost_by_the_write_comes_back_beside_one_that_the_row_alone_knows(storage: Storage) -> None:
    """The one was answered with 200 while the row was wrong, the call of the other fails after that."""
    planned = event("orders", 2, billingDetails=None)
    other = event("orders", 10, "PATCH", plan=None)

    async def wrong(tables: Interrupted, _: Report) -> None:
        await meddle(tables, "orders", 0)
        await meddle(tables, "orders", 3)

        async def others() -> None:
            assert (await instance(tables).record(planned, events.NOW)).outcome == "superseded"

        tables.others = others

    async def failed(tables: Interrupted, _: Report) -> None:
        assert await row_on(tables) == row_of(ACCEPTED)
        await without(tables, other)

    report, row = mended(storage, wrong, nothing, failed)

    assert row == row_of(ACCEPTED, planned, other)
    assert row != row_of(ACCEPTED, other)
    assert report.unsettled == 0
    assert [finding.outcome for finding in report.findings] == ["rewritten"]


def test_a_row_that_never_rests_is_left_and_said(storage: Storage) -> None:
    """A bounded number of looks, whatever others do."""
    looks: list[int] = []

    async def change(tables: Interrupted, _: Report) -> None:
        await without(tables, event("orders", 10 + len(looks), "PATCH"))
        looks.append(1)

    report, row = mended(storage, change, *[change] * 20)

    assert len(looks) == LOOKS
    assert [finding.reason for finding in report.findings] == ["it changes all the time. Run it again"]
    assert row is not None
    assert row.order == event("orders", 10 + LOOKS - 1, "PATCH").order


def test_a_row_that_never_rests_after_it_was_written_is_said(storage: Storage) -> None:
    """It is not known whether nothing was lost."""
    looks: list[int] = []

    async def damage(tables: Interrupted, _: Report) -> None:
        await meddle(tables, "orders", 0)

    async def change(tables: Interrupted, _: Report) -> None:
        looks.append(1)
        await without(tables, event("orders", 10 + len(looks), "PATCH"))

    report, _ = mended(storage, damage, nothing, *[change] * 20, force=True)

    assert [finding.outcome for finding in report.findings] == ["rewritten"]
    assert report.unsettled == 1
    assert "What was written was not looked at once more: run it again." in list(report.sentences())


@pytest.mark.parametrize("kind", [1, 2], ids=["broken", "deleted"])
def test_a_row_that_says_nothing_must_have_said_nothing_before(storage: Storage, kind: int) -> None:
    """Somebody who broke or deleted it just now may have removed an event whose call is under way."""

    async def damage(tables: Interrupted, report: Report) -> None:
        assert report.findings == []
        await meddle(tables, "orders", kind)

    async def differs(tables: Interrupted, _: Report) -> None:
        await meddle(tables, "orders", 3)

    report, row = mended(storage, differs, damage, damage if kind == 1 else nothing, nothing)

    assert row == row_of(ACCEPTED)
    assert [finding.outcome for finding in report.findings] == ["rewritten" if kind == 1 else "inserted"]


def test_a_row_and_its_notifications_that_are_gone_are_nothing(storage: Storage) -> None:
    """Somebody cleaned up."""

    async def suspect(tables: Interrupted, _: Report) -> None:
        await meddle(tables, "orders", 3)

    async def clean(tables: Interrupted, _: Report) -> None:
        await meddle(tables, "orders", 2)
        entry = {"PartitionKey": ACCEPTED.application_id.inbox_partition_key, "RowKey": ACCEPTED.order}
        await tables._inbox.delete_entity(entry)  # noqa: SLF001 - the store itself never deletes

    report, row = mended(storage, suspect, clean)

    assert (report.findings, report.suspected, row) == ([], 0, None)


def test_storage_that_fails_ends_it_with_its_own_error(storage: Storage) -> None:
    """And not with a group of sixteen."""

    class Down(Tables):
        async def row(self, _: object) -> NoReturn:
            raise StoreError("down")

    async def run() -> None:
        async with Down.connect(storage) as tables:
            await repair_on(tables, Report()).run([ACCEPTED.application_id] * 3)

    with pytest.raises(StoreError, match="down"):
        asyncio.run(run())


# --- what was found in a second reading


def test_a_write_whose_answer_was_lost_is_said(storage: Storage) -> None:
    """The SDK repeats it, and hears that the row has changed: it has, by the first attempt."""

    async def damaged(tables: Interrupted, _: Report) -> None:
        await without(tables, SUCCEEDED)

        async def first_attempt() -> None:
            row = await tables.row(ACCEPTED.application_id)
            assert row is not None
            await Tables.replace_application(tables, row_of(ACCEPTED), row.version)

        tables.others = first_attempt

    report, row = mended(storage, damaged, force=True)

    assert [finding.outcome for finding in report.findings] == ["rewritten"]
    assert ("provisioningState", "Succeeded", "Accepted") in report.findings[0].differences
    assert (report.suspected, report.writing, report.unsettled) == (0, 0, 0)
    assert row == row_of(ACCEPTED)


def test_an_order_from_the_future_is_mended_beside_a_notification_that_cannot_be_used(storage: Storage) -> None:
    """It would freeze the row: every event that comes would be superseded. What else the row knows stays."""

    async def damaged(tables: Interrupted, _: Report) -> None:
        patched = event("orders", 3, "PATCH", applicationDefinitionId="d", plan=None)
        await instance(tables).record(patched, events.NOW)
        with TableServiceClient.from_connection_string(storage.connection_string or "") as service:
            inbox, rows = service.get_table_client(INBOX), service.get_table_client(APPLICATIONS)
            entry = inbox.get_entity(patched.application_id.inbox_partition_key, patched.order)
            inbox.update_entity({**entry, "body": "{"}, mode=UpdateMode.REPLACE)
            row = rows.get_entity(patched.application_id.partition_key, patched.application_id.row_key)
            rows.update_entity({**row, "order": FUTURE, "provisioningState": "Deleted"}, mode=UpdateMode.REPLACE)

    report, row = mended(storage, damaged)

    assert [finding.outcome for finding in report.findings] == ["rewritten"]
    assert len(report.findings[0].flaws) == 1
    assert row is not None
    assert (row.order, row.latest.value.provisioning_state) == (ACCEPTED.order, "Accepted")
    assert row.application_definition_id is not None
    assert row.application_definition_id.value == "d"
