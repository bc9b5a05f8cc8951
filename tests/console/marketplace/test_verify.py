"""`--verify`: it agrees with a webhook that is right, and finds whatever somebody changed behind its back."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from azure.data.tables import TableClient, TableServiceClient, UpdateMode

from console.marketplace import verify
from console.marketplace.lives import Life, lives
from tests import events
from tests.console.conftest import SECRET, Run, Start
from tests.console.marketplace.test_lives import SPAN
from tools.stack import served
from webhook.receive import Receiver
from webhook.settings import Settings, Storage
from webhook.tables import APPLICATIONS, INBOX, Tables

LIVES = lives(5, 4, SPAN)
THIS_RUN = ("--customers", "4", "--seed", "5", "--speed", "1000000", "--verify")


@pytest.fixture
def tables(settings: dict[str, str], storage: Storage) -> Iterator[TableServiceClient]:
    """Give an account in which the webhook has recorded everything, and some other customer's event."""

    async def record() -> None:
        async with Tables.connect(storage) as opened:
            receiver = Receiver(Settings.from_mapping(settings), lambda _: opened)
            for body in [event.body for life in LIVES for event in life.events] + [events.body()]:
                assert (await receiver.receive(SECRET, body)).status == 200

    asyncio.run(record())
    with TableServiceClient.from_connection_string(settings["STATE_STORAGE"]) as service:
        yield service


@pytest.mark.skipif(
    find_spec("azure_functions_runtime") is None, reason="azure-functions-runtime needs Python 3.13 or newer"
)
def test_two_instances_of_the_function_agree_with_the_truth(settings: dict[str, str], managedapps: Run) -> None:
    """Duplicates, reordering and lost answers on two instances with one account: nothing is lost, nothing is wrong."""
    with ExitStack() as running:
        urls = [running.enter_context(served(settings)).partner_center_url for _ in range(2)]
        faults = ("--duplicates", "0.3", "--reorder", "0.3", "--lost-answers", "0.2")
        arguments = ("simulate", "--url", urls[0], "--url", urls[1], "--customers", "40", "--speed", "6000", "--verify")
        done = managedapps(arguments, faults, "--json")
        again = managedapps(arguments, "--seed", "2")  # other customers, in the same tables

    report = json.loads(done.out)
    assert (done.status, report["differences"]) == (0, [])
    assert min(report["attemptsByUrl"]) > 100
    assert min(report["repeatedDeliveries"], report["overtakenDeliveries"], report["lostAnswers"]) > 40
    assert again.out.splitlines()[-1].startswith("Verified: 40 rows and ")
    assert again.status == 0


@pytest.mark.usefixtures("tables")
def test_what_is_right_is_one_line(start: Start, managedapps: Run) -> None:
    """Rows of other applications are nobody's business."""
    with start() as server:
        done = managedapps("simulate", "--url", server.url, THIS_RUN)

    recorded = sum(len(life.events) for life in LIVES)
    assert done.status == 0
    assert done.out.splitlines()[-1] == (f"Verified: 4 rows and {recorded} notifications in the tables are the truth.")


Change = Callable[[TableClient, TableClient, Life], None]


def row_of(table: TableClient, life: Life) -> dict[str, Any]:
    """Give the row of an application."""
    subscription, _, row_key = life.key.partition("|")
    return dict(table.get_entity(subscription, row_key))


def entries_of(table: TableClient, life: Life) -> list[dict[str, Any]]:
    """Give the inbox of an application, in the order of time."""
    return [dict(each) for each in table.query_entities("PartitionKey eq @key", parameters={"key": life.key})]


def set_in_row(**columns: str) -> Change:
    """Give a change of columns of the row."""

    def change(rows: TableClient, _: TableClient, life: Life) -> None:
        rows.update_entity({**row_of(rows, life), **columns}, mode=UpdateMode.REPLACE)

    return change


def drop_from_row(*columns: str) -> Change:
    """Give a change that removes columns of the row."""

    def change(rows: TableClient, _: TableClient, life: Life) -> None:
        row = {name: value for name, value in row_of(rows, life).items() if name not in columns}
        rows.update_entity(row, mode=UpdateMode.REPLACE)

    return change


def set_in_entry(**columns: str) -> Change:
    """Give a change of columns of an entry; another RowKey makes it another entry."""

    def change(_: TableClient, inbox: TableClient, life: Life) -> None:
        inbox.upsert_entity({**entries_of(inbox, life)[0], **columns}, mode=UpdateMode.REPLACE)

    return change


def delete_row(rows: TableClient, _: TableClient, life: Life) -> None:
    """Delete the row."""
    rows.delete_entity(row_of(rows, life))


def delete_entry(_: TableClient, inbox: TableClient, life: Life) -> None:
    """Delete an entry."""
    inbox.delete_entity(entries_of(inbox, life)[-1])


ORDER = "2025-01-01T00:00:00.0000000Z|0|00000000"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (delete_row, ["row of", "it is missing"]),
        (set_in_row(provisioningState="Deleting"), ["row of", "provisioningState is Deleting, and should be "]),
        (set_in_row(order=ORDER), ["row of", "eventTime is 2025-01-01T00:00:00.0000000Z, and should be "]),
        (set_in_row(firstOrder=ORDER), ["row of", "firstEventTime is "]),
        (set_in_row(planVersion="0.0.1"), ["row of", "plan is {", "0.0.1", "and should be {"]),
        (set_in_row(resourceUsageId="another"), ["row of", "resourceUsageId is another, and should be "]),
        (drop_from_row("resourceUsageId", "resourceUsageIdOrder"), ["resourceUsageId is not there, and should be "]),
        (set_in_row(errorCode="Another"), ["row of", "errorCode is Another, and should be "]),
        (delete_entry, ["inbox of", "is missing, though it was answered with 200"]),
        (set_in_entry(body="{}"), ["inbox of", "is missing, though", "was never sent so"]),
        (set_in_entry(RowKey=ORDER), ["inbox of", "is there 2 times", "another time or place"]),
        (set_in_entry(eventType="DELETE"), ["inbox of", "is kept as DELETE Accepted"]),
    ],
)
def test_what_was_changed_by_hand_is_found(
    change: Change, words: list[str], tables: TableServiceClient, start: Start, managedapps: Run
) -> None:
    """A check that cannot fail shows nothing. Here the webhook answers 200, and the tables say otherwise."""
    life = next(life for life in LIVES if life.truth.plan and life.truth.resource_usage_id)
    change(tables.get_table_client(APPLICATIONS), tables.get_table_client(INBOX), life)
    with start() as server:
        done = managedapps("simulate", "--url", server.url, THIS_RUN)

    assert done.status == 1
    assert [word for word in [*words, life.key] if word not in done.out] == []
    assert "between the tables and the truth" in done.err
    assert not [other.key for other in LIVES if other is not life and other.key in done.out]


def test_differences_are_in_the_json_too(tables: TableServiceClient, start: Start, managedapps: Run) -> None:
    """A script gets the sentences."""
    tables.delete_table(APPLICATIONS)
    with start() as server:
        done = managedapps("simulate", "--url", server.url, THIS_RUN, "--json")

    assert done.status == 1
    assert json.loads(done.out)["differences"] == [f"row of {life.key}: it is missing" for life in LIVES]


@pytest.mark.usefixtures("tables")
def test_events_that_were_not_recorded_may_be_missing_in_the_inbox(storage: Storage) -> None:
    """A 500 can be given after the notification was stored, or before: neither is wrong. The row is, and says why."""
    stored = asyncio.run(verify.read(storage, {life.key for life in LIVES}))
    life = LIVES[0]
    heard = {(event.customer, event.number) for each in LIVES for event in each.events} - {(0, 0)}
    assert verify.differences(LIVES, heard, stored) == []

    without = [entry for entry in stored.inbox[life.key] if entry.body != life.events[0].body.decode()]
    less = verify.Stored({**stored.rows, life.key: stored.rows[LIVES[1].key]}, {**stored.inbox, life.key: without})
    found = verify.differences([life], heard, less)
    assert found
    assert all(each.endswith("(1 of its events were not recorded)") for each in found)


@pytest.mark.usefixtures("tables")
def test_settings_come_from_local_settings_json_where_the_environment_has_none(
    settings: dict[str, str], start: Start, managedapps: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with Core Tools: in the folder of the app, no variable has to be set."""
    monkeypatch.delenv("STATE_STORAGE")
    Path("local.settings.json").write_text(json.dumps({"Values": settings}), "utf-8")
    with start() as server:
        done = managedapps("simulate", "--url", server.url, THIS_RUN)

    assert done.status == 0


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "managedapps: the tables cannot be found: STATE_STORAGE or AzureWebJobsStorage is not set. "),
        ("AccountName=a", "managedapps: the tables cannot be found: STATE_STORAGE has neither"),
        (
            "AccountName=a;AccountKey=aw==;TableEndpoint=http://127.0.0.1:9/a",
            "managedapps: listing the rows in ManagedApplications failed: storage could not",
        ),
    ],
)
def test_tables_that_cannot_be_read_are_said_before_anything_is_sent(
    value: str, message: str, start: Start, managedapps: Run, elsewhere: pytest.MonkeyPatch
) -> None:
    """A long run is not made in vain."""
    elsewhere.setenv("STATE_STORAGE", value)
    with start() as server:
        done = managedapps("simulate", "--url", server.url, THIS_RUN)

    assert done.status == 1
    assert done.err.startswith(message)
    assert done.err.count("\n") == 1
    assert server.bodies == []


@pytest.mark.usefixtures("elsewhere")
def test_an_unusable_local_settings_json_is_said(start: Start, managedapps: Run) -> None:
    """Where, and not what, since any of it may be secret."""
    Path("local.settings.json").write_text('{"Values": {"A": 1}}', "utf-8")
    with start() as server:
        done = managedapps("simulate", "--url", server.url, THIS_RUN)

    assert done == (1, "", 'managedapps: local.settings.json: "A" in "Values" must be a string, in double quotes\n')
