"""`managedapps rebuild`: whatever somebody did to the tables is found, said and mended, and nothing else is touched."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from azure.data.tables import TableServiceClient, UpdateMode

from bench.table_service import table_service
from console.marketplace import verify
from console.marketplace.lives import Life
from tests import events
from tests.console.conftest import Run
from tests.console.publisher.conftest import Filled, struck
from tests.relay import Fault
from tests.tools.conftest import needs_signals
from webhook.notification import Notification
from webhook.record import Memory, Recorder
from webhook.settings import Storage
from webhook.store import StoreError
from webhook.tables import APPLICATIONS, INBOX

ROOT = Path(__file__).parents[3]
FUTURE = "2099-01-01T00:00:00.0000000Z|5|00000000"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else is at work on the tables of these tests."""
    pytest.importorskip("typer", reason="typer is not installed: the console is an optional extra")
    from console.publisher import rebuild  # noqa: PLC0415 - cannot be imported without it

    async def wait(_: float) -> None:
        """Wait for nothing."""

    monkeypatch.setattr(rebuild, "wait", wait)


class Hand:
    """Somebody with a table browser."""

    def __init__(self, service: TableServiceClient) -> None:
        self.rows, self.inbox = service.get_table_client(APPLICATIONS), service.get_table_client(INBOX)

    def row(self, life: Life) -> dict[str, Any]:
        """Give the row of an application."""
        subscription, _, row_key = life.key.partition("|")
        return dict(self.rows.get_entity(subscription, row_key))

    def entries(self, life: Life) -> list[dict[str, Any]]:
        """Give the notifications of an application."""
        return [dict(each) for each in self.inbox.query_entities("PartitionKey eq @key", parameters={"key": life.key})]

    def versions(self) -> dict[str, str | None]:
        """Give the versions of the rows, by their keys."""
        rows = self.rows.list_entities()
        return {f"{row['PartitionKey']}|{row['RowKey']}": row.metadata["etag"] for row in rows}

    def everything(self) -> tuple[list[dict[str, Any]], dict[str, str | None]]:
        """Give all that is in the tables, and the versions of the rows."""
        return [dict(each) for table in (self.rows, self.inbox) for each in table.list_entities()], self.versions()


@contextmanager
def hand_on(filled: Filled) -> Iterator[Hand]:
    """Give somebody a hand on an account."""
    with TableServiceClient.from_connection_string(filled.connection_string) as service:
        yield Hand(service)


@pytest.fixture
def hand(own: Filled) -> Iterator[Hand]:
    """Give somebody a hand on the test's own account."""
    with hand_on(own) as hand:
        yield hand


def wrong(filled: Filled) -> list[str]:
    """Compare the tables with what is true, which does not depend on the webhook's code."""
    heard = {(event.customer, event.number) for life in filled.population for event in life.events}
    stored = asyncio.run(verify.read(filled.storage, {life.key for life in filled.population}))
    return verify.differences(filled.population, heard, stored)


def test_tables_in_which_nobody_meddled_are_left_as_they_are(filled: Filled, managedapps: Run) -> None:
    """Sixty lives with updates, failures and second purchases: the row is what its notifications say, to the column."""
    with hand_on(filled) as hand:
        before = hand.everything()
        done = managedapps("rebuild")
        after = hand.everything()

    assert done == (0, "", "60 of 60 rows looked at, none differs from its notifications.\n")
    assert after == before


def test_an_empty_account_is_right(storage: Storage, elsewhere: pytest.MonkeyPatch, managedapps: Run) -> None:
    """Not even the tables are there."""
    elsewhere.setenv("STATE_STORAGE", storage.connection_string or "")

    assert managedapps("rebuild") == (0, "", "0 of 0 rows looked at, none differs from its notifications.\n")


Damage = Callable[[Hand, Life], None]


def changed(**columns: object) -> Damage:
    """Give the damage of columns that were changed; None removes one."""

    def damage(hand: Hand, life: Life) -> None:
        row = hand.row(life) | columns
        hand.rows.update_entity({k: v for k, v in row.items() if v is not None}, mode=UpdateMode.REPLACE)

    return damage


def deleted(hand: Hand, life: Life) -> None:
    """Delete the row."""
    hand.rows.delete_entity(hand.row(life))


def emptied(hand: Hand, life: Life) -> None:
    """Leave nothing of the row but its keys."""
    row = hand.row(life)
    hand.rows.update_entity({name: row[name] for name in ("PartitionKey", "RowKey")}, mode=UpdateMode.REPLACE)


DAMAGES: dict[str, tuple[Damage, list[str]]] = {
    "state": (changed(provisioningState="Deleting"), ["provisioningState is Deleting, and should be "]),
    "time": (
        changed(eventTime=("2025-01-01T00:00:00.0000001Z", "Edm.DateTime")),
        ["eventTime is 2025-01-01T00:00:00.0000001Z, and should be 2025-"],
    ),
    "time as a text": (changed(eventTime="2025"), ["eventTime is 2025 (str), and should be ", " (time)"]),
    "an error that never was": (changed(errorMessage="x\n\x1b[31my"), ["errorMessage is x �[31my, and should not be"]),
    "a column of others": (changed(note=5), ["note is 5, and should not be there"]),
    "a column that is gone": (changed(planName=None), ["planName is not there, and should be "]),
    "an order of the future": (changed(order=FUTURE), [f"order is {FUTURE}, and should be 2025-"]),
    "a plan of the future": (changed(planOrder=FUTURE, planName=""), ["planName is empty, and ", "planOrder is 2099-"]),
    "an earlier beginning": (changed(firstOrder="1999" + FUTURE[4:]), ["firstOrder is 1999-"]),
    "a day that never was": (changed(firstOrder="2024-02-30" + FUTURE[10:]), ["firstOrder is 2024-02-30T"]),
    "no order": (changed(order="soon"), ["order is soon, and should be "]),
    "no ID": (changed(applicationId="x"), ["applicationId is x, and should be "]),
    "another's ID": (
        changed(applicationId="/subscriptions/a/resourceGroups/b/providers/Microsoft.Solutions/applications/c"),
        ["applicationId is /subscriptions/a/"],
    ),
    "nothing but the keys": (
        emptied,
        ["provisioningState is not there, and should be ", "eventTime is not there"],
    ),
    "no row": (deleted, ["the row is missing"]),
}


@pytest.mark.parametrize(("damage", "words"), DAMAGES.values(), ids=DAMAGES.keys())
def test_damage_is_said_and_mended(damage: Damage, words: list[str], own: Filled, hand: Hand, managedapps: Run) -> None:
    """First only said, then mended, then gone; and what is there then is true."""
    life = next(life for life in own.population if life.truth.plan)
    damage(hand, life)
    before = hand.everything()
    dry = managedapps("rebuild", "--dry-run")
    assert hand.everything() == before
    done = managedapps("rebuild")
    again = managedapps("rebuild")

    verb = "inserted" if damage is deleted else "rewritten"
    assert (dry.status, done.status, again.status) == (1, 1, 0)
    assert dry.err == f"8 of 8 rows looked at, 1 would be {verb}.\n"
    assert done.err == f"8 of 8 rows looked at, 1 {verb}.\n"
    assert dry.out == done.out
    assert [word for word in words if word not in done.out] == []
    assert all(life.key.rsplit("|", 1)[1] in line.partition(": ")[0].lower() for line in done.out.splitlines())
    assert wrong(own) == []
    assert {key for key, version in hand.versions().items() if before[1].get(key) != version} == {life.key}


@pytest.mark.parametrize("damage", [changed(note=5), deleted], ids=["column", "row"])
def test_one_application_can_be_named(damage: Damage, own: Filled, hand: Hand, managedapps: Run) -> None:
    """By its ID in any casing, also where its row is missing; others are left as they are."""
    life, other = own.population[:2]
    damage(hand, life)
    changed(note=5)(hand, other)
    name = life.truth.application_id.upper()
    done, again = managedapps("rebuild", name), managedapps("rebuild", name)

    assert (done.status, again.status) == (1, 0)
    assert again.err == "1 of 1 rows looked at, none differs from its notifications.\n"
    assert done.out.count("\n") == 1
    assert hand.row(other)["note"] == 5
    assert wrong(own) == []


def test_all_rows_come_back_from_the_inbox(own: Filled, managedapps: Run) -> None:
    """Somebody deleted the table; the inbox has all of it."""
    with TableServiceClient.from_connection_string(own.connection_string) as service:
        service.delete_table(APPLICATIONS)
    done = managedapps("rebuild", "--json")
    report = json.loads(done.out)

    assert done.status == 1
    assert (report["rows"], report["rowsLookedAt"], report["inserted"], report["stopped"]) == (8, 8, 8, False)
    assert [finding["missing"] for finding in report["findings"]] == [True] * 8
    assert sorted(finding["applicationId"] for finding in report["findings"]) == sorted(
        life.truth.application_id for life in own.population
    )
    assert wrong(own) == []


def test_a_row_without_notifications_is_left(own: Filled, hand: Hand, managedapps: Run) -> None:
    """It cannot be recomputed, and may be all that is left of the application."""
    life = own.population[0]
    for entry in hand.entries(life):
        hand.inbox.delete_entity(entry)
    before = hand.everything()
    done = managedapps("rebuild")

    assert done.status == 1
    assert done.out.endswith(": the row is left as it is: no notification of it is in the inbox\n")
    assert done.out.count("\n") == 1
    assert done.err == "8 of 8 rows looked at, 1 for a person to look at.\n"
    assert hand.everything() == before


@pytest.mark.parametrize("number", [0, -1], ids=["oldest", "newest"])
def test_what_only_the_row_knows_stays_unless_it_is_taken_by_force(
    own: Filled, hand: Hand, managedapps: Run, number: int
) -> None:
    """Somebody who prunes the inbox does not mean the rows to go back in time."""
    life = max(own.population, key=lambda life: len(life.events))
    entry = hand.entries(life)[number]
    hand.inbox.delete_entity(entry)
    before = hand.everything()
    done, dry = managedapps("rebuild"), managedapps("rebuild", "--dry-run", "--json")
    would, after = managedapps("rebuild", "--dry-run", "--force"), hand.everything()
    forced, again = managedapps("rebuild", "--force"), managedapps("rebuild")

    line = f"{life.truth.application_id}: the row names {entry['RowKey']}, which the inbox lacks\n"
    assert (done.status, dry.status, would.status, forced.status, again.status) == (1, 1, 1, 1, 0)
    assert done.out == line
    assert done.err == (
        "8 of 8 rows looked at, 1 kept.\n"
        "Kept is what rows alone know, of events that the inbox lacks: `--force` takes it from them.\n"
    )
    report = json.loads(dry.out)
    assert (report["kept"], report["rewritten"]) == (1, 0)
    assert [(each["outcome"], each["kept"], each["inboxLacks"]) for each in report["findings"]] == [
        ("kept", True, [entry["RowKey"]])
    ]
    assert after == before
    assert f": the row names {entry['RowKey']}, which the inbox lacks\n" in would.out
    assert would.err == "8 of 8 rows looked at, 1 would be rewritten.\n"
    assert forced.out == would.out
    assert forced.err == "8 of 8 rows looked at, 1 rewritten.\n"
    assert hand.row(life)["order" if number else "firstOrder"] != entry["RowKey"]


def test_a_row_that_alone_knows_something_is_mended_in_all_else(own: Filled, hand: Hand, managedapps: Run) -> None:
    """To spare it is no reason to leave it broken."""
    life = max(own.population, key=lambda life: len(life.events))
    hand.inbox.delete_entity(hand.entries(life)[0])
    before = hand.row(life)
    changed(note=5, provisioningState="Accepted")(hand, life)
    done = managedapps("rebuild")

    assert done.status == 1
    assert done.err.startswith("8 of 8 rows looked at, 1 rewritten, 1 kept.\n")
    assert "note is 5, and should not be there" in done.out
    assert hand.row(life) == before


def edit_entry(hand: Hand, life: Life, number: int, **columns: object) -> str:
    """Change a notification in the inbox, and give its key."""
    entry = hand.entries(life)[number]
    hand.inbox.update_entity(entry | columns)
    return str(entry["RowKey"])


@pytest.mark.parametrize("number", [0, -1], ids=["oldest", "newest"])
def test_nothing_is_taken_from_a_row_whose_notification_cannot_be_used(
    own: Filled, hand: Hand, managedapps: Run, number: int
) -> None:
    """Only the row still knows what it said. What the others say is mended all the same."""
    life = next(life for life in own.population if len(life.events) > 2)
    key = edit_entry(hand, life, number, body='{"eventType": "POST"}')
    right = managedapps("rebuild")
    changed(note="x", errorCode="x" if number == 0 else None)(hand, life)
    wrong_ = managedapps("rebuild")

    line = f": the notification {key} cannot be used: its body is not a valid notification: eventType: Input should be"
    assert (right.status, right.err) == (1, "8 of 8 rows looked at, 1 for a person to look at.\n")
    assert line in right.out
    assert right.out.count("\n") == 1
    assert (wrong_.status, wrong_.err) == (1, "8 of 8 rows looked at, 1 rewritten, 1 for a person to look at.\n")
    assert line in wrong_.out
    assert "note is x, and should not be there" in wrong_.out
    assert [each for each in wrong(own) if each.startswith("row")] == []


def test_a_row_that_cannot_be_read_is_left_where_a_notification_is_flawed(
    own: Filled, hand: Hand, managedapps: Run
) -> None:
    """Its columns may still tell a person what that notification said."""
    life = own.population[0]
    edit_entry(hand, life, 0, body="{}")
    changed(order="soon")(hand, life)
    before = hand.everything()
    done = managedapps("rebuild")

    assert done.status == 1
    assert ": the row is left as it is: it cannot be read\n" in done.out
    assert hand.everything() == before


def test_a_missing_row_is_made_from_what_can_be_used(own: Filled, hand: Hand, managedapps: Run) -> None:
    """Half of it is better than none; the flaw is said."""
    life = next(life for life in own.population if len(life.events) > 2)
    edit_entry(hand, life, 0, body="{}")
    deleted(hand, life)
    done = managedapps("rebuild")

    assert done.status == 1
    assert "the row is missing" in done.out
    assert "cannot be used" in done.out
    assert hand.row(life)["provisioningState"] == life.truth.provisioning_state


def test_a_missing_row_of_which_nothing_can_be_used_is_said(own: Filled, hand: Hand, managedapps: Run) -> None:
    """There is nothing to write."""
    life = own.population[0]
    for number in range(len(life.events)):
        edit_entry(hand, life, number, body="{}")
    deleted(hand, life)
    done = managedapps("rebuild", life.truth.application_id)

    assert done.status == 1
    assert ": the row is missing\n" in done.out
    assert ": the row is left as it is: none of its notifications can be used\n" in done.out


def test_what_is_no_applications_is_named_and_left(own: Filled, hand: Hand, managedapps: Run) -> None:
    """And does not keep the rest from being mended."""
    life = own.population[0]
    subscription, group, name = life.key.split("|")
    stranger = {"PartitionKey": f"{subscription}|{group}", "RowKey": name}  # put together, the key of an application
    hand.rows.create_entity(stranger)
    hand.inbox.create_entity(stranger)
    changed(note=1)(hand, own.population[3])
    done = managedapps("rebuild")
    hand.rows.delete_entity(stranger)
    hand.inbox.delete_entity(stranger)

    assert done.status == 1
    assert (
        f"{subscription}|{group}: the notification {name} cannot be used: its PartitionKey is no application's\n"
        f"{subscription}|{group}, {name}: the row is left as it is: its keys are no application's\n"
    ) in done.out
    assert done.err == "8 of 8 rows looked at, 1 rewritten, 2 for a person to look at.\n"
    assert wrong(own) == []


def test_rows_and_notifications_are_brought_together_whatever_their_order(own: Filled, managedapps: Run) -> None:
    """Of "a" and "a!", the tables give the one first among rows, and the other first in the inbox."""
    body = own.population[0].events[0].body
    old = json.loads(body)["applicationId"]
    for subscription, name in (("a", "x"), ("a!", "x"), ("a", "x!"), ("a", "!")):
        new = f"/subscriptions/{subscription}/resourceGroups/g/providers/Microsoft.Solutions/applications/{name}"
        asyncio.run(_record(own, body.replace(old.encode(), new.encode())))

    assert managedapps("rebuild") == (0, "", "12 of 12 rows looked at, none differs from its notifications.\n")


async def _record(own: Filled, body: bytes) -> None:
    """Record a notification, as the webhook does."""
    async with own.open() as tables:
        recorder = Recorder(tables, Memory(time.monotonic), asyncio.sleep, random.random)
        await recorder.record(Notification.from_body(body, now=events.NOW), events.NOW)


@pytest.mark.parametrize(
    ("app", "said"),
    [
        ("nothing-like-it", "no application has a name with 'nothing-like-it' in it: `managedapps list` shows all"),
        (
            "/subscriptions/a/resourceGroups/b/providers/Microsoft.Solutions/applications/c",
            "nothing is known of /subscriptions/a/resourceGroups/b/providers/Microsoft.Solutions/applications/c: `mana",
        ),
    ],
)
@pytest.mark.usefixtures("filled")
def test_an_application_that_is_not_there_is_said(app: str, said: str, managedapps: Run) -> None:
    """And nothing else is rebuilt in its place."""
    done = managedapps("rebuild", app)

    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert done.err.startswith(f"managedapps: {said}")


def test_tables_that_cannot_be_reached_are_one_line(elsewhere: pytest.MonkeyPatch, managedapps: Run) -> None:
    """No report of nothing beside it."""
    elsewhere.setenv("STATE_STORAGE", "AccountName=a;AccountKey=aw==;TableEndpoint=http://127.0.0.1:9/a")
    done = managedapps("rebuild", "--json")

    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert done.err.startswith(
        "managedapps: listing the rows in ManagedApplications failed: storage could not be reach"
    )


@pytest.mark.parametrize("as_json", [[], ["--json"]], ids=["text", "json"])
def test_what_was_done_is_said_when_storage_fails(
    own: Filled, hand: Hand, managedapps: Run, monkeypatch: pytest.MonkeyPatch, as_json: list[str]
) -> None:
    """Half of a long run is better than nothing, if one knows which half."""
    from console.publisher import rebuild  # noqa: PLC0415 - cannot be imported without typer

    async def fail(_: float) -> None:
        raise StoreError("storage is down", "unreachable")

    changed(note=1)(hand, own.population[0])
    monkeypatch.setattr(rebuild, "wait", fail)
    done = managedapps("rebuild", as_json)
    said, error = done.err.split("managedapps: ")

    assert done.status == 1
    assert said.startswith("8 of 8 rows looked at.\n1 row was not what the notifications say at first sight")
    assert error.startswith("storage is down. ")
    if as_json:
        report = json.loads(done.out)
        assert (report["failed"], report["stopped"], report["suspected"]) == (True, False, 1)


# --- interrupted


@needs_signals
def test_ctrl_c_while_rows_are_read_says_nothing_of_them() -> None:
    """None was compared with anything yet."""
    pytest.importorskip("typer", reason="typer is not installed: the console is an optional extra")
    with table_service(1_200) as many:
        status, err = struck(many.port, Fault.HANG, "rebuild")

    assert status == 130
    assert err == "Stopped by Ctrl-C.\n0 of 1,000 rows looked at.\n"


def stopping_at(monkeypatch: pytest.MonkeyPatch, wait: int) -> None:
    """Press Ctrl-C in the pause with that number."""
    from console.publisher import rebuild  # noqa: PLC0415 - cannot be imported without typer

    pauses = iter(range(1, 100))

    async def stop(_: float) -> None:
        if next(pauses) == wait:
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(60)

    monkeypatch.setattr(rebuild, "wait", stop)


def test_ctrl_c_before_anything_was_written(
    own: Filled, hand: Hand, managedapps: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What seemed wrong is not said to be right."""
    changed(note=1)(hand, own.population[0])
    before = hand.everything()
    stopping_at(monkeypatch, 1)
    done = managedapps("rebuild")

    assert (done.status, done.out) == (130, "")
    assert done.err.splitlines() == [
        "Stopped by Ctrl-C.",
        "8 of 8 rows looked at.",
        "1 row was not what the notifications say at first sight, and not looked at again.",
    ]
    assert hand.everything() == before


def test_ctrl_c_after_something_was_written(
    own: Filled, hand: Hand, managedapps: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was done is said, and what was not; to run it again does no harm."""
    changed(note=1)(hand, own.population[0])
    stopping_at(monkeypatch, 2)
    done = managedapps("rebuild", "--json")
    again = managedapps("rebuild")
    report = json.loads(done.out)

    assert done.status == 130
    assert (report["stopped"], report["rewritten"], report["notLookedAtAgain"]) == (True, 1, 1)
    assert done.err.splitlines() == [
        "Stopped by Ctrl-C.",
        "8 of 8 rows looked at, 1 rewritten.",
        "What was written was not looked at once more: run it again.",
    ]
    assert again.status == 0
    assert wrong(own) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process there")
def test_the_process_ends_at_once_and_says_so(own: Filled, hand: Hand) -> None:
    """A real Ctrl-C, in the real pause of ten seconds."""
    changed(note=1)(hand, own.population[0])
    command = [sys.executable, "-m", "console", "rebuild"]
    with subprocess.Popen(
        command, cwd=ROOT, env=os.environ | {"PYTHONUNBUFFERED": "1"}, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == ("Looking again in 10 seconds, when calls that are under way have ended.\n")
        process.send_signal(signal.SIGINT)
        assert process.stderr.read().startswith("Stopped by Ctrl-C.\n8 of 8 rows looked at.\n1 row was not")
        assert process.wait(5) == 130
