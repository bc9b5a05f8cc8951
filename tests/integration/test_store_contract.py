"""One contract for every store: the fake that the unit tests use, and Azure Table Storage as Azurite serves it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from tests import events
from tests.fake_store import FakeStore
from webhook.application import Application, merge
from webhook.notification import Notification
from webhook.rejection import Rejection
from webhook.store import ConflictError, Store, Tally, tally
from webhook.tables import Tables

Rule = Callable[[Store], Awaitable[None]]
Check = Callable[[Rule], None]


@pytest.fixture(params=["fake", "azurite"])
def check(request: pytest.FixtureRequest) -> Check:
    """Run a rule on a store that holds nothing."""

    @asynccontextmanager
    async def store() -> AsyncIterator[Store]:
        if request.param == "fake":
            yield FakeStore()
            return
        async with Tables.connect(request.getfixturevalue("storage")) as tables:
            yield tables

    async def run(rule: Rule) -> None:
        async with store() as opened:
            await rule(opened)

    return lambda rule: asyncio.run(run(rule))


FIRST = events.notification("PUT", "Accepted")
SECOND = events.notification("PUT", "Failed", eventTime="2026-03-01T10:05:00.7654321Z", plan=None)
THIRD = events.notification(
    "PATCH", "Succeeded", eventTime="2026-03-01T10:06:00Z", applicationDefinitionId="/definition"
)


def test_a_row_is_read_as_it_was_inserted(check: Check) -> None:
    """A merge decides on what is read back: a detail lost on the way would be lost for good."""

    async def rule(store: Store) -> None:
        written = merge(merge(Application.of(FIRST), SECOND), THIRD)
        version = (await store.insert_application(written)).version
        read = await store.read_application(FIRST.application_id)
        assert read is not None
        assert read.application == written
        assert read.version == version

    check(rule)


def test_a_row_that_is_not_there_is_none(check: Check) -> None:
    """Neither a missing row nor a missing table is a fault."""

    async def rule(store: Store) -> None:
        assert await store.read_application(FIRST.application_id) is None

    check(rule)


def test_an_insert_never_overwrites(check: Check) -> None:
    """The writer that comes second has to see what the first one wrote."""

    async def rule(store: Store) -> None:
        await store.insert_application(Application.of(SECOND))
        with pytest.raises(ConflictError):
            await store.insert_application(Application.of(FIRST))
        read = await store.read_application(FIRST.application_id)
        assert read is not None
        assert read.application == Application.of(SECOND)

    check(rule)


def test_a_replacement_needs_the_version_that_is_there(check: Check) -> None:
    """A row that somebody changed in between is not overwritten."""

    async def rule(store: Store) -> None:
        first = await store.insert_application(Application.of(FIRST))
        second = await store.replace_application(merge(first.application, SECOND), first.version)
        assert second.version != first.version
        with pytest.raises(ConflictError):
            await store.replace_application(merge(first.application, THIRD), first.version)
        read = await store.read_application(FIRST.application_id)
        assert read == second

    check(rule)


def test_a_replacement_leaves_nothing_of_the_old_row(check: Check) -> None:
    """An error that is over must not survive in its column."""

    async def rule(store: Store) -> None:
        failed = await store.insert_application(Application.of(SECOND))
        succeeded = merge(failed.application, THIRD)
        await store.replace_application(succeeded, failed.version)
        read = await store.read_application(FIRST.application_id)
        assert read is not None
        assert read.application == succeeded
        assert read.application.latest.value.error is None

    check(rule)


def test_a_row_that_is_gone_cannot_be_replaced(check: Check) -> None:
    """A remembered row whose table was emptied behind the app's back must be written anew, not taken for written."""

    async def rule(store: Store) -> None:
        row = Application.of(FIRST)
        version = (await store.insert_application(row)).version
        other = replace(row, latest=replace(row.latest, value=Application.of(_elsewhere()).latest.value))
        with pytest.raises(ConflictError):
            await store.replace_application(other, version)

    check(rule)


def test_old_and_new_spellings_are_one_row(check: Check) -> None:
    """Resource IDs are case-insensitive, and come with and without the leading slash."""

    async def rule(store: Store) -> None:
        await store.insert_application(Application.of(FIRST))
        respelt = events.notification("PUT", "Succeeded", applicationId=events.APPLICATION_ID.upper().lstrip("/"))
        with pytest.raises(ConflictError):
            await store.insert_application(Application.of(respelt))
        assert await store.read_application(respelt.application_id) is not None

    check(rule)


def test_the_inbox_keeps_a_notification_once(check: Check) -> None:
    """A redelivery is recognised, however it is spaced; another event is not taken for one."""

    async def rule(store: Store) -> None:
        assert await store.add_notification(FIRST, events.NOW) is True
        assert await store.add_notification(events.notification("PUT", "Accepted"), events.NOW) is False
        assert await store.add_notification(SECOND, events.NOW) is True
        assert await store.add_notification(_elsewhere(), events.NOW) is True

    check(rule)


def test_a_refused_body_is_kept_once_a_day(check: Check) -> None:
    """A sender that repeats a bad body all day fills no table."""

    async def rule(store: Store) -> None:
        rejection = Rejection.of(b"{}", events.NOW, [{"loc": ["eventType"], "msg": "Field required"}])
        assert await store.add_rejection(rejection) is True
        assert await store.add_rejection(Rejection.of(b"{}", events.NOW)) is False
        assert await store.add_rejection(Rejection.of(b"[]", events.NOW)) is True
        assert await store.add_rejection(Rejection.of(b"{}", events.NOW.replace(day=3))) is True

    check(rule)


def test_every_request_is_counted(check: Check) -> None:
    """The number of storage requests in the log line is how an operator sees what a call costs."""

    async def rule(store: Store) -> None:
        await store.add_notification(FIRST, events.NOW)  # the first write of all creates the table
        tally.set(counted := Tally())
        await store.add_notification(SECOND, events.NOW)
        await store.read_application(FIRST.application_id)
        assert counted.requests == 2

    check(rule)


def _elsewhere() -> Notification:
    return events.notification("PUT", "Accepted", applicationId=events.application_id("elsewhere"))
