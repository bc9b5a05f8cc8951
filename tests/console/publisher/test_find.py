"""Which application is meant: IDs in any casing, parts of names, and what is said where that is not clear."""

import asyncio

import pytest
from azure.data.tables import TableServiceClient

from tests import events
from tests.console.publisher.conftest import Filled
from webhook.application import Application
from webhook.notification import ApplicationId
from webhook.settings import Storage
from webhook.tables import APPLICATIONS, Tables

pytest.importorskip("rich", reason="rich is not installed: the console is an optional extra")

from console.publisher.find import FindError, find, of_inbox_key

NAMES = ("orders", "orders-test", "Sales", "sales-eu", "SALES-us", "ünï")


@pytest.fixture
def stored(storage: Storage) -> Storage:
    """Give an account with some applications; one name is there twice."""

    async def insert() -> None:
        async with Tables.connect(storage) as tables:
            for name in NAMES:
                event = events.notification(applicationId=events.application_id(name))
                await tables.insert_application(Application.of(event))
            again = events.application_id("orders-test").replace("rg-orders", "other").lstrip("/")
            await tables.insert_application(Application.of(events.notification(applicationId=again)))

    asyncio.run(insert())
    return storage


def found(storage: Storage, text: str) -> ApplicationId:
    """Give what is found."""

    async def run() -> ApplicationId:
        async with Tables.connect(storage) as tables:
            return await find(tables, text)

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("orders", "orders"),  # a part of others, too
        ("ORDERS", "orders"),
        (" orders ", "orders"),
        ("sales", "Sales"),
        ("eu", "sales-eu"),
        ("-US", "SALES-us"),
        ("Ünï", "ünï"),
        ("n", "ünï"),
    ],
)
def test_a_part_of_a_name_that_no_other_one_has_is_enough(stored: Storage, text: str, name: str) -> None:
    """Nobody types a resource ID; of two names that have the part, the one that is all of it is meant."""
    assert found(stored, text).name == name


@pytest.mark.parametrize("text", [events.APPLICATION_ID, events.APPLICATION_ID.upper().lstrip("/") + "/"])
def test_a_whole_id_is_taken_in_any_casing_and_without_a_look(storage: Storage, text: str) -> None:
    """An application whose row is missing can be meant; here not even a table is there."""
    assert found(storage, text).inbox_partition_key == "00000000-1111-2222-3333-444444444444|rg-orders|orders"


def test_what_more_than_one_has_is_answered_with_their_ids(stored: Storage) -> None:
    """One of the lines can be pasted as it is."""
    with pytest.raises(FindError) as caught:
        found(stored, "orders-")

    first, *ids = str(caught.value).splitlines()
    assert first == "2 applications have 'orders-' in their names. Give the ID of one:"
    assert [found(stored, text.strip()).name for text in ids] == ["orders-test", "orders-test"]


def test_a_name_that_is_there_twice_is_not_decided_by_its_order(stored: Storage) -> None:
    """Two customers call their application the same."""
    with pytest.raises(FindError, match=r"^2 applications are named 'Orders-Test'\. Give the ID of one:\n  subscr"):
        found(stored, "Orders-Test")


def test_of_many_the_first_ten_are_named(filled: Filled) -> None:
    """A letter is in nearly every name."""
    with pytest.raises(FindError) as caught:
        found(filled.storage, "o")

    lines = str(caught.value).splitlines()
    count = int(lines[0].split()[0])
    assert len(lines) == 12
    assert lines[-1] == f"  and {count - 10} more"
    assert count <= len(filled.population)


@pytest.mark.parametrize("text", ["nothing", "a'b", "%", "*", "@x"])
def test_a_name_that_is_not_there_is_said(stored: Storage, text: str) -> None:
    """Quotes and wildcards are letters like others."""
    with pytest.raises(FindError, match=r"^no application has a name with .* in it: `managedapps list` shows all$"):
        found(stored, text)


@pytest.mark.parametrize("text", ["", "  ", "/", "/subscriptions/x", events.APPLICATION_ID + "/providers/x"])
def test_what_can_be_neither_is_said_without_a_look(storage: Storage, text: str) -> None:
    """A half ID that was pasted is a mistake, and no name."""
    with pytest.raises(
        FindError, match=r"is neither a part of a name nor the resource ID of a managed application: /s"
    ):
        found(storage, text)


@pytest.mark.parametrize(
    "change", [{"applicationId": "x"}, {"applicationId": 5}, {"applicationId": events.DEFINITION_ID}]
)
def test_a_row_whose_id_somebody_broke_is_found_by_its_keys(stored: Storage, change: dict[str, object]) -> None:
    """It is the one that has to be rebuilt."""
    keys = {"PartitionKey": "00000000-1111-2222-3333-444444444444", "RowKey": "rg-orders|sales-eu"}
    with TableServiceClient.from_connection_string(stored.connection_string or "") as service:
        service.get_table_client(APPLICATIONS).update_entity(keys | change)
        service.get_table_client(APPLICATIONS).create_entity({"PartitionKey": "a|b", "RowKey": "sales-eu"})

    assert found(stored, "sales-eu").inbox_partition_key == "|".join(keys.values())


@pytest.mark.parametrize("key", ["", "a", "a|b", "a||c", "A|b|c", "a|b|c|d", "a/x|b|c", "|b|c"])
def test_a_key_that_is_no_applications_is_none(key: str) -> None:
    """What else is in the inbox must not be taken for an application's notifications."""
    assert of_inbox_key(key) is None


def test_a_key_names_its_application() -> None:
    """Rows and notifications are brought together by it."""
    application_id = events.notification(applicationId=events.application_id("İ ß ünï")).application_id

    again = of_inbox_key(application_id.inbox_partition_key)

    assert again is not None
    assert (again.partition_key, again.row_key) == (application_id.partition_key, application_id.row_key)
