"""Every fault of storage, as an operator reads of it: which answer is given, and that the line names the cause."""

import asyncio
import json
import logging
from collections.abc import Iterator
from typing import Self

import pytest

from tests import events
from tests.relay import Fault, Relay, none
from tools.azurite import Azurite, connection_string
from webhook.application import merge
from webhook.notification import Notification
from webhook.receive import Receiver, Reply
from webhook.settings import Settings, Storage
from webhook.tables import Tables

SECRET = "correct-horse-battery-staple"
DEADLINE = 4.0

KINDS = ("first", "later, cold", "later, warm", "invalid")
"""Calls that take different ways: an insert unseen, a read first, a replacement from memory, and a rejection for which
the table is still missing."""

FIRST = ("PUT", "Accepted", "2026-03-01T10:00:00Z")
LATER = ("PUT", "Succeeded", "2026-03-01T10:05:00Z")

REASONS: dict[Fault, str] = {
    Fault.REFUSE: "storage could not be reached: ",
    Fault.DROP: "storage could not be reached: ServerDisconnectedError",
    Fault.DROP_ANSWER: "storage could not be reached: ServerDisconnectedError",
    Fault.BUSY: "storage answered 503 ServerBusy",
    Fault.BUSY_AFTER: "storage answered 503 ServerBusy",
    Fault.BUSY_FOR_LONG: "storage answered 503 ServerBusy",
    Fault.THROTTLED: "storage answered 429 TooManyRequests",
    Fault.ERROR_AFTER: "storage answered 500 InternalError",
    Fault.CHANGED_AFTER: "storage answered 412 UpdateConditionNotSatisfied",
    Fault.NO_TABLE: "storage answered 404 TableNotFound",
    Fault.FORBIDDEN: "storage answered 403 AuthorizationPermissionMismatch",
    Fault.GARBAGE: "storage sent an answer that cannot be read: ",
    Fault.HALF_ANSWER: "storage sent an answer that cannot be read: ",
    Fault.TRICKLE: "storage did not answer within 4 seconds",
    Fault.HANG: "storage did not answer within 4 seconds",
}
HARMLESS: dict[Fault, tuple[str, ...]] = {
    # what is done, and needs no body of the answer, is known to be done all the same
    Fault.GARBAGE: ("first", "later, warm"),
    Fault.HALF_ANSWER: ("first", "later, warm"),
    Fault.DELAY: KINDS,
}


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """Give the log lines of the app, as they come."""
    found: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: found.append(record.getMessage())  # type: ignore[method-assign]  # the shortest handler
    log = logging.getLogger("webhook")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield found
    log.removeHandler(handler)
    log.setLevel(logging.NOTSET)


def body(kind: str, event: tuple[str, str, str]) -> bytes:
    """Give the body of a call of a kind: each is about an application of its own."""
    if kind == "invalid":
        return json.dumps({"eventType": kind}).encode()
    name = kind.replace(", ", "-")
    return events.body(*event[:2], eventTime=event[2], applicationId=events.application_id(name))


@pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name)
def test_a_fault_that_stays_is_a_500_that_says_why_and_is_over_when_it_is_over(
    storage: Storage, azurite: Azurite, lines: list[str], fault: Fault
) -> None:
    """At 3 a.m. the line has to name the cause, not a victim; and no one must have to restart anything afterwards."""

    async def run() -> None:
        async with Relay(azurite.port) as relay, Instances(relay.port) as instances:
            for kind in ("later, cold", "later, warm"):
                assert (await instances[kind].receive(SECRET, body(kind, FIRST))).status == 200
            instances.forget("later, cold")
            lines.clear()

            relay.choose = lambda _: fault
            struck = await instances.call_all()
            for kind, reply in struck.items():
                expected = 400 if kind == "invalid" else 200
                assert reply.status == (expected if kind in HARMLESS.get(fault, ()) else 500), kind
            for line in map(json.loads, lines):
                assert line["status"] != 500 or REASONS[fault] in line["reason"], line
                assert line["durationMs"] < (DEADLINE + 0.9) * 1000

            relay.choose = none
            await asyncio.sleep(0.3 if fault is Fault.REFUSE else 0)
            after = await instances.call_all()
            assert {kind: reply.status for kind, reply in after.items()} == {
                kind: 400 if kind == "invalid" else 200 for kind in KINDS
            }
        await everything_is_there(storage)

    asyncio.run(run())


async def everything_is_there(storage: Storage) -> None:
    """Check that rows, inbox and rejections hold what all the calls together make."""
    async with Tables.connect(storage) as tables:
        rows = {row.application_id.name: row async for row in tables.applications()}
        inbox = sorted([entry.body async for entry in tables.inbox()])
        assert rows.keys() == {"first", "later-cold", "later-warm"}
        sent = []
        for kind in KINDS[:-1]:
            life = [body(kind, LATER if kind != "first" else FIRST)] + ([body(kind, FIRST)] if kind != "first" else [])
            sent += life
            row = None
            for each in life:
                row = merge(row, Notification.from_body(each, now=events.NOW))
            assert rows[kind.replace(", ", "-")] == row
        assert inbox == sorted(each.decode() for each in sent)


class Instances:
    """An instance of the app for each kind of call."""

    def __init__(self, port: int) -> None:
        self._settings = Settings.from_mapping({"WEBHOOK_SECRET": SECRET, "STATE_STORAGE": connection_string(port)})
        self._opened: list[Tables] = []
        self._instances = {kind: self._instance() for kind in KINDS}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for tables in self._opened:
            await tables.close()

    def __getitem__(self, kind: str) -> Receiver:
        return self._instances[kind]

    def forget(self, kind: str) -> None:
        """Start the instance anew, with nothing in its memory."""
        self._instances[kind] = self._instance()

    async def call_all(self) -> dict[str, Reply]:
        """Make one call of each kind, all at once."""
        calls = {kind: body(kind, FIRST if kind == "first" else LATER) for kind in KINDS}
        replies = await asyncio.gather(*(self[kind].receive(SECRET, sent) for kind, sent in calls.items()))
        return dict(zip(calls, replies, strict=True))

    def _instance(self) -> Receiver:
        return Receiver(self._settings, self._connect, deadline=DEADLINE)

    def _connect(self, storage: Storage) -> Tables:
        self._opened.append(Tables.connect(storage))
        return self._opened[-1]
